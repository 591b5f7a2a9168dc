//! What this machine can do at most, as measured, and what this process has taken of it.

#[cfg(feature = "native")]
mod arithmetic;

use std::hint::black_box;
use std::time::Instant;

/// The words that are read to measure the memory: 64 MiB, which no core's own cache holds.
const WORDS: usize = 8 << 20;

/// How often the memory is read; the fastest time counts.
const PASSES: usize = 6;

/// The limits of this machine, as far as a few tens of milliseconds show them.
///
/// What else runs on the machine lowers them, so they are to be measured beside what is held
/// against them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// The threads whose arithmetic was measured: those asked for, at most one on every core.
    pub threads: usize,
    /// Operations a second that these threads do together on `f32` in registers, two for every fused
    /// multiplication and addition; `None` in a program without the feature `native`.
    pub flops: Option<f64>,
    /// Bytes a second that one thread reads in order from memory.
    pub bandwidth: f64,
}

impl Machine {
    /// Measures it with so many threads, at least one.
    pub fn measure(threads: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.clamp(1, cores);
        #[cfg(feature = "native")]
        let flops = Some(arithmetic::peak(threads));
        #[cfg(not(feature = "native"))]
        let flops = None;
        Self { threads, flops, bandwidth: bandwidth() }
    }
}

fn bandwidth() -> f64 {
    let words = vec![1_u64; WORDS];
    let seconds = (0..PASSES).map(|_| {
        let start = Instant::now();
        let sum = black_box(&words).iter().fold(0, |sum: u64, &word| sum.wrapping_add(word));
        black_box(sum);
        start.elapsed().as_secs_f64()
    });
    size_of_val(words.as_slice()) as f64 / seconds.fold(f64::INFINITY, f64::min)
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
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(machine.threads, cores);
        assert_eq!(machine.flops.is_some(), cfg!(feature = "native"));
        let limits = [machine.bandwidth, machine.flops.unwrap_or(1.0)];
        assert!(limits.iter().all(|limit| limit.is_finite() && *limit > 0.0), "{machine:?}");
    }
}
