//! Weights in half precision, widened as they are read.

mod bits;
#[cfg(target_arch = "x86_64")]
mod f16c;

use std::ops::Range;

use half::f16;
use pulp::{Arch, NullaryFnOnce, Simd, WithSimd};

use super::super::pack::{Panels, Weights};
use super::ahead::Next;
use super::correlate::{Correlate, Panel};
use super::few::Reader;
use bits::Bits;
#[cfg(target_arch = "x86_64")]
use f16c::F16c;

/// How the weights of an input and two vectors of outputs lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum HalfOrder {
    /// Those of the first vector in the lower halves of words, those of the second in the upper ones; a weight `w` as
    /// `w 2^shift`, for which none is subnormal.
    Words,
    /// One after the other.
    #[cfg(target_arch = "x86_64")]
    Sequence,
}

/// Weights in IEEE 754 half precision, two in a word.
#[derive(Debug)]
pub(in super::super) struct Halves {
    pairs: Vec<u32>,
    shift: i32,
}

impl Halves {
    /// The weights of panels of `width` outputs, input by input, which are numbers in half precision; `None` where that has
    /// no room for the least and for the largest of them as words.
    pub(in super::super) fn pack(values: &[f32], width: usize, order: HalfOrder) -> Option<Self> {
        let shift = match order {
            HalfOrder::Words => shift(values)?,
            #[cfg(target_arch = "x86_64")]
            HalfOrder::Sequence => 0,
        };
        let half = |value: f32| u32::from(f16::from_f32(value * 2.0_f32.powi(shift)).to_bits());
        let word = |[low, high]: [f32; 2]| half(low) | half(high) << 16;
        let pairs = match order {
            HalfOrder::Words => {
                let words = values.chunks_exact(width).flat_map(|both| {
                    let (low, high) = both.split_at(width / 2);
                    low.iter().zip(high).map(|(low, high)| word([*low, *high]))
                });
                words.collect()
            }
            #[cfg(target_arch = "x86_64")]
            HalfOrder::Sequence => values.as_chunks().0.iter().map(|pair| word(*pair)).collect(),
        };
        Some(Self { pairs, shift })
    }

    /// The space that they take.
    pub(in super::super) fn bytes(&self) -> usize {
        self.pairs.len() * 4
    }

    /// The words of the panel, of two vectors of outputs, that begins with an output: a vector of them an input.
    #[inline(always)]
    fn panel<S: Simd>(panels: &Panels, output: usize) -> &[S::u32s] {
        let Weights::Halves(halves) = &panels.weights else { return &[] };
        let words = &halves.pairs[output * panels.depth / 2..][..S::F32_LANES * panels.depth];
        S::as_simd_u32s(words).0
    }
}

/// The power of two that makes all but zero normal numbers in half precision.
fn shift(values: &[f32]) -> Option<i32> {
    let sizes = || values.iter().map(|value| value.abs());
    let least = sizes().filter(|&size| size > 0.0).fold(f32::INFINITY, f32::min);
    let most = sizes().fold(0.0, f32::max);
    let shift = 14 - most.max(2.0_f32.powi(-40)).log2().floor() as i32;
    let fits = least * 2.0_f32.powi(shift) >= 2.0_f32.powi(-14);
    fits.then_some(shift)
}

/// What a processor widens with.
#[derive(Debug, Clone, Copy)]
pub(super) enum HalfArch {
    #[cfg(target_arch = "x86_64")]
    F16c(F16c),
    Bits(Arch),
}

impl HalfArch {
    pub(super) fn of(arch: Arch) -> Self {
        match arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V3(v3) => F16c::of(v3).map_or(Self::Bits(arch), Self::F16c),
            _ => Self::Bits(arch),
        }
    }

    pub(super) fn order(self) -> HalfOrder {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::F16c(_) => HalfOrder::Sequence,
            Self::Bits(_) => HalfOrder::Words,
        }
    }

    /// Runs a layer whose weights are in half precision.
    pub(super) fn run(self, layer: Correlate) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::F16c(f16c) => f16c.vectorize(Layer { reader: f16c, layer }),
            Self::Bits(arch) => arch.dispatch(OfBits(layer)),
        }
    }
}

struct OfBits<'a>(Correlate<'a>);

impl WithSimd for OfBits<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Weights::Halves(halves) = &self.0.panels.weights else { return };
        Layer { reader: Bits::new(simd, halves), layer: self.0 }.call();
    }
}

struct Layer<'a, R> {
    reader: R,
    layer: Correlate<'a>,
}

impl<R: Reader> NullaryFnOnce for Layer<'_, R> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { reader, mut layer } = self;
        for rows in layer.strips(4) {
            layer.rows = rows;
            layer.halves(reader);
        }
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn halves<R: Reader>(&mut self, reader: R) {
        let width = 2 * R::Simd::F32_LANES;
        // The last panel is filled up with zeros.
        let Range { start, end } = self.outputs;
        let whole = start..end.next_multiple_of(width);
        let at_once = (R::Simd::REGISTER_COUNT - 7) / 2;
        match self.positions().len() {
            1 => {
                let next = self.few::<R, 1, 2>(reader, whole.clone());
                self.few::<R, 1, 1>(reader, next..whole.end)
            }
            2 => self.few::<R, 2, 1>(reader, whole),
            3 => self.few::<R, 3, 1>(reader, whole),
            4 => self.few::<R, 4, 1>(reader, whole),
            5..=8 if at_once >= 8 => self.few::<R, 8, 1>(reader, whole),
            9..=12 if at_once >= 12 => self.few::<R, 12, 1>(reader, whole),
            _ => {
                self.widened(reader);
                end
            }
        };
    }

    /// More positions than are computed at once: every panel is widened once for all.
    #[inline(always)]
    fn widened<R: Reader>(&mut self, reader: R) {
        let (panels, simd, width) = (self.panels, reader.simd(), 2 * R::Simd::F32_LANES);
        let mut room = std::mem::take(self.room);
        room.resize((width * panels.depth).max(room.len()), 0.0);
        for output in self.outputs.clone().step_by(width) {
            let pairs = reader.panel(panels, output);
            let vectors = R::Simd::as_mut_simd_f32s(&mut room).0;
            for (pair, vectors) in pairs.iter().zip(vectors.as_chunks_mut().0) {
                *vectors = reader.pair(pair);
            }
            let next = match output + width < self.outputs.end {
                true => reader.panel(panels, output + width),
                false => &[],
            };
            let panel = Panel {
                output,
                bias: &panels.bias[output..],
                weights: &room[..width * panels.depth],
                next: Next::of(next),
            };
            self.panel::<_, 2>(simd, &panel);
        }
        *self.room = room;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_room_for_normal_numbers_alone() {
        let least = 2.0_f32.powi(-24);
        let pack = |values: [f32; 2], order| Halves::pack(&values, 2, order);
        assert!(pack([least, 31.0], HalfOrder::Words).is_some());
        assert!(pack([least, 6e4], HalfOrder::Words).is_none());
        #[cfg(target_arch = "x86_64")]
        assert!(pack([least, 6e4], HalfOrder::Sequence).is_some());
    }
}
