//! `--device` and `--devices`: where the arithmetic runs.

use std::panic::{UnwindSafe, catch_unwind};

use anyhow::{Context, Result, bail};
use burn::tensor::{Device, Tensor};

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
    /// The device; the first one where there are several.
    pub device: Device,
    /// Those that share every batch with it.
    pub others: Vec<Device>,
    /// Its name, for people.
    pub name: String,
    kind: DeviceName,
    /// Why the better ones were not taken, where nobody asked for one by name.
    pub passed_over: Vec<String>,
}

impl Chosen {
    /// One line on which device was taken and why no better one, where there is something to say.
    pub fn note(&self) -> Option<String> {
        let reasons = self.passed_over.join("; ");
        (!reasons.is_empty()).then(|| format!("the device is {}: {reasons}", self.name))
    }

    /// The devices of the same kind with these numbers in place of the one that was taken, to share batches of
    /// `batch` images; without numbers, that one.
    ///
    /// # Errors
    ///
    /// Where one is not there, does not answer or is named twice, and where a batch has too few images.
    pub fn numbered(self, numbers: &[usize], batch: usize) -> Result<Self> {
        let Some((first, others)) = numbers.split_first() else { return Ok(self) };
        let (all, name) = (self.kind.all(), &self.name);
        if all.is_empty() {
            bail!("{name} has no devices by number (hint: go without --devices)");
        }
        let twice = |(place, number): &(usize, &usize)| numbers[..*place].contains(number);
        if let Some((_, number)) = numbers.iter().enumerate().find(twice) {
            bail!("--devices names {number} twice");
        }
        if numbers.len() > batch {
            let count = numbers.len();
            bail!(
                "{count} devices cannot share a batch of {batch} (hint: fewer --devices, or a larger batch)"
            );
        }
        let open = |&number: &usize| {
            let last = all.len() - 1;
            let device = all.get(number).cloned();
            let device = device
                .with_context(|| format!("{name} has no device {number}, they are 0 to {last}"))?;
            answer(&format!("{name} {number}"), move || device)
        };
        let (device, others) = (open(first)?, others.iter().map(open).collect::<Result<_>>()?);
        let numbers: Vec<_> = numbers.iter().map(usize::to_string).collect();
        let name = format!("{name} {}", numbers.join(","));
        Ok(Self { device, others, name, ..self })
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
        let device = answer(name, open)?;
        let (others, passed_over) = (vec![], vec![]);
        Ok(Chosen { device, others, name: name.to_owned(), kind: self, passed_over })
    }

    /// The devices of a kind by their numbers: the CPU counts as one for every thread, and each of those that are
    /// taken gets its part of the threads. None where a kind has no numbers.
    fn all(self) -> Vec<Device> {
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => vec![Device::flex(); rayon::current_num_threads()],
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Device::enumerate(burn::tensor::DeviceType::Vulkan).into_vec(),
            #[cfg(feature = "metal")]
            Self::Metal => Device::enumerate(burn::tensor::DeviceType::Metal).into_vec(),
            _ => vec![],
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

/// A device that has added two numbers.
fn answer(name: &str, open: impl FnOnce() -> Device + UnwindSafe) -> Result<Device> {
    let answer = catch_unwind(move || {
        let device = open();
        let sum = Tensor::<1>::ones([2], &device).sum().into_scalar::<f32>();
        (sum == 2.0).then_some(device)
    });
    match answer {
        Ok(Some(device)) => Ok(device),
        Ok(None) => bail!("{name} gives wrong sums"),
        Err(_) => bail!("{name} does not answer on this machine"),
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn a_kind_without_numbers_has_its_one_device() {
        let cpu = DeviceName::Cpu.open().expect("it is in this build");
        let name = "libtorch".to_owned();
        let one = Chosen { name, kind: DeviceName::Libtorch, ..cpu };
        assert!(one.clone().numbered(&[], 1).is_ok());
        let error = one.numbered(&[0], 8).expect_err("libtorch has no numbers").to_string();
        assert!(error.contains("libtorch has no devices by number"), "{error}");
    }
}
