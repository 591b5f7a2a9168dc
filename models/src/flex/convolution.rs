use std::ops::Range;

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::matrix::{Room, contiguous, product, tensor, values};
use super::window::Window;

/// The groups that a batch is shared out in. What is summed over a batch is summed within every group and
/// then over the groups in their order, so that a sum does not depend on the number of threads.
const GROUPS: usize = 16;
/// Columns of a matrix of windows, about: it then stays in the cache while it is multiplied.
const COLUMNS: usize = 400;

/// A convolution or a transposed one, with its bias and, where it has one, its ReLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Convolution {
    pub(super) window: Window,
    /// Whether it leads from the small image to the large one.
    pub(super) transposed: bool,
    pub(super) relu: bool,
}

/// Gradients of a convolution's input, where it is wanted, weight and bias.
pub(super) struct Gradients {
    pub(super) input: Option<FlexTensor>,
    pub(super) weight: FlexTensor,
    pub(super) bias: FlexTensor,
}

/// A convolution at work on some images, one part after another, with the matrices of a part.
struct Work {
    window: Window,
    weight: FlexTensor,
    stretches: Vec<usize>,
    /// The matrix of windows of the large images.
    windows: Room,
    /// The small images as a matrix, with zeros in the slack.
    small: Room,
    phases: Vec<f32>,
}

/// The rows of the small images that are at work.
#[derive(Clone)]
struct Part {
    images: usize,
    rows: Range<usize>,
}

impl Convolution {
    fn input_len(&self) -> usize {
        if self.transposed { self.window.small_len() } else { self.window.large_len() }
    }

    fn output_len(&self) -> usize {
        if self.transposed { self.window.large_len() } else { self.window.small_len() }
    }

    fn output_channels(&self) -> usize {
        if self.transposed { self.window.channels } else { self.window.small_channels }
    }

    /// The layer's output.
    ///
    /// # Shapes
    ///
    /// - input: `[B, C, H, W]`
    /// - weight: `[C', C, K, L]`, or `[C, C', K, L]` where it is transposed
    /// - bias: `[C']`
    /// - output: `[B, C', H', W']`
    pub(super) fn forward(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        bias: &FlexTensor,
    ) -> FlexTensor {
        let [input, bias] = [input, bias].map(contiguous);
        let batch = input.layout().shape()[0];
        let mut output = vec![0.0; batch * self.output_len()];
        let group = batch.div_ceil(GROUPS).max(1);
        let inputs = values(&input).par_chunks(group * self.input_len());
        let outputs = output.par_chunks_mut(group * self.output_len());
        outputs.zip(inputs).for_each(|(output, input)| {
            Work::new(self.window, weight).forward(self, input, values(&bias), output);
        });
        let [height, width] = if self.transposed { self.window.large } else { self.window.small };
        tensor(output, [batch, self.output_channels(), height, width])
    }

    /// The gradients, given the output's.
    pub(super) fn backward(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output: &FlexTensor,
        gradient: &FlexTensor,
        wants_input: bool,
    ) -> Gradients {
        let shape = input.layout().shape().clone();
        let [input, output, gradient] = [input, output, gradient].map(contiguous);
        let group = shape[0].div_ceil(GROUPS).max(1);
        let inputs = values(&input).par_chunks(group * self.input_len());
        let outputs = values(&output).par_chunks(group * self.output_len());
        let gradients = values(&gradient).par_chunks(group * self.output_len());
        let mut wanted = vec![0.0; if wants_input { values(&input).len() } else { 0 }];
        let mut places: Vec<_> = wanted.chunks_mut(group * self.input_len()).map(Some).collect();
        places.resize_with(inputs.len(), || None);

        let groups = (inputs, outputs, gradients, places).into_par_iter();
        let sums: Vec<_> = groups
            .map(|(input, output, gradient, wanted)| {
                Work::new(self.window, weight).backward(self, input, output, gradient, wanted)
            })
            .collect();
        let sum = |mut sum: [Vec<f32>; 2], next: [Vec<f32>; 2]| {
            sum.iter_mut().zip(next).for_each(|(sum, next)| add(sum, &next));
            sum
        };
        let window = &self.window;
        let none = || [window.small_channels * window.weights(), self.output_channels()];
        let sums = sums.into_iter().reduce(sum).unwrap_or_else(|| none().map(|len| vec![0.0; len]));
        let [weight_sums, bias_sums] = sums;
        let [height, width] = window.kernel;
        Gradients {
            input: wants_input.then(|| tensor(wanted, shape.dims::<4>())),
            weight: tensor(weight_sums, [window.small_channels, window.channels, height, width]),
            bias: tensor(bias_sums, [self.output_channels()]),
        }
    }
}

impl Work {
    fn new(window: Window, weight: &FlexTensor) -> Self {
        let weight = contiguous(weight);
        let shape = burn::tensor::Shape::new([window.small_channels, window.weights()]);
        Self {
            window,
            weight: weight.reshape(shape),
            stretches: window.stretches().collect(),
            windows: Room::new(0),
            small: Room::new(0),
            phases: vec![],
        }
    }

    /// Images whose matrices are one.
    fn images(&self) -> usize {
        (COLUMNS / self.window.columns(self.window.small[0])).max(1)
    }

    /// The parts of some images.
    fn parts(&self, images: usize) -> impl Iterator<Item = Part> + use<> {
        let all = self.window.small[0];
        let rows = if images > 1 { all } else { (COLUMNS / self.window.pitch()).clamp(1, all) };
        let starts = (0..all).step_by(rows);
        starts.map(move |first| Part { images, rows: first..all.min(first + rows) })
    }

    fn forward(mut self, of: &Convolution, input: &[f32], bias: &[f32], output: &mut [f32]) {
        let step = self.images();
        let inputs = input.chunks(step * of.input_len());
        for (input, output) in inputs.zip(output.chunks_mut(step * of.output_len())) {
            let images = input.len() / of.input_len();
            let finish = |sum: f32| if of.relu && sum <= 0.0 { 0.0 } else { sum };
            if of.transposed {
                self.phases.clear();
                self.phases.resize(images * self.window.phases_len(), 0.0);
                for part in self.parts(images) {
                    self.pack(&part, input);
                    let windows = product(self.weight.transpose(0, 1), self.small(&part));
                    self.scatter(&part, values(&windows));
                }
                self.join(output, bias, finish);
            } else {
                self.split(input);
                for part in self.parts(images) {
                    self.gather(&part);
                    let small = product(self.weight.clone(), self.windows(&part));
                    self.unpack(&part, values(&small), output, |sum, channel| {
                        finish(sum + bias[channel])
                    });
                }
            }
        }
    }

    /// Gradients of weight and bias, summed over the images.
    fn backward(
        mut self,
        of: &Convolution,
        input: &[f32],
        output: &[f32],
        gradient: &[f32],
        mut wanted: Option<&mut [f32]>,
    ) -> [Vec<f32>; 2] {
        let window = self.window;
        let mut weight_sums = vec![0.0; window.small_channels * window.weights()];
        let mut bias_sums = vec![0.0; of.output_channels()];
        let mut masked = vec![];
        let step = self.images();
        for first in (0..input.len() / of.input_len()).step_by(step) {
            let input = &input[first * of.input_len()..];
            let input = &input[..input.len().min(step * of.input_len())];
            let images = input.len() / of.input_len();
            let outputs = first * of.output_len()..(first + images) * of.output_len();
            let mut gradient = &gradient[outputs.clone()];
            if of.relu {
                masked.clear();
                let pairs = gradient.iter().zip(&output[outputs]);
                masked.extend(pairs.map(|(gradient, y)| if *y <= 0.0 { 0.0 } else { *gradient }));
                gradient = &masked;
            }
            for image in gradient.chunks(of.output_len()) {
                let planes = image.chunks(of.output_len() / of.output_channels());
                bias_sums.iter_mut().zip(planes).for_each(|(sum, plane)| *sum += sum_of(plane));
            }
            let (large, small) = if of.transposed { (gradient, input) } else { (input, gradient) };
            let inputs = first * of.input_len()..(first + images) * of.input_len();
            let mut wanted = wanted.as_deref_mut().map(|wanted| &mut wanted[inputs]);
            self.split(large);
            let mut input_phases = vec![];
            if wanted.is_some() && !of.transposed {
                input_phases = vec![0.0; self.phases.len()];
            }
            for part in self.parts(images) {
                self.gather(&part);
                self.pack(&part, small);
                let sums = product(self.small(&part), self.windows(&part).transpose(0, 1));
                add(&mut weight_sums, values(&sums));
                let Some(wanted) = &mut wanted else { continue };
                if of.transposed {
                    let small = product(self.weight.clone(), self.windows(&part));
                    self.unpack(&part, values(&small), wanted, |sum, _| sum);
                } else {
                    let windows = product(self.weight.transpose(0, 1), self.small(&part));
                    std::mem::swap(&mut self.phases, &mut input_phases);
                    self.scatter(&part, values(&windows));
                    std::mem::swap(&mut self.phases, &mut input_phases);
                }
            }
            if let (Some(wanted), false) = (wanted, of.transposed) {
                self.phases = input_phases;
                self.join(wanted, &vec![0.0; window.channels], |sum| sum);
            }
        }
        [weight_sums, bias_sums]
    }

    fn split(&mut self, images: &[f32]) {
        let (window, count) = (self.window, images.len() / self.window.large_len());
        self.phases.resize(count * window.phases_len(), 0.0);
        let phases = self.phases.chunks_mut(window.phases_len());
        let images = images.chunks(window.large_len());
        phases.zip(images).for_each(|(phases, image)| window.split(image, phases));
    }

    fn join(&self, images: &mut [f32], bias: &[f32], finish: impl Fn(f32) -> f32) {
        let window = self.window;
        let phases = self.phases.chunks(window.phases_len());
        let images = images.chunks_mut(window.large_len());
        phases.zip(images).for_each(|(phases, image)| window.join(phases, image, bias, &finish));
    }

    /// The stretches of the phases that the rows of a part's matrix of windows consist of: where each lies
    /// in the matrix, and where in the phases.
    fn places(&self, part: &Part) -> impl Iterator<Item = (usize, usize)> {
        let (columns, first) =
            (self.window.columns(part.rows.len()), part.rows.start * self.window.pitch());
        let (images, len) = (part.images, self.window.phases_len());
        self.stretches.iter().enumerate().flat_map(move |(row, stretch)| {
            (0..images).map(move |i| ((row * images + i) * columns, i * len + stretch + first))
        })
    }

    /// Fills a part's matrix of windows from the phases.
    fn gather(&mut self, part: &Part) {
        let columns = self.window.columns(part.rows.len());
        let mut windows = std::mem::replace(&mut self.windows, Room::new(0));
        let to = windows.at_least(self.window.weights() * part.images * columns);
        for (place, stretch) in self.places(part) {
            to[place..][..columns].copy_from_slice(&self.phases[stretch..][..columns]);
        }
        self.windows = windows;
    }

    /// Adds a part's matrix of windows to the phases.
    fn scatter(&mut self, part: &Part, windows: &[f32]) {
        let columns = self.window.columns(part.rows.len());
        let mut phases = std::mem::take(&mut self.phases);
        for (place, stretch) in self.places(part) {
            add(&mut phases[stretch..][..columns], &windows[place..][..columns]);
        }
        self.phases = phases;
    }

    /// Fills a part's matrix of small images.
    fn pack(&mut self, part: &Part, images: &[f32]) {
        let (window, columns) = (self.window, self.window.columns(part.rows.len()));
        let small = self.small.at_least(window.small_channels * part.images * columns);
        let planes = small.chunks_mut(columns).enumerate();
        for (number, plane) in planes.take(window.small_channels * part.images) {
            let (channel, image) = (number / part.images, number % part.images);
            let from = &images
                [(image * window.small_channels + channel) * window.small[0] * window.small[1]..];
            let rows = from.chunks(window.small[1]).skip(part.rows.start);
            for (to, from) in plane.chunks_mut(window.pitch()).zip(rows) {
                let (to, slack) = to.split_at_mut(window.small[1]);
                to.copy_from_slice(from);
                slack.fill(0.0);
            }
        }
    }

    /// Puts a part's matrix of small images in its place; `finish` gets every number and its channel.
    fn unpack(
        &self,
        part: &Part,
        small: &[f32],
        images: &mut [f32],
        finish: impl Fn(f32, usize) -> f32,
    ) {
        let (window, columns) = (self.window, self.window.columns(part.rows.len()));
        for (number, plane) in small.chunks(columns).enumerate() {
            let (channel, image) = (number / part.images, number % part.images);
            let to = &mut images
                [(image * window.small_channels + channel) * window.small[0] * window.small[1]..];
            let rows = to.chunks_mut(window.small[1]).skip(part.rows.start);
            for (from, to) in plane.chunks(window.pitch()).zip(rows) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = finish(*from, channel));
            }
        }
    }

    fn windows(&self, part: &Part) -> FlexTensor {
        let columns = self.window.columns(part.rows.len());
        self.windows.matrix(self.window.weights(), part.images * columns)
    }

    fn small(&self, part: &Part) -> FlexTensor {
        let columns = self.window.columns(part.rows.len());
        self.small.matrix(self.window.small_channels, part.images * columns)
    }
}

fn add(sums: &mut [f32], terms: &[f32]) {
    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
}

/// A sum in sixteen lanes.
fn sum_of(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [0.0; 16];
    for chunk in chunks {
        add(&mut lanes, chunk);
    }
    lanes.iter().chain(rest).sum()
}
