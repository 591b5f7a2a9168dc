use std::ops::{Add, AddAssign};

use crate::block::Block;
use crate::shape::Shape;

/// What one example costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Trained values.
    pub parameters: usize,
    /// Floating-point operations of a forward pass, a multiplication with its addition counted as two.
    pub flops: usize,
}

impl Cost {
    /// The cost of a block between two shapes.
    pub fn of(block: &Block, input: Shape, output: Shape) -> Self {
        let channels = input.dims()[0];
        match *block {
            Block::Dense { units, .. } => {
                Self { parameters: (channels + 1) * units, flops: 2 * channels * units }
            }
            Block::Conv { channels: out, kernel, .. } => {
                let window = channels * kernel * kernel;
                Self { parameters: (window + 1) * out, flops: 2 * window * output.len() }
            }
            Block::Deconv { channels: out, kernel, .. } => {
                let window = out * kernel * kernel;
                Self { parameters: channels * window + out, flops: 2 * window * input.len() }
            }
            Block::Pool { kernel, .. } => {
                Self { parameters: 0, flops: kernel * kernel * output.len() }
            }
            _ => Self::default(),
        }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { parameters: self.parameters + other.parameters, flops: self.flops + other.flops }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
