//! The memory of steps on the CPU, which free and ask for hundreds of tensors.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set_default, mi_option_t, mi_option_use_numa_nodes};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay`, which has no name of its own among the bindings: the one before this.
const PURGE_DELAY: mi_option_t = mi_option_use_numa_nodes - 1;
/// In milliseconds; the allocator's own is a second.
const KEPT: c_long = 10_000;

/// Lets memory that a step has freed stay for the next one, where the environment (`MIMALLOC_PURGE_DELAY`) does not say
/// how long: given back to the system and asked for again, it is cleared page by page, which takes up to a fifth of a step.
pub(crate) fn keep() {
    #[expect(unsafe_code, reason = "there is no safe way to the allocator's options")]
    // SAFETY: a number is stored in the allocator's table of options, which has a place for this one, before there are
    // other threads.
    unsafe {
        mi_option_set_default(PURGE_DELAY, KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_that_of_a_second() {
        #[expect(unsafe_code, reason = "there is no safe way to the allocator's options")]
        // SAFETY: a number is read from the allocator's table of options, which has a place for this one.
        let delay = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay, 1000);
    }
}
