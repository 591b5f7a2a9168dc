//! `--device` and `--devices`: where the arithmetic runs.

use std::panic::{UnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
#[cfg(feature = "vulkan")]
use burn::backend::{CubeDevice, DeviceOps, WgpuBackend, WgpuDevice, WgpuDeviceKind};
#[cfg(feature = "libtorch")]
#[allow(deprecated, reason = "Burn deprecates its way to libtorch")]
use burn::backend::{DispatchDevice, libtorch::LibTorchDevice};
#[cfg(feature = "metal")]
use burn::tensor::DeviceKind;
use burn::tensor::{Device, Tensor};

/// The devices that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceName {
    /// The best one that works here: libtorch's GPU, CUDA, Metal, Vulkan's GPU, then the CPU (libtorch's or Vulkan's in a
    /// build without another).
    Auto,
    /// The CPU, in Rust.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// A GPU through Vulkan, or the CPU where its driver has no other.
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

/// Asks a device of a name for its first answer.
type Ask<'a> = &'a mut dyn FnMut(&str, Device) -> Result<Device>;

impl DeviceName {
    /// The device, once it has answered a first question.
    ///
    /// # Errors
    ///
    /// A device asked for by name that is not in this build or does not answer is an error: only
    /// `auto` goes on to the next one.
    pub fn open(self) -> Result<Chosen> {
        self.choose(&[], &mut answer)
    }

    /// The devices with these numbers, to share batches of `batch` images, once each has answered; no other one is
    /// opened. Without numbers as [`DeviceName::open`].
    ///
    /// # Errors
    ///
    /// Where one is not there, does not answer or is named twice, and where a batch has too few images. `auto` goes
    /// on to the next kind only where one has no devices at all.
    pub fn numbered(self, numbers: &[usize], batch: usize) -> Result<Chosen> {
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
        self.choose(numbers, &mut answer)
    }

    fn choose(self, numbers: &[usize], ask: Ask<'_>) -> Result<Chosen> {
        #[cfg(any(feature = "cuda", feature = "vulkan", feature = "metal"))]
        crate::kernels::keep();
        use DeviceName::{Auto, Cpu, Cuda, Libtorch, Metal, Vulkan};
        if self != Auto {
            return self.take(numbers, ask);
        }
        let mut passed_over: Vec<(Self, String)> = vec![];
        for kind in [Libtorch, Cuda, Metal, Vulkan, Cpu] {
            if kind == Metal && !cfg!(target_os = "macos") {
                continue;
            }
            #[cfg(all(feature = "libtorch", feature = "flex"))]
            if kind == Libtorch && !libtorch().iter().any(on_gpu) {
                passed_over.push((kind, "libtorch has no GPU here".to_owned()));
                continue;
            }
            #[cfg(all(feature = "vulkan", feature = "flex"))]
            if kind == Vulkan && !vulkan().iter().all(on_gpu) {
                passed_over.push((kind, "vulkan has no GPU here".to_owned()));
                continue;
            }
            match kind.take(numbers, ask) {
                Ok(chosen) => {
                    // beside a GPU it does not matter what is not in the build
                    passed_over.retain(|(other, _)| kind == Cpu || other.built());
                    let passed_over = passed_over.into_iter().map(|(_, reason)| reason).collect();
                    return Ok(Chosen { passed_over, ..chosen });
                }
                Err(reason) if numbers.is_empty() || kind.all().is_empty() => {
                    passed_over.push((kind, format!("{reason:#}")));
                }
                Err(reason) => return Err(reason),
            }
        }
        let reasons: Vec<_> = passed_over.into_iter().map(|(_, reason)| reason).collect();
        bail!("no device works here: {}", reasons.join("; "))
    }

    /// The devices of a kind with these numbers; without numbers its first one.
    fn take(self, numbers: &[usize], ask: Ask<'_>) -> Result<Chosen> {
        let (name, feature) = (self.name(), self.feature());
        let Some(first) = self.first() else {
            bail!("{feature} is not in this build (cargo build -p vae-train --features {feature})");
        };
        let (name, devices) = if numbers.is_empty() {
            (name.to_owned(), vec![ask(name, first)?])
        } else {
            let all = self.all();
            let Some(last) = all.len().checked_sub(1) else {
                ask(name, first)?;
                bail!("{name} has no devices by number here (hint: go without --devices)");
            };
            let there = |&number: &usize| {
                let device = all.get(number).cloned();
                let numbers = match last {
                    0 => "there is only 0".to_owned(),
                    _ => format!("they are 0 to {last}"),
                };
                device.with_context(|| format!("{name} has no device {number}, {numbers}"))
            };
            let devices = numbers.iter().map(there).collect::<Result<Vec<_>>>()?;
            let asked = numbers.iter().zip(devices);
            let devices = asked.map(|(number, device)| ask(&format!("{name} {number}"), device));
            let numbers: Vec<_> = numbers.iter().map(usize::to_string).collect();
            (format!("{name} {}", numbers.join(",")), devices.collect::<Result<Vec<_>>>()?)
        };
        #[cfg(any(feature = "libtorch", feature = "vulkan"))]
        let name = match self {
            Self::Libtorch | Self::Vulkan if !devices.iter().all(on_gpu) => {
                format!("{name} on the CPU")
            }
            _ => name,
        };
        let mut devices = devices.into_iter();
        let device = devices.next().context("it was asked for")?;
        Ok(Chosen { device, others: devices.collect(), name, passed_over: vec![] })
    }

    /// The device that is taken where none is named by its number; none where the kind is not in this build.
    fn first(self) -> Option<Device> {
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => Some(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(Device::cuda(0)),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => {
                // Where there is none, the driver says why.
                let any = || Device::new(on_vulkan(WgpuDeviceKind::DefaultDevice));
                Some(vulkan().into_iter().next().unwrap_or_else(any))
            }
            #[cfg(feature = "metal")]
            Self::Metal => Some(Device::metal(DeviceKind::DefaultDevice)),
            #[cfg(feature = "libtorch")]
            Self::Libtorch => libtorch().into_iter().next(),
            #[allow(unreachable_patterns, reason = "reached by the devices not compiled in")]
            _ => None,
        }
    }

    /// The devices of a kind by their numbers, none of which is opened: the CPU counts as one for every thread, and
    /// each of those that are taken gets its part of the threads. None where a kind has no numbers.
    fn all(self) -> Vec<Device> {
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => vec![Device::flex(); rayon::current_num_threads()],
            #[cfg(feature = "cuda")]
            Self::Cuda => list(burn::tensor::DeviceType::Cuda),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => vulkan(),
            #[cfg(feature = "metal")]
            Self::Metal => list(burn::tensor::DeviceType::Metal),
            #[cfg(feature = "libtorch")]
            Self::Libtorch => libtorch(),
            #[allow(unreachable_patterns, reason = "reached by the devices not compiled in")]
            _ => vec![],
        }
    }

    /// Whether the kind is in this build.
    fn built(self) -> bool {
        match self {
            Self::Auto => true,
            Self::Cpu => cfg!(feature = "flex"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Libtorch => cfg!(feature = "libtorch"),
        }
    }

    fn name(self) -> &'static str {
        if self == Self::Cpu { "cpu" } else { self.feature() }
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

/// Whether images lie channels last on a device, as its convolutions take them.
#[allow(deprecated, reason = "Burn deprecates its way to libtorch")]
pub(crate) fn channels_last(device: &Device) -> bool {
    match device.as_dispatch() {
        #[cfg(feature = "libtorch")]
        DispatchDevice::LibTorch(LibTorchDevice::Cuda(_)) => !vae_models::full_precision(),
        _ => false,
    }
}

/// The GPUs of libtorch, or else the CPU.
#[cfg(feature = "libtorch")]
#[allow(deprecated, reason = "Burn deprecates its way to libtorch")]
fn libtorch() -> Vec<Device> {
    let gpus: Vec<_> = (0..tch::Cuda::device_count() as usize).map(Device::libtorch_cuda).collect();
    match gpus.is_empty() {
        false => gpus,
        true if tch::utils::has_mps() => vec![Device::libtorch_mps()],
        true => vec![Device::libtorch()],
    }
}

/// The GPUs of Vulkan, or else the driver that computes on the CPU. None is opened.
#[cfg(feature = "vulkan")]
fn vulkan() -> Vec<Device> {
    use WgpuDeviceKind::{Cpu, DiscreteGpu, IntegratedGpu, Other, VirtualGpu};
    // A driver may break down when it is asked.
    let number =
        |first: CubeDevice| quietly(|| CubeDevice::enumerate(first.id()).len()).unwrap_or_default();
    let all = |kind: fn(usize) -> WgpuDeviceKind| {
        let devices = (0..number(on_vulkan(kind(0)))).map(kind);
        devices.map(on_vulkan).map(Device::new)
    };
    let gpus: Vec<_> =
        [DiscreteGpu, IntegratedGpu, VirtualGpu, Other].into_iter().flat_map(all).collect();
    let driver = on_vulkan(Cpu);
    if gpus.is_empty() && number(driver.clone()) > 0 { vec![Device::new(driver)] } else { gpus }
}

/// A device of a kind through Vulkan and no other interface; its kernels are WGSL, since the build has no SPIR-V.
#[cfg(feature = "vulkan")]
fn on_vulkan(kind: WgpuDeviceKind) -> CubeDevice {
    CubeDevice::Wgpu(WgpuDevice::new(kind).on(WgpuBackend::Vulkan))
}

/// Whether one of libtorch's devices, or of Vulkan's, is none that computes on the CPU.
#[cfg(any(feature = "libtorch", feature = "vulkan"))]
#[allow(deprecated, reason = "Burn deprecates its way to libtorch")]
fn on_gpu(device: &Device) -> bool {
    #[cfg(feature = "vulkan")]
    if *device == Device::new(on_vulkan(WgpuDeviceKind::Cpu)) {
        return false;
    }
    #[cfg(feature = "libtorch")]
    if matches!(device.as_dispatch(), DispatchDevice::LibTorch(LibTorchDevice::Cpu)) {
        return false;
    }
    true
}

/// The devices that a driver names; none where it breaks down.
#[cfg(any(feature = "cuda", feature = "metal"))]
fn list(kind: burn::tensor::DeviceType) -> Vec<Device> {
    quietly(|| Device::enumerate(kind).into_vec()).unwrap_or_default()
}

/// A device that has added two numbers.
fn answer(name: &str, device: Device) -> Result<Device> {
    let answer = quietly(|| {
        let sum = Tensor::<1>::ones([2], &device).sum().into_scalar::<f32>();
        sum == 2.0
    });
    match answer {
        Ok(true) => Ok(device),
        Ok(false) => bail!("{name} gives wrong sums"),
        Err(reason) => bail!("{name} does not answer on this machine: {reason}"),
    }
}

/// Runs a closure, before anything else runs; what broke down first in it, on whichever thread, becomes the error, in
/// one line and without a word on standard error.
fn quietly<T>(run: impl FnOnce() -> T + UnwindSafe) -> Result<T, String> {
    let first = Arc::new(Mutex::new(None));
    let (seen, before) = (Arc::clone(&first), take_hook());
    set_hook(Box::new(move |info| {
        let mut first = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let message = info.payload_as_str().unwrap_or_default();
        *first = first.take().or_else(|| message.lines().next().map(str::to_owned));
    }));
    let answer = catch_unwind(run);
    set_hook(before);
    let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
    answer.map_err(|_| first.unwrap_or_else(|| "no reason given".to_owned()))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use rayon::ThreadPoolBuilder;

    use super::*;

    /// What comes of a choice on a CPU of four threads, and the devices that were opened for it: number 0 does not answer.
    fn opened(kind: DeviceName, numbers: &[usize]) -> (Result<Chosen>, Vec<String>) {
        let pool = ThreadPoolBuilder::new().num_threads(4).build().expect("few threads");
        let mut opened = vec![];
        let mut ask = |name: &str, device| {
            opened.push(name.to_owned());
            if name == "cpu 0" { bail!("{name} is taken") } else { Ok(device) }
        };
        let chosen = pool.install(|| kind.choose(numbers, &mut ask));
        (chosen, opened)
    }

    #[test]
    fn what_broke_down_first_is_the_reason_in_one_line() {
        let driver = || std::thread::spawn(|| panic!("no driver\nin any folder")).join();
        let broken = quietly(|| driver().map_or_else(|_| panic!("the server is gone"), |()| 1));
        assert_eq!(broken, Err("no driver".into()));
        assert_eq!(quietly(|| 1), Ok(1));
    }

    #[test]
    fn only_the_devices_that_are_named_are_opened() {
        for kind in [DeviceName::Cpu, DeviceName::Auto] {
            let (chosen, names) = opened(kind, &[2, 3]);
            let chosen = chosen.expect("nobody has those two");
            assert_eq!((chosen.name.as_str(), chosen.others.len()), ("cpu 2,3", 1));
            assert_eq!(names, ["cpu 2", "cpu 3"]);
            let (chosen, names) = opened(kind, &[]);
            assert_eq!((chosen.expect("one").name.as_str(), names), ("cpu", vec!["cpu".into()]));
        }
    }

    #[test]
    fn a_number_that_is_not_there_opens_nothing_and_one_that_is_taken_is_named() {
        for kind in [DeviceName::Cpu, DeviceName::Auto] {
            let (chosen, names) = opened(kind, &[1, 4]);
            let error = chosen.expect_err("there are four").to_string();
            assert!(error.contains("cpu has no device 4, they are 0 to 3"), "{error}");
            assert!(names.is_empty(), "{names:?}");
            let (chosen, names) = opened(kind, &[1, 0]);
            assert_eq!(chosen.expect_err("the first is taken").to_string(), "cpu 0 is taken");
            assert_eq!(names, ["cpu 1", "cpu 0"]);
        }
    }
}
