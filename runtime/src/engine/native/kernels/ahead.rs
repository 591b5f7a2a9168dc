//! Weights that are asked for before they are needed.

/// Numbers between what is read and what is asked for where weights are read once: far enough that memory has
/// answered by then.
const DISTANCE: usize = 2048;

/// Weights that will be read next. To ask for them changes no result, and they need not be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    place: *const f32,
    len: usize,
}

/// What is asked for while a block of positions goes from one input to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    place: *const f32,
    step: usize,
}

impl Next {
    /// The first `len` of some numbers.
    #[inline(always)]
    pub(super) fn of<T>(numbers: &[T], len: usize) -> Self {
        Self { place: numbers.as_ptr().cast(), len: len.min(numbers.len()) }
    }

    /// The share of a block, of so many that read `weights` one after the other. If there is but one, it asks for
    /// its own.
    #[inline(always)]
    pub(super) fn share<T>(
        self,
        weights: &[T],
        block: usize,
        blocks: usize,
        depth: usize,
    ) -> Ahead {
        let (place, len) = match blocks {
            1 => (weights.as_ptr().cast::<f32>().wrapping_add(DISTANCE), size_of_val(weights) / 4),
            _ => (self.place.wrapping_add(block * self.len / blocks), self.len / blocks),
        };
        Ahead { place, step: len.div_ceil(depth.max(1)) }
    }
}

impl Ahead {
    /// Asks for the line with what belongs to one input; processors fetch that line's neighbour too.
    #[inline(always)]
    pub(super) fn ask(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if let Some(sse) = pulp::core_arch::x86::Sse::try_new() {
            sse._mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(self.place.cast());
        }
        self.place = self.place.wrapping_add(self.step);
    }
}
