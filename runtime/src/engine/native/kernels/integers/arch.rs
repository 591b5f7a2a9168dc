//! Instruction sets for products of integers.

use pulp::{Arch, NullaryFnOnce, Scalar128b};

use super::super::Correlate;
use super::Order;
use super::dots::Dots;
#[cfg(target_arch = "x86_64")]
use super::{
    pairs::{IntegerSimd, Pairs},
    x86::Vnni,
};

#[cfg(target_arch = "aarch64")]
pulp::simd_type! {
    /// NEON with an instruction that adds four products of bytes to a sum: the compiler has it for [`Dots`]
    /// where it knows of the feature.
    pub(in super::super) struct Dotprod {
        neon: "neon",
        dotprod: "dotprod",
    }
}

/// The instruction set of a processor.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum IntegerArch {
    #[cfg(target_arch = "x86_64")]
    Vnni(Vnni),
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon, Option<Dotprod>),
    Portable,
}

impl IntegerArch {
    pub(in super::super) fn of(arch: Arch) -> Self {
        match arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(v4) => Vnni::of(v4).map_or(Self::Avx2(*v4), Self::Vnni),
            #[cfg(target_arch = "x86_64")]
            Arch::V3(v3) => Self::Avx2(v3),
            #[cfg(target_arch = "aarch64")]
            Arch::Neon(neon) => Self::Neon(neon, Dotprod::try_new()),
            _ => Self::Portable,
        }
    }

    /// How the weights lie.
    pub(in super::super) fn order(self) -> Order {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(_) => Order::Pairs { lanes: 16 },
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Order::Pairs { lanes: 8 },
            _ => Order::Outputs,
        }
    }

    /// Runs a layer whose weights are integers.
    pub(in super::super) fn run(self, layer: Correlate) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(vnni) => vnni.vectorize(Pairs(vnni, layer)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(v3) => v3.vectorize(Pairs(v3, layer)),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(neon, Some(dotprod)) => dotprod.vectorize(Dots(neon, layer)),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(neon, None) => neon.vectorize(Dots(neon, layer)),
            Self::Portable => Dots(Scalar128b, layer).call(),
        }
    }
}
