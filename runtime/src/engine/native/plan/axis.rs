//! Windows along one axis of an image.

use crate::graph::Node;

/// Positions along an axis, and the inputs that each is a sum over.
///
/// Position `i` reads input `i * step + offset` for every tap, and is output `first + i * stride`. A
/// convolution has one such set of positions; a transposed one of stride `s` has `s`, one for every
/// output modulo `s`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// The kernel's places and where they read, with offsets that rise.
    pub(super) taps: Vec<(usize, isize)>,
    pub(super) step: usize,
    pub(super) count: usize,
    pub(super) first: usize,
    pub(super) stride: usize,
}

/// A window along an axis, as the operator has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    dilation: usize,
    pub(super) before: usize,
}

impl Window {
    /// The windows of an operator over height and width.
    pub(super) fn of(
        node: &Node,
        kernel: [usize; 2],
        sizes: [usize; 2],
        outputs: [usize; 2],
    ) -> Result<[Self; 2], String> {
        let transposed = node.operator() == "ConvTranspose";
        let numbers = |name, default| -> Result<[usize; 2], String> {
            let Some(given) = node.ints(name).filter(|given| !given.is_empty()) else {
                return Ok([default; 2]);
            };
            let number = |i: usize| given.get(i).and_then(|&v| usize::try_from(v).ok());
            match (number(0), number(1)) {
                (Some(first), Some(second)) => Ok([first, second]),
                _ => Err(format!("has {name} {given:?}")),
            }
        };
        let (strides, dilations) = (numbers("strides", 1)?, numbers("dilations", 1)?);
        let pads = numbers("pads", 0)?;
        let window = |axis: usize| {
            let (stride, dilation) = (strides[axis], dilations[axis]);
            let extent = (kernel[axis] - 1) * dilation + 1;
            // What is added on both sides, where the operator says how large the result is to be.
            let reach = |positions: usize| (positions - 1) * stride + extent;
            let total = match transposed {
                true => reach(sizes[axis]).saturating_sub(outputs[axis]),
                false => reach(outputs[axis]).saturating_sub(sizes[axis]),
            };
            let before = match node.text("auto_pad") {
                b"" | b"NOTSET" => pads[axis],
                b"VALID" => 0,
                b"SAME_LOWER" => total - total / 2,
                _ => total / 2,
            };
            Self { kernel: kernel[axis], stride, dilation, before }
        };
        let shaped = node.ints("output_shape").is_some();
        if transposed && (shaped || node.text("auto_pad").starts_with(b"SAME")) {
            return Err("has padding that follows from the size of its output".into());
        }
        Ok([window(0), window(1)])
    }

    /// The positions of a convolution.
    pub(super) fn convolution(&self, count: usize) -> Vec<Axis> {
        let tap = |tap| (tap, (tap * self.dilation) as isize - self.before as isize);
        let taps = (0..self.kernel).map(tap).collect();
        vec![Axis { taps, step: self.stride, count, first: 0, stride: 1 }]
    }

    /// The positions of a transposed convolution, by phases.
    pub(super) fn transposed(&self, count: usize) -> Vec<Axis> {
        let stride = self.stride as isize;
        let phase = |first: usize| {
            let mut taps: Vec<(usize, isize)> = (0..self.kernel)
                .map(|tap| (tap, (first + self.before) as isize - (tap * self.dilation) as isize))
                .filter(|(_, distance)| distance.rem_euclid(stride) == 0)
                .map(|(tap, distance)| (tap, distance.div_euclid(stride)))
                .collect();
            taps.sort_by_key(|(_, offset)| *offset);
            let count = count.saturating_sub(first).div_ceil(self.stride);
            Axis { taps, step: 1, count, first, stride: self.stride }
        };
        (0..self.stride.min(count)).map(phase).filter(|axis| axis.count > 0).collect()
    }
}

impl Axis {
    /// The positions of `size` outputs from `from` on; `None` where there are none.
    pub(super) fn part(&self, from: usize, size: usize) -> Option<Self> {
        let before =
            |end: usize| end.saturating_sub(self.first).div_ceil(self.stride).min(self.count);
        let (begin, end) = (before(from), before(from + size));
        let further = (begin * self.step) as isize;
        let taps = self.taps.iter().map(|(tap, place)| (*tap, place + further)).collect();
        let first = (self.first + begin * self.stride).saturating_sub(from);
        (begin < end).then_some(Self { taps, count: end - begin, first, ..*self })
    }

    /// The zeros that are read before and behind an input of a size.
    pub(super) fn halo(&self, size: usize) -> [usize; 2] {
        let (Some((_, least)), Some((_, most))) = (self.taps.first(), self.taps.last()) else {
            return [0; 2];
        };
        let last = ((self.count - 1) * self.step) as isize + most;
        let behind = last - (size as isize - 1);
        [(-least).max(0) as usize, behind.max(0) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_convolution_has_phases() {
        let window = Window { kernel: 3, stride: 2, dilation: 1, before: 1 };
        let [even, odd] = &window.transposed(14)[..] else { panic!("two phases") };
        assert_eq!(even.taps, [(1, 0)], "even rows read tap 1 at their own place");
        assert_eq!(odd.taps, [(2, 0), (0, 1)], "odd ones tap 2 there and tap 0 one further");
        assert_eq!((even.halo(7), odd.halo(7)), ([0, 0], [0, 1]));
    }

    #[test]
    fn a_part_has_the_outputs_that_are_kept() {
        let window = Window { kernel: 3, stride: 2, dilation: 1, before: 1 };
        let [even, odd] = &window.transposed(14)[..] else { panic!("two phases") };
        let [even, odd] = [even, odd].map(|axis| axis.part(3, 6).expect("positions are kept"));
        assert_eq!((even.count, even.first, even.taps), (3, 1, vec![(1, 2)]), "outputs 4, 6 and 8");
        let taps = vec![(2, 1), (0, 2)];
        assert_eq!((odd.count, odd.first, odd.taps), (3, 0, taps), "outputs 3, 5 and 7");
        assert_eq!(window.transposed(14)[0].part(3, 1), None, "output 3 is of the other phase");
        let window = Window { kernel: 3, stride: 2, dilation: 1, before: 1 };
        let part = window.convolution(14)[0].part(2, 5).expect("positions are kept");
        assert_eq!((part.count, part.first, part.taps[0]), (5, 0, (0, 3)));
    }

    #[test]
    fn a_convolution_reads_over_the_edge() {
        let window = Window { kernel: 3, stride: 2, dilation: 1, before: 1 };
        let [axis] = &window.convolution(14)[..] else { panic!("one set of positions") };
        assert_eq!(axis.halo(28), [1, 0], "the last window ends with the input");
        assert_eq!(window.convolution(14)[0].halo(27), [1, 1]);
    }
}
