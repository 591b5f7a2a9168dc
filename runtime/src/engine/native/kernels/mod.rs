//! What runs over the numbers, from one source for every instruction set.
//!
//! The instruction set is `pulp`'s choice at run time: AVX-512, AVX2 with FMA, NEON or portable code.

mod activation;
mod ahead;
mod correlate;
mod few;
mod grid;
mod halves;
mod integers;
mod narrow;
mod planes;
mod rounding;
mod rows;
#[cfg(test)]
mod tests;
mod tile;
mod transpose;

use pulp::{Arch, Simd, WithSimd};

pub(super) use activation::{Activate, Activation};
pub(super) use correlate::Correlate;
pub(super) use grid::Grid;
use halves::HalfArch;
pub(super) use halves::{HalfOrder, Halves};
use integers::IntegerArch;
pub(super) use integers::{IntegerPanel, IntegerPanels, Order};
pub(super) use planes::Planes;
pub(super) use rounding::Rounding;
#[cfg(test)]
pub(super) use tests::instruction_sets;
pub(super) use tile::Run;
pub(super) use transpose::Transpose;

/// The instruction set of this processor, as far as the layout of packed weights depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Registers {
    /// `f32` numbers in a vector register.
    pub(super) lanes: usize,
    /// How weights in half precision lie, and those that are integers.
    pub(super) halves: HalfOrder,
    pub(super) integers: Order,
}

impl Registers {
    pub(super) fn of(arch: Arch) -> Self {
        struct Ask(HalfOrder, Order);
        impl WithSimd for Ask {
            type Output = Registers;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> Registers {
                let Self(halves, integers) = self;
                Registers { lanes: S::F32_LANES, halves, integers }
            }
        }
        arch.dispatch(Ask(HalfArch::of(arch).order(), IntegerArch::of(arch).order()))
    }
}
