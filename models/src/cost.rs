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
    /// Values that blocks give: each is written once and read at least once.
    pub values: usize,
}

impl Cost {
    /// The cost of a block between two shapes.
    pub fn of(block: &Block, input: Shape, output: Shape) -> Self {
        let channels = input.dims()[0];
        let (parameters, flops) = match *block {
            Block::Dense { units, .. } => ((channels + 1) * units, 2 * channels * units),
            Block::Conv { channels: out, kernel, .. } => {
                let window = channels * kernel * kernel;
                ((window + 1) * out, 2 * window * output.len())
            }
            Block::Deconv { channels: out, kernel, .. } => {
                let window = out * kernel * kernel;
                (channels * window + out, 2 * window * input.len())
            }
            Block::Pool { kernel, .. } => (0, kernel * kernel * output.len()),
            Block::Flatten | Block::Unflatten { .. } | Block::Tap { .. } => {
                return Self::default();
            }
            Block::Upsample { .. } | Block::Crop { .. } | Block::Join { .. } => (0, 0),
        };
        Self { parameters, flops, values: output.len() }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            parameters: self.parameters + other.parameters,
            flops: self.flops + other.flops,
            values: self.values + other.values,
        }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
