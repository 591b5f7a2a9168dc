//! What this machine can do at most, as measured, and what this process has taken of it.

#[cfg(feature = "native")]
mod arithmetic;
#[cfg(feature = "native")]
mod reading;

/// The limits of this machine, as far as a tenth of a second shows them.
///
/// What else runs on the machine lowers them, so they are to be measured beside what is held
/// against them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// The threads whose arithmetic was measured: those asked for, at most one on every core.
    pub threads: usize,
    /// Operations a second that these threads do together on `f32` in registers, two for every fused
    /// multiplication and addition.
    pub flops: f64,
    /// Bytes a second that one thread reads of 64 MiB, of eight stretches at a time.
    pub bandwidth: f64,
}

impl Machine {
    /// Measures it with so many threads, at least one; `None` in a program without the feature
    /// `native`, which has the vector instructions.
    pub fn measure(threads: usize) -> Option<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        limits(threads.clamp(1, cores))
    }
}

#[cfg(feature = "native")]
fn limits(threads: usize) -> Option<Machine> {
    let (flops, bandwidth) = (arithmetic::peak(threads), reading::bandwidth());
    Some(Machine { threads, flops, bandwidth })
}

#[cfg(not(feature = "native"))]
fn limits(_: usize) -> Option<Machine> {
    None
}

/// The most memory, in bytes, that this process has had resident up to now: `VmHWM` of
/// `/proc/self/status`. `None` where the system has no such file.
pub fn peak_memory() -> Option<u64> {
    resident(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_what_the_kernel_writes() {
        let status = "Name:\tcat\nVmPeak:\t    5752 kB\nVmHWM:\t    1536 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(resident(status), Some(1536 << 10));
        assert_eq!(resident("VmHWM:\t1536\n"), None);
        assert_eq!(resident("VmHWM:\t18446744073709551615 kB\n"), None);
        assert_eq!(peak_memory().is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    fn limits_are_numbers_and_threads_are_cores_at_most() {
        let machine = Machine::measure(usize::MAX);
        assert_eq!(machine.is_some(), cfg!(feature = "native"));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if let Some(Machine { threads, flops, bandwidth }) = machine {
            assert_eq!(threads, cores);
            assert!(flops.is_finite() && flops > 0.0, "{flops}");
            assert!(bandwidth.is_finite() && bandwidth > 0.0, "{bandwidth}");
        }
    }
}
