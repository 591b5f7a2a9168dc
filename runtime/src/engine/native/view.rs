//! Where the numbers of a tensor lie.

/// A tensor of one image as a part of a value's memory. Moving axes, cutting, joining and repeating are
/// views; only what a kernel cannot read so is copied.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub(super) value: usize,
    pub(super) offset: usize,
    /// The axes behind the batch, each as factors of its size from the outermost to the innermost.
    pub(super) axes: Vec<Vec<Factor>>,
    /// Zeros around an image: above, left, below and right of it.
    pub(super) halo: [usize; 4],
}

/// Part of an axis: `size` places, `stride` numbers apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Factor {
    pub(super) size: usize,
    pub(super) stride: usize,
}

/// An image with one factor an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picture {
    /// Channels, height, width.
    pub(super) dims: [usize; 3],
    /// From one to the next of each.
    pub(super) strides: [usize; 3],
}

impl View {
    /// Row-major memory.
    pub(super) fn row_major(value: usize, dims: &[usize]) -> Self {
        let mut stride = 1;
        let mut axes: Vec<Vec<Factor>> = vec![];
        for &size in dims.iter().rev() {
            axes.push(vec![Factor { size, stride }]);
            stride *= size;
        }
        axes.reverse();
        Self { value, offset: 0, axes, halo: [0; 4] }
    }

    /// An image with the channels of a pixel side by side, and zeros around it.
    pub(super) fn channels_last(value: usize, dims: [usize; 3], halo: [usize; 4]) -> Self {
        let [channels, height, width] = dims;
        let [above, left, _, right] = halo;
        let row = (left + width + right) * channels;
        let axes = [(channels, 1), (height, row), (width, channels)];
        let axes = axes.map(|(size, stride)| vec![Factor { size, stride }]).to_vec();
        Self { value, offset: above * row + left * channels, axes, halo }
    }

    /// An image whose channels lie one after the other, each with zeros around it.
    pub(super) fn planes(value: usize, dims: [usize; 3], halo: [usize; 4]) -> Self {
        let [channels, height, width] = dims;
        let [above, left, below, right] = halo;
        let row = left + width + right;
        let plane = (above + height + below) * row;
        let axes = [(channels, plane), (height, row), (width, 1)];
        let axes = axes.map(|(size, stride)| vec![Factor { size, stride }]).to_vec();
        Self { value, offset: above * row + left, axes, halo }
    }

    /// The memory of an image with zeros around it.
    pub(super) fn image_len([channels, height, width]: [usize; 3], halo: [usize; 4]) -> usize {
        let [above, left, below, right] = halo;
        (above + height + below) * (left + width + right) * channels
    }

    /// The sizes of the axes.
    pub(super) fn dims(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.iter().map(|factor| factor.size).product()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.dims().iter().product()
    }

    /// The same numbers as axes of other sizes; `None` where an axis would have to be split inside a
    /// factor.
    pub(super) fn reshaped(&self, dims: &[usize]) -> Option<Self> {
        let mut left: Vec<Factor> = self.factors().rev().collect();
        let mut axes = vec![];
        for &size in dims {
            let (mut axis, mut missing) = (vec![], size);
            while missing > 1 {
                let factor = left.pop()?;
                if missing.is_multiple_of(factor.size) {
                    missing /= factor.size;
                    axis.push(factor);
                } else if factor.size.is_multiple_of(missing) {
                    let inner = factor.size / missing;
                    axis.push(Factor { size: missing, stride: factor.stride * inner });
                    left.push(Factor { size: inner, stride: factor.stride });
                    missing = 1;
                } else {
                    return None;
                }
            }
            if axis.is_empty() {
                axis.push(Factor { size: 1, stride: 0 });
            }
            axes.push(axis);
        }
        left.is_empty().then_some(Self { axes, halo: [0; 4], ..self.clone() })
    }

    /// The axes in another order.
    pub(super) fn transposed(&self, order: &[usize]) -> Self {
        let axes = order.iter().map(|&axis| self.axes[axis].clone()).collect();
        Self { axes, halo: [0; 4], ..self.clone() }
    }

    /// `size` places of an axis from `first` on; `None` where the axis has several factors.
    pub(super) fn part(&self, axis: usize, first: usize, size: usize) -> Option<Self> {
        let &[factor] = &self.axes[axis][..] else { return None };
        let mut part = self.clone();
        part.axes[axis] = vec![Factor { size, ..factor }];
        part.offset += first * factor.stride;
        if axis > 0 && (first, size) != (0, factor.size) {
            part.halo = [0; 4];
        }
        Some(part)
    }

    /// Every place of an axis `times` over.
    pub(super) fn repeated(&self, axis: usize, times: usize) -> Self {
        let mut repeated = self.clone();
        repeated.axes[axis].push(Factor { size: times, stride: 0 });
        repeated.halo = [0; 4];
        repeated
    }

    /// The image, where every axis is one factor.
    pub(super) fn picture(&self) -> Option<Picture> {
        let [c, h, w] = &self.axes[..] else { return None };
        let single = |axis: &[Factor]| match *axis {
            [factor] => Some((factor.size, factor.stride)),
            _ => None,
        };
        let ((c, cs), (h, hs), (w, ws)) = (single(c)?, single(h)?, single(w)?);
        Some(Picture { dims: [c, h, w], strides: [cs, hs, ws] })
    }

    /// The factors that have more than one place, from the outermost axis on.
    fn factors(&self) -> impl DoubleEndedIterator<Item = Factor> {
        self.axes.iter().flatten().copied().filter(|factor| factor.size > 1)
    }

    /// Where every number lies behind the first, in row-major order of the axes; `None` where they do
    /// not fill a stretch of memory.
    pub(super) fn places(&self) -> Option<Vec<usize>> {
        let mut sorted: Vec<Factor> = self.factors().collect();
        sorted.sort_by_key(|factor| factor.stride);
        let mut filled = 1;
        for factor in sorted {
            if factor.stride != filled {
                return None;
            }
            filled *= factor.size;
        }
        let mut places = vec![0];
        for factor in self.factors() {
            let step = |place: usize| (0..factor.size).map(move |i| place + i * factor.stride);
            places = places.into_iter().flat_map(step).collect();
        }
        Some(places)
    }
}

/// Axes of equal sizes that several views are walked along, with the strides in each of them.
pub(super) type Walk<const N: usize> = Vec<(usize, [usize; N])>;

/// The longest common axes of views of one shape, from the outermost to the innermost; `None` where the
/// factors of one cut those of another.
pub(super) fn walk<const N: usize>(views: [&View; N]) -> Option<Walk<N>> {
    let mut left = views.map(|view| view.factors().collect::<Vec<_>>());
    let mut axes: Walk<N> = vec![];
    while left[0].last().is_some() {
        let mut size = usize::MAX;
        for factors in &left {
            size = size.min(factors.last()?.size);
        }
        let mut strides = [0; N];
        for (factors, stride) in left.iter_mut().zip(&mut strides) {
            let factor = factors.pop()?;
            *stride = factor.stride;
            if !factor.size.is_multiple_of(size) {
                return None;
            }
            if factor.size > size {
                let stride = factor.stride * size;
                factors.push(Factor { size: factor.size / size, stride });
            }
        }
        match axes.last_mut() {
            Some((inner, inner_strides))
                if (0..N).all(|n| strides[n] == *inner * inner_strides[n]) =>
            {
                *inner *= size;
            }
            _ => axes.push((size, strides)),
        }
    }
    axes.reverse();
    left.iter().all(Vec::is_empty).then_some(axes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_flattened_without_being_moved() {
        let image = View::channels_last(0, [2, 3, 4], [0; 4]);
        let flat = image.reshaped(&[24]).expect("factors join");
        assert_eq!(flat.places().expect("it fills its memory")[..6], [0, 2, 4, 6, 8, 10]);
        assert_eq!(flat.reshaped(&[2, 3, 4]), Some(image));
        assert_eq!(flat.reshaped(&[6, 4]).map(|view| view.dims()), Some(vec![6, 4]));
        assert_eq!(flat.reshaped(&[5, 5]), None);
    }

    #[test]
    fn a_halo_leaves_gaps() {
        let image = View::channels_last(0, [2, 3, 4], [1, 1, 1, 1]);
        assert_eq!(View::image_len([2, 3, 4], image.halo), 5 * 6 * 2);
        assert_eq!(image.places(), None);
        assert_eq!(image.offset, 12 + 2);
    }

    #[test]
    fn views_are_walked_along_common_axes() {
        let planes = View::row_major(0, &[2, 3, 4]);
        let last = View::channels_last(1, [2, 3, 4], [0; 4]);
        assert_eq!(walk([&planes, &planes]), Some(vec![(24, [1, 1])]));
        assert_eq!(walk([&planes, &last]), Some(vec![(2, [12, 1]), (12, [1, 2])]));
        let large = View::row_major(0, &[1, 2, 2]).repeated(1, 3).repeated(2, 2);
        let target = View::row_major(1, &[1, 6, 4]);
        let expected = vec![(2, [2, 12]), (3, [0, 4]), (2, [1, 2]), (2, [0, 1])];
        assert_eq!(walk([&large, &target]), Some(expected));
    }
}
