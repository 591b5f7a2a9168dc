//! Weights that are asked for before they are needed.

/// Numbers between what is read and what is asked for where weights are read once: far enough that memory has
/// answered by then.
const DISTANCE: usize = 2048;

/// Weights that will be read next. To ask for them changes no result, and they need not be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    place: *const f32,
    /// The space that they take, in numbers of single precision.
    len: usize,
}

/// What is asked for while a block of positions goes from one input to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    place: *const f32,
    /// From a block's to the next one's.
    hop: usize,
    step: usize,
}

impl Next {
    #[inline(always)]
    pub(super) fn of<T>(weights: &[T]) -> Self {
        Self { place: weights.as_ptr().cast(), len: size_of_val(weights) / size_of::<f32>() }
    }

    /// What so many blocks ask for, which read `weights` of `depth` inputs one after the other: a share of these
    /// numbers each. If there is but one, it asks for its own.
    #[inline(always)]
    pub(super) fn share(self, weights: &[f32], blocks: usize, depth: usize) -> Ahead {
        let (place, hop) = match blocks {
            0 | 1 => (weights.as_ptr().wrapping_add(DISTANCE), weights.len()),
            _ => (self.place, self.len / blocks),
        };
        Ahead { place, hop, step: hop.div_ceil(depth.max(1)) }
    }
}

impl Ahead {
    /// What the block with a number asks for.
    #[inline(always)]
    pub(super) fn of_block(self, number: usize) -> Self {
        Self { place: self.place.wrapping_add(number * self.hop), ..self }
    }

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
