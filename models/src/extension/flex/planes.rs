use rayon::prelude::*;

use super::carry::{Carry, Pixels, Side};
use super::correlation::Correlation;
use super::tiles::LANES;
use super::window::Window;

/// How images lie while a convolution is at work on them: a plane for every channel of the small image, and for
/// every channel of the large one as many as the stride has remainders of a row's and a column's number, its *phases*.
///
/// In a phase, the pixels that one weight meets at consecutive windows lie side by side, and so do in a small image's
/// plane the pixels that one weight carries to consecutive pixels of a phase. A line's zeros are before its
/// pixels; those behind them are the next line's. All planes have lines of one length, as a window and the small
/// image's pixel that it belongs to are then as far from the next ones.
pub(super) struct Planes {
    window: Window,
    rows: Axis,
    columns: Axis,
    /// From a plane to the next.
    plane: usize,
}

/// Rows or columns.
struct Axis {
    stride: usize,
    kernel: usize,
    /// Pixels of a small image.
    small: usize,
    /// From a line to the next.
    pitch: usize,
    /// Zeros behind the last line.
    behind: usize,
    phases: Vec<Phase>,
}

/// Every so many pixels of a large image.
struct Phase {
    pixels: Pixels,
    /// The first weight of a line of the kernel that meets it; others follow at the stride.
    weight: usize,
    /// Windows that begin before it.
    before: usize,
}

impl Axis {
    fn new(large: usize, small: usize, kernel: usize, stride: usize, padding: usize) -> Self {
        let phases: Vec<_> = (0..stride)
            .map(|phase| {
                let before = padding.saturating_sub(phase).div_ceil(stride);
                let first = before * stride + phase - padding;
                let count = large.saturating_sub(first).div_ceil(stride);
                Phase { pixels: Pixels { first, count }, weight: phase, before }
            })
            .collect();
        let (mut pitch, mut behind) = (small, 0);
        for phase in &phases {
            let (before, count) = (phase.before, phase.pixels.count);
            let end = before + count;
            let weights = kernel.saturating_sub(phase.weight).div_ceil(stride);
            if weights > 0 {
                let large_behind = (small + weights - 1).saturating_sub(end);
                let small_before = (weights - 1).saturating_sub(before);
                let small_behind = end.saturating_sub(small);
                pitch = pitch.max(small + small_before.max(small_behind));
                behind = behind.max(large_behind).max(small_behind);
                pitch = pitch.max(count + before.max(large_behind));
            }
            pitch = pitch.max(end);
        }
        Self { stride, kernel, small, pitch, behind, phases }
    }

    /// The phase that a weight meets, and what lies in it where the first window begins.
    fn to_small(&self, weight: usize) -> (usize, usize) {
        let number = weight % self.stride;
        let phase = &self.phases[number];
        (number, self.zeros(phase) + weight / self.stride - phase.before)
    }

    /// The weights that meet a phase, each with what lies in the small image where it meets the first pixel.
    fn to_large(&self, phase: &Phase) -> impl Iterator<Item = (usize, usize)> {
        let first = self.pitch - self.small + phase.before;
        let weights = (phase.weight..self.kernel).step_by(self.stride);
        weights.map(move |weight| (weight, first - weight / self.stride))
    }

    /// Zeros of a line before its pixels.
    fn zeros(&self, phase: &Phase) -> usize {
        self.pitch - phase.pixels.count
    }
}

impl Planes {
    pub(super) fn new(window: Window) -> Self {
        let Window { large, small, kernel, stride, padding, .. } = window;
        let axis = |i: usize| Axis::new(large[i], small[i], kernel[i], stride[i], padding[i]);
        let (rows, columns) = (axis(0), axis(1));
        let behind = rows.behind * columns.pitch + columns.behind;
        let plane = rows.pitch * columns.pitch + behind;
        Self { window, rows, columns, plane }
    }

    /// Numbers of a small image's planes, and what a vector reads behind the last position.
    pub(super) fn small_len(&self) -> usize {
        self.window.small_channels * self.plane + LANES
    }

    /// Numbers of a large image's planes, and what a vector reads behind the last position.
    pub(super) fn large_len(&self) -> usize {
        self.window.channels * self.phases() * self.plane + LANES
    }

    /// Planes of a channel of the large image.
    fn phases(&self) -> usize {
        self.rows.stride * self.columns.stride
    }

    /// Where the first window's pixel lies, of every weight of a small channel.
    pub(super) fn windows(&self) -> Vec<usize> {
        let [height, width] = self.window.kernel;
        let kernel = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let kernel = kernel.map(|(y, x)| {
            let ((phase_y, line), (phase_x, place)) =
                (self.rows.to_small(y), self.columns.to_small(x));
            (phase_y * self.columns.stride + phase_x) * self.plane
                + line * self.columns.pitch
                + place
        });
        let kernel: Vec<_> = kernel.collect();
        let channel = self.phases() * self.plane;
        (0..self.window.channels)
            .flat_map(|c| kernel.iter().map(move |k| c * channel + k))
            .collect()
    }

    /// What carries the planes of an image over to the other image, by a weight `[O, C, K, L]`.
    pub(super) fn carry(&self, weight: &[f32], to_large: bool) -> Carry {
        if to_large { self.to_large(weight) } else { self.to_small(weight) }
    }

    fn to_small(&self, weight: &[f32]) -> Carry {
        let Window { small_channels, small, .. } = self.window;
        let depth = self.window.weights();
        let sums = Correlation::new(small_channels, self.windows(), |o, k| weight[o * depth + k]);
        let side = |count| Side { stride: 1, phases: vec![Pixels { first: 0, count }] };
        Carry::new(small_channels, small.map(side), self.columns.pitch, vec![sums])
    }

    fn to_large(&self, weight: &[f32]) -> Carry {
        let Window { channels, small_channels, kernel, .. } = self.window;
        let (depth, size) = (self.window.weights(), kernel[0] * kernel[1]);
        let of_phase = |(rows, columns): (&Phase, &Phase)| {
            let meeting = self.rows.to_large(rows).flat_map(|(y, line)| {
                let columns = self.columns.to_large(columns);
                columns
                    .map(move |(x, place)| (y * kernel[1] + x, line * self.columns.pitch + place))
            });
            let meeting: Vec<_> = meeting.collect();
            let all = (0..small_channels).flat_map(|o| {
                meeting.iter().map(move |(k, place)| (o * depth + k, o * self.plane + place))
            });
            let (weights, offsets): (Vec<_>, Vec<_>) = all.unzip();
            Correlation::new(channels, offsets, |c, k| weight[weights[k] + c * size])
        };
        let columns = &self.columns.phases;
        let phases = self.rows.phases.iter().flat_map(|row| columns.iter().map(move |c| (row, c)));
        let sums = phases.collect::<Vec<_>>().into_par_iter().map(of_phase).collect();
        let side = |axis: &Axis| Side {
            stride: axis.stride,
            phases: axis.phases.iter().map(|phase| phase.pixels).collect(),
        };
        Carry::new(channels, [side(&self.rows), side(&self.columns)], self.columns.pitch, sums)
    }

    /// Positions from a small image's first pixel to behind its last one, or from the first window to behind the last.
    pub(super) fn positions(&self) -> usize {
        let [height, width] = self.window.small;
        (height - 1) * self.columns.pitch + width
    }

    /// Positions from a line to the next.
    pub(super) fn pitch(&self) -> usize {
        self.columns.pitch
    }

    fn corner(&self) -> usize {
        let [height, width] = self.window.small;
        (self.rows.pitch - height) * self.columns.pitch + self.columns.pitch - width
    }

    /// Lays small images out, in room that is empty or was filled so before.
    #[inline(always)]
    pub(super) fn lay(&self, images: &[f32], planes: &mut Vec<f32>) {
        let images = each(images, self.window.small_len(), planes, self.small_len());
        images.for_each(|(image, planes)| self.lay_one(image, planes));
    }

    /// Takes large images apart, in room that is empty or was filled so before.
    #[inline(always)]
    pub(super) fn split(&self, images: &[f32], planes: &mut Vec<f32>) {
        let images = each(images, self.window.large_len(), planes, self.large_len());
        images.for_each(|(image, planes)| self.split_one(image, planes));
    }

    #[inline(always)]
    fn lay_one(&self, image: &[f32], planes: &mut [f32]) {
        let [height, width] = self.window.small;
        let channels = image.chunks_exact(height * width).zip(planes.chunks_exact_mut(self.plane));
        for (image, plane) in channels {
            let lines = plane[self.corner()..].chunks_mut(self.columns.pitch);
            for (line, place) in image.chunks_exact(width).zip(lines) {
                place[..width].copy_from_slice(line);
            }
        }
    }

    #[inline(always)]
    fn split_one(&self, image: &[f32], planes: &mut [f32]) {
        let ([height, width], pitch) = (self.window.large, self.columns.pitch);
        let channel = self.phases() * self.plane;
        let channels = image.chunks_exact(height * width).zip(planes.chunks_exact_mut(channel));
        for (image, planes) in channels {
            let planes = planes.chunks_exact_mut(self.columns.stride * self.plane);
            for (rows, planes) in self.rows.phases.iter().zip(planes) {
                let lines =
                    image.chunks_exact(width).skip(rows.pixels.first).step_by(self.rows.stride);
                let planes = planes.chunks_exact_mut(self.plane);
                for (columns, plane) in self.columns.phases.iter().zip(planes) {
                    let Pixels { first, count } = columns.pixels;
                    let corner = self.rows.zeros(rows) * pitch + self.columns.zeros(columns);
                    let places = plane[corner..].chunks_mut(pitch);
                    for (line, place) in lines.clone().zip(places).filter(|_| count > 0) {
                        take_every(self.columns.stride, &line[first..], &mut place[..count]);
                    }
                }
            }
        }
    }
}

/// Every image of so many numbers, with as many of the planes as it takes.
#[inline(always)]
fn each<'a>(
    images: &'a [f32],
    image: usize,
    planes: &'a mut Vec<f32>,
    len: usize,
) -> impl Iterator<Item = (&'a [f32], &'a mut [f32])> {
    planes.resize(images.len() / image * len, 0.0);
    images.chunks_exact(image).zip(planes.chunks_exact_mut(len))
}

/// Takes the first number and every so many further ones.
#[inline(always)]
fn take_every(stride: usize, from: &[f32], to: &mut [f32]) {
    match stride {
        1 => to.copy_from_slice(from),
        2 => {
            let (pairs, rest) = from.as_chunks::<2>();
            to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
            if let (Some(to), Some(from)) = (to.get_mut(pairs.len()), rest.first()) {
                *to = *from;
            }
        }
        stride => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
    }
}
