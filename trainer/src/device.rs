//! `--device`: where the arithmetic runs.

use anyhow::{Result, bail};
use burn::tensor::Device;

/// The devices that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceName {
    /// The best one that works here: CUDA, Metal, Vulkan, libtorch, then the CPU.
    Auto,
    /// The CPU, in Rust.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// A GPU through Vulkan.
    Vulkan,
    /// An Apple GPU.
    Metal,
    /// libtorch, on its GPU where it has one.
    Libtorch,
}

/// A device that has answered, and what it is called.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The device.
    pub device: Device,
    /// Its name, for people.
    pub name: &'static str,
    /// Why the better ones were not taken, where nobody asked for one by name.
    pub passed_over: Vec<String>,
}

impl Chosen {
    /// One line on which device was taken and why no better one, where there is something to say.
    pub fn note(&self) -> Option<String> {
        let reasons = self.passed_over.join("; ");
        (!reasons.is_empty()).then(|| format!("the device is {}: {reasons}", self.name))
    }
}

impl DeviceName {
    /// The device, once it has answered a first question.
    ///
    /// # Errors
    ///
    /// A device asked for by name that is not in this build or does not answer is an error: only
    /// `auto` goes on to the next one.
    pub fn open(self) -> Result<Chosen> {
        use DeviceName::{Auto, Cpu, Cuda, Libtorch, Metal, Vulkan};
        if self != Auto {
            return self.try_open();
        }
        let mut reasons = vec![];
        for name in [Cuda, Metal, Vulkan, Libtorch, Cpu] {
            match name.try_open() {
                Ok(chosen) => return Ok(Chosen { passed_over: reasons, ..chosen }),
                Err(reason) => reasons.push(format!("{reason:#}")),
            }
        }
        bail!("no device works here: {}", reasons.join("; "))
    }

    fn try_open(self) -> Result<Chosen> {
        let (name, open): (_, Option<fn() -> Device>) = match self {
            Self::Auto => unreachable!("`open` takes it apart"),
            #[cfg(feature = "flex")]
            Self::Cpu => ("cpu", Some(Device::flex)),
            #[cfg(feature = "cuda")]
            Self::Cuda => ("cuda", Some(|| Device::cuda(0))),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => {
                ("vulkan", Some(|| Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)))
            }
            #[cfg(feature = "metal")]
            Self::Metal => {
                ("metal", Some(|| Device::metal(burn::tensor::DeviceKind::DefaultDevice)))
            }
            #[cfg(feature = "libtorch")]
            Self::Libtorch => ("libtorch", Some(Device::libtorch)),
            #[allow(unreachable_patterns, reason = "reached by the devices not compiled in")]
            other => (other.feature(), None),
        };
        let Some(open) = open else {
            bail!("{name} is not in this build (cargo build --features {name})");
        };
        let answer = std::panic::catch_unwind(move || {
            let device = open();
            let sum = burn::tensor::Tensor::<1>::ones([2], &device).sum().into_scalar::<f32>();
            (sum == 2.0).then_some(device)
        });
        match answer {
            Ok(Some(device)) => Ok(Chosen { device, name, passed_over: vec![] }),
            Ok(None) => bail!("{name} gives wrong sums"),
            Err(_) => bail!("{name} does not answer on this machine"),
        }
    }

    fn feature(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "flex",
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Libtorch => "libtorch",
        }
    }
}
