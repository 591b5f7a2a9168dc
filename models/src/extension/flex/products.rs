use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::tiles::{Columns, Table, table, tiles};

/// What weights and channels of small images meet, multiplied and summed over positions and images: the gradient of
/// the weights.
pub(super) struct Products<'a> {
    /// The planes of large images.
    pub(super) planes: &'a [f32],
    /// Numbers of an image there.
    pub(super) image: usize,
    /// Where every weight's stretch begins, of every image.
    pub(super) offsets: &'a [usize],
    pub(super) small: Small<'a>,
    /// Room for what the stretches meet.
    pub(super) panel: &'a mut Vec<f32>,
    /// `[K, O]`, of which a row is whole vectors long.
    pub(super) sums: &'a mut [f32],
}

/// Lines of small images, at positions that follow one another.
pub(super) struct Small<'a> {
    /// `[B, O, H, W]`
    pub(super) images: &'a [f32],
    pub(super) shape: [usize; 3],
    pub(super) lines: Range<usize>,
    /// Positions from a line to the next.
    pub(super) pitch: usize,
}

impl Small<'_> {
    fn positions(&self) -> usize {
        (self.lines.len() - 1) * self.pitch + self.shape[2]
    }

    /// Puts some channels' pixels side by side: `[B, N, V]`, with zeros at positions between the lines.
    #[inline(always)]
    fn turn(&self, channels: Range<usize>, width: usize, panel: &mut Vec<f32>) {
        let [all, height, line] = self.shape;
        let (image, positions) = (all * height * line, self.positions());
        panel.clear();
        panel.resize(self.images.len() / image * positions * width, 0.0);
        let images = self.images.chunks_exact(image).zip(panel.chunks_exact_mut(positions * width));
        for (image, panel) in images {
            for (lane, channel) in channels.clone().enumerate() {
                let pixels = &image[channel * height * line..][..height * line];
                let lines = pixels.chunks_exact(line).skip(self.lines.start);
                for (pixels, places) in lines.zip(panel.chunks_mut(self.pitch * width)) {
                    for (pixel, place) in pixels.iter().zip(places.chunks_exact_mut(width)) {
                        place[lane] = *pixel;
                    }
                }
            }
        }
    }
}

impl Products<'_> {
    pub(super) fn add(self) {
        Arch::new().dispatch(self);
    }
}

/// Those of `V` vectors of small channels.
struct Part<'a, const V: usize> {
    planes: &'a [f32],
    image: usize,
    offsets: &'a [usize],
    positions: usize,
    /// `[B, N, V]`
    panel: &'a [f32],
    /// From a row of sums to the next.
    stride: usize,
    sums: &'a mut [f32],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let columns = self.small.shape[0].div_ceil(S::F32_LANES);
        table(simd, &mut self, columns);
    }
}

impl Table for Products<'_> {
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, column: usize) {
        let (first, width) = (column * S::F32_LANES, V * S::F32_LANES);
        let channels = first..self.small.shape[0].min(first + width);
        self.small.turn(channels, width, self.panel);
        let &mut Self { planes, image, offsets, .. } = self;
        let (positions, stride) = (self.small.positions(), self.sums.len() / offsets.len());
        let (panel, sums) = (&self.panel[..], &mut self.sums[first..]);
        let mut part = Part::<V> { planes, image, offsets, positions, panel, stride, sums };
        tiles(simd, &mut part, offsets.len());
    }
}

impl<const V: usize> Columns for Part<'_, V> {
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(&mut self, simd: S, row: usize) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        let width = V * S::F32_LANES;
        let panels = self.panel.chunks_exact(self.positions * width);
        for (panel, planes) in panels.zip(self.planes.chunks(self.image)) {
            let panel = S::as_simd_f32s(panel).0.as_chunks::<V>().0;
            let mut met: [&[f32]; R] = [&[]; R];
            for (met, offset) in met.iter_mut().zip(&self.offsets[row..row + R]) {
                *met = &planes[*offset..][..panel.len()];
            }
            for (n, pixels) in panel.iter().enumerate() {
                for r in 0..R {
                    let number = simd.splat_f32s(met[r][n]);
                    for v in 0..V {
                        sums[r][v] = simd.mul_add_e_f32s(number, pixels[v], sums[r][v]);
                    }
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let place = &mut self.sums[(row + r) * self.stride..][..width];
            for (place, sum) in S::as_mut_simd_f32s(place).0.iter_mut().zip(sums) {
                *place = simd.add_f32s(*place, *sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::Scalar;

    use super::super::tiles::LANES;
    use super::*;

    /// Channels that fill no vector, weights for tiles of every height, lines with zeros between them.
    #[test]
    fn sums_are_those_of_a_plain_loop() {
        let (image, pitch, [height, width]) = (150, 6, [5, 4]);
        for [count, channels, weights] in [[1, 1, 1], [3, 5, 9], [2, 19, 13_usize]] {
            let numbers =
                |len: usize| (0..len).map(|n| (n as f32 * 0.71).sin()).collect::<Vec<_>>();
            let (planes, images) =
                (numbers(count * image), numbers(count * channels * height * width));
            let offsets: Vec<_> = (0..weights).map(|k| k * 11 % 100).collect();
            let stride = channels.next_multiple_of(LANES);
            let mut sums = vec![0.5; weights * stride];
            let mut plain = sums.clone();
            for (sums, portable) in [(&mut sums, false), (&mut plain, true)] {
                let lines = 1..height;
                let small =
                    Small { images: &images, shape: [channels, height, width], lines, pitch };
                let (planes, offsets, panel) = (&planes[..], &offsets[..], &mut vec![]);
                let products = Products { planes, image, offsets, small, panel, sums };
                if portable { Scalar.vectorize(products) } else { products.add() }
            }
            for (k, o) in (0..weights).flat_map(|k| (0..channels).map(move |o| (k, o))) {
                let mut expected = 0.5;
                for (b, y, x) in (0..count)
                    .flat_map(|b| (1..height).flat_map(move |y| (0..width).map(move |x| (b, y, x))))
                {
                    let pixel = images[((b * channels + o) * height + y) * width + x];
                    expected += planes[b * image + offsets[k] + (y - 1) * pitch + x] * pixel;
                }
                for found in [&sums, &plain].map(|sums| sums[k * stride + o]) {
                    assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
                }
            }
        }
    }
}
