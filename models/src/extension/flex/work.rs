use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::tensor::Shape;

use super::convolution::Convolution;
use super::matrix::{Matrix, contiguous, values};
use super::phases::Phases;

/// Columns of a matrix of windows, about: it then stays in the cache while it is multiplied.
const COLUMNS: usize = 400;
/// Columns are rounded up to as many, which the product of matrices then takes as they lie.
const LANES: usize = 16;

/// A convolution at work on some images, one part of them after another, with the matrices of a part.
pub(super) struct Work {
    of: Convolution,
    /// `[O, K]` for `O` channels of the small image and windows of `K` numbers.
    weight: FlexTensor,
    /// `[K, O]`
    transposed: FlexTensor,
    phases: Phases,
    /// The phases of the large images that windows are taken from; zero around the images.
    taken: Vec<f32>,
    /// The phases of the large images that windows are added up to.
    sums: Vec<f32>,
    /// `[K, N]` for `N` windows.
    windows: Matrix,
    /// The small images, `[O, N]`, with zeros in the slack.
    small: Matrix,
}

/// What is at work at once: rows of some small images, all of them where there are several images.
struct Part {
    images: usize,
    rows: Range<usize>,
    /// Columns of an image.
    width: usize,
    /// Columns of the matrices.
    columns: usize,
}

impl Work {
    pub(super) fn new(of: Convolution, weight: &FlexTensor) -> Self {
        let window = of.window;
        let weight = contiguous(weight);
        let weight = weight.reshape(Shape::new([window.small_channels, window.weights()]));
        let transposed = weight.transpose(0, 1);
        let phases = Phases::new(window);
        let widest = COLUMNS.max(phases.pitch) + LANES;
        let windows = Matrix::new(window.weights(), widest);
        let small = Matrix::new(window.small_channels, widest);
        let (taken, sums) = (vec![], vec![]);
        Self { of, weight, transposed, phases, taken, sums, windows, small }
    }

    /// Images that are at work at once.
    fn images(&self) -> usize {
        (COLUMNS / self.phases.width(self.of.window.small[0])).max(1)
    }

    /// The parts of some images.
    fn parts(&self, images: usize) -> Vec<Part> {
        let all = self.of.window.small[0];
        let rows = match COLUMNS / self.phases.width(all) {
            0 => (COLUMNS / self.phases.pitch).max(1),
            _ => all,
        };
        let parts = (0..all).step_by(rows).map(|first| {
            let rows = first..all.min(first + rows);
            let width = self.phases.width(rows.len());
            Part { images, rows, width, columns: (images * width).next_multiple_of(LANES) }
        });
        parts.collect()
    }

    /// The outputs of some images.
    #[inline(always)]
    pub(super) fn forward(mut self, input: &[f32], bias: &[f32], output: &mut [f32]) {
        let (of, step) = (self.of, self.images());
        let finish = |channel: usize, sums: &mut [f32]| {
            sums.iter_mut().for_each(|sum| *sum += bias[channel]);
            of.end.finish(sums);
        };
        let inputs = input.chunks(step * of.input_len());
        for (input, output) in inputs.zip(output.chunks_mut(step * of.output_len())) {
            let images = input.len() / of.input_len();
            if of.transposed {
                self.clear(images);
                for part in self.parts(images) {
                    self.pack(&part, input);
                    let windows = self.small.times(&self.transposed);
                    self.add_up(&part, values(&windows));
                }
                self.join(output, finish);
            } else {
                self.split(input);
                for part in self.parts(images) {
                    self.gather(&part);
                    let small = self.windows.times(&self.weight);
                    self.unpack(&part, values(&small), output, finish);
                }
            }
        }
    }

    /// The gradients of some images' inputs, where there is a place for them, and those of weight, `[K, O]`, which stay
    /// zero where they are not wanted, and bias, `[C']`, summed over the images.
    #[inline(always)]
    pub(super) fn backward(
        mut self,
        input: &[f32],
        output: &[f32],
        gradient: &[f32],
        mut wanted: Option<&mut [f32]>,
        wants_weight: bool,
    ) -> [Vec<f32>; 2] {
        let (of, window, step) = (self.of, self.of.window, self.images());
        let mut weight_sums = vec![0.0; window.weights() * window.small_channels];
        let mut bias_sums = vec![0.0; of.output_channels()];
        let (mut masked, count) = (vec![], input.len() / of.input_len());
        for first in (0..count).step_by(step) {
            let images = step.min(count - first);
            let inputs = first * of.input_len()..(first + images) * of.input_len();
            let outputs = first * of.output_len()..(first + images) * of.output_len();
            let (input, gradient) = (&input[inputs.clone()], &gradient[outputs.clone()]);
            let mut wanted = wanted.as_deref_mut().map(|wanted| &mut wanted[inputs]);
            masked.clear();
            masked.extend_from_slice(gradient);
            of.end.turn(&mut masked, &output[outputs]);
            for image in masked.chunks_exact(of.output_len()) {
                let planes = image.chunks_exact(of.output_len() / of.output_channels());
                bias_sums.iter_mut().zip(planes).for_each(|(sum, plane)| *sum += total(plane));
            }
            let (large, small) =
                if of.transposed { (&masked[..], input) } else { (input, &masked[..]) };
            if wants_weight || of.transposed {
                self.split(large);
            }
            if wanted.is_some() && !of.transposed {
                self.clear(images);
            }
            for part in self.parts(images) {
                if wants_weight || of.transposed {
                    self.gather(&part);
                }
                if wants_weight || !of.transposed {
                    self.pack(&part, small);
                }
                if wants_weight {
                    add(&mut weight_sums, values(&self.windows.times_transposed(&self.small)));
                }
                match &mut wanted {
                    Some(wanted) if of.transposed => {
                        let small = self.windows.times(&self.weight);
                        self.unpack(&part, values(&small), wanted, |_, _| ());
                    }
                    Some(_) => {
                        let windows = self.small.times(&self.transposed);
                        self.add_up(&part, values(&windows));
                    }
                    None => {}
                }
            }
            if let (Some(wanted), false) = (wanted, of.transposed) {
                self.join(wanted, |_, _| ());
            }
        }
        [weight_sums, bias_sums]
    }

    /// Takes large images apart.
    #[inline(always)]
    fn split(&mut self, images: &[f32]) {
        let (len, image) = (self.phases.len, self.of.window.large_len());
        self.taken.resize(images.len() / image * len, 0.0);
        let images = images.chunks_exact(image).zip(self.taken.chunks_exact_mut(len));
        images.for_each(|(image, phases)| self.phases.split(image, phases));
    }

    fn clear(&mut self, images: usize) {
        self.sums.clear();
        self.sums.resize(images * self.phases.len, 0.0);
    }

    /// Puts together the large images that windows were added up to; `finish` gets stretches of them, each with the
    /// number of its channel.
    #[inline(always)]
    fn join(&self, images: &mut [f32], finish: impl Fn(usize, &mut [f32])) {
        let (len, image) = (self.phases.len, self.of.window.large_len());
        let images = images.chunks_exact_mut(image).zip(self.sums.chunks_exact(len));
        images.for_each(|(image, phases)| self.phases.join(phases, image, &finish));
    }

    /// Fills the matrix of windows.
    #[inline(always)]
    fn gather(&mut self, part: &Part) {
        let first = part.rows.start * self.phases.pitch;
        let rows = self.windows.with_columns(part.columns).chunks_exact_mut(part.columns);
        for (row, stretch) in rows.zip(&self.phases.stretches) {
            let images = self.taken.chunks_exact(self.phases.len);
            for (place, phases) in row.chunks_exact_mut(part.width).zip(images) {
                place.copy_from_slice(&phases[stretch + first..][..part.width]);
            }
            row[part.images * part.width..].fill(0.0);
        }
    }

    /// Adds windows up.
    #[inline(always)]
    fn add_up(&mut self, part: &Part, windows: &[f32]) {
        let first = part.rows.start * self.phases.pitch;
        let rows = windows.chunks_exact(part.columns);
        for (row, stretch) in rows.zip(&self.phases.stretches) {
            let images = self.sums.chunks_exact_mut(self.phases.len);
            for (sums, terms) in images.zip(row.chunks_exact(part.width)) {
                add(&mut sums[stretch + first..][..part.width], terms);
            }
        }
    }

    /// Fills the matrix of small images.
    #[inline(always)]
    fn pack(&mut self, part: &Part, images: &[f32]) {
        let [height, width] = self.of.window.small;
        let (plane, pitch) = (height * width, self.phases.pitch);
        let channels = self.small.with_columns(part.columns).chunks_exact_mut(part.columns);
        for (channel, row) in channels.enumerate() {
            let places = row.chunks_mut(part.width);
            let images = images.chunks_exact(self.of.window.small_len());
            for (place, image) in places.zip(images) {
                let lines = image[channel * plane..][part.rows.start * width..].chunks_exact(width);
                for (place, line) in place.chunks_mut(pitch).zip(lines) {
                    let (place, slack) = place.split_at_mut(width);
                    place.copy_from_slice(line);
                    slack.fill(0.0);
                }
            }
            row[part.images * part.width..].fill(0.0);
        }
    }

    /// Puts small images in their place; `finish` gets stretches of them, each with the number of its channel.
    #[inline(always)]
    fn unpack(
        &self,
        part: &Part,
        small: &[f32],
        images: &mut [f32],
        finish: impl Fn(usize, &mut [f32]),
    ) {
        let [height, width] = self.of.window.small;
        let (plane, pitch) = (height * width, self.phases.pitch);
        for (channel, row) in small.chunks_exact(part.columns).enumerate() {
            let images = images.chunks_exact_mut(self.of.window.small_len());
            for (image, place) in images.zip(row.chunks(part.width)) {
                let lines = &mut image[channel * plane..][part.rows.start * width..];
                let lines = &mut lines[..part.rows.len() * width];
                for (line, place) in lines.chunks_exact_mut(width).zip(place.chunks(pitch)) {
                    line.copy_from_slice(&place[..width]);
                }
                finish(channel, lines);
            }
        }
    }
}

#[inline(always)]
pub(super) fn add(sums: &mut [f32], terms: &[f32]) {
    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
}

/// A sum in sixteen lanes.
#[inline(always)]
fn total(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [0.0; 16];
    chunks.iter().for_each(|chunk| add(&mut lanes, chunk));
    lanes.iter().chain(rest).sum()
}
