//! What runs over the numbers, from one source for every instruction set.
//!
//! The instruction set is `pulp`'s choice at run time: AVX-512, AVX2 with FMA, NEON or portable code.

mod activation;
mod correlate;
mod halves;
mod narrow;
mod planes;
mod rows;
#[cfg(test)]
mod tests;
mod tile;

use pulp::{Arch, Simd, WithSimd};

pub(super) use activation::{Activate, Activation};
pub(super) use correlate::{Correlate, Grid};
pub(super) use halves::Halves;
pub(super) use planes::Planes;
pub(super) use tile::Run;

/// The instruction set of this processor, as far as the layout of packed weights depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Registers {
    /// `f32` numbers in a vector register.
    pub(super) lanes: usize,
    /// Vector registers.
    pub(super) count: usize,
}

impl Registers {
    pub(super) fn of(arch: Arch) -> Self {
        struct Ask;
        impl WithSimd for Ask {
            type Output = Registers;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> Registers {
                Registers { lanes: S::F32_LANES, count: S::REGISTER_COUNT }
            }
        }
        arch.dispatch(Ask)
    }
}
