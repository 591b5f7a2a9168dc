use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::DType;
use pulp::Arch;
use rayon::prelude::*;

use super::numbers::{contiguous, tensor, values};
use super::planes::Planes;
use super::tiles::LANES;
use super::window::Window;
use super::work::{SHARE, Work, add};
use super::{End, Gradients, Layer, Wanted};

/// The groups that a batch is shared out in. What is summed over a batch is summed within every group and
/// then over the groups in their order, so that a sum does not depend on the number of threads.
const GROUPS: usize = 16;

/// A convolution or a transposed one, with its bias and its end.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Convolution {
    pub(super) window: Window,
    /// Whether it leads from the small image to the large one.
    pub(super) transposed: bool,
    pub(super) end: End,
}

impl Convolution {
    /// Numbers in an input image.
    pub(super) fn input_len(&self) -> usize {
        if self.transposed { self.window.small_len() } else { self.window.large_len() }
    }

    /// Numbers in an output image.
    pub(super) fn output_len(&self) -> usize {
        if self.transposed { self.window.large_len() } else { self.window.small_len() }
    }

    pub(super) fn output_channels(&self) -> usize {
        if self.transposed { self.window.channels } else { self.window.small_channels }
    }
}

impl Layer<Flex> for Convolution {
    fn takes(&self, dtype: DType) -> bool {
        dtype == DType::F32
    }

    /// # Shapes
    ///
    /// - input: `[B, C, H, W]`
    /// - weight: `[C', C, K, L]`, or `[C, C', K, L]` where it is transposed
    /// - bias: `[C']`
    /// - output: `[B, C', H', W']`
    fn forward(&self, input: &FlexTensor, weight: &FlexTensor, bias: &FlexTensor) -> FlexTensor {
        let [input, weight, bias] = [input, weight, bias].map(contiguous);
        let planes = Planes::new(self.window);
        let carry = planes.carry(values(&weight), self.transposed);
        let work = Work { of: *self, planes: &planes };
        let batch = input.layout().shape()[0];
        let group = batch.div_ceil(GROUPS).max(1);
        let mut output = vec![0.0; batch * self.output_len()];
        let inputs = values(&input).par_chunks(group * self.input_len());
        let outputs = output.par_chunks_mut(group * self.output_len());
        outputs.zip(inputs).for_each(|(output, input)| {
            Arch::new().dispatch(|| work.forward(&carry, input, values(&bias), output));
        });
        let [height, width] = if self.transposed { self.window.large } else { self.window.small };
        tensor(output, [batch, self.output_channels(), height, width])
    }

    fn backward(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output: &FlexTensor,
        gradient: FlexTensor,
        wanted: Wanted,
    ) -> Gradients<Flex> {
        let shape = input.layout().shape().dims::<4>();
        let [input, weight, output, gradient] = [input, weight, output, &gradient].map(contiguous);
        let planes = Planes::new(self.window);
        let work = Work { of: *self, planes: &planes };
        let carry = wanted.input.then(|| planes.carry(values(&weight), !self.transposed));
        let windows = wanted.weight.then(|| planes.windows());
        let group = shape[0].div_ceil(GROUPS).max(1);
        let inputs = values(&input).par_chunks(group * self.input_len());
        let outputs = values(&output).par_chunks(group * self.output_len());
        let gradients = values(&gradient).par_chunks(group * self.output_len());
        let mut of_input = vec![0.0; if wanted.input { values(&input).len() } else { 0 }];
        let mut places: Vec<_> = of_input.chunks_mut(group * self.input_len()).map(Some).collect();
        places.resize_with(inputs.len(), || None);
        let groups = (inputs, outputs, gradients, places).into_par_iter();
        let groups = groups.map(|(input, output, gradient, place)| {
            let inputs = carry.as_ref().zip(place);
            let windows = windows.as_deref();
            Arch::new().dispatch(|| work.backward(input, output, gradient, inputs, windows))
        });
        let groups: Vec<_> = groups.collect();

        let mut bias_sums = vec![0.0; self.output_channels()];
        groups.iter().for_each(|[_, bias]| add(&mut bias_sums, bias));
        let Window { channels, small_channels, kernel: [height, width], .. } = self.window;
        let of_weight = || {
            let depth = self.window.weights();
            let mut sums = vec![0.0; small_channels.next_multiple_of(LANES) * depth];
            sums.par_chunks_mut(SHARE).enumerate().for_each(|(share, sums)| {
                let first = share * SHARE;
                groups.iter().for_each(|[weight, _]| add(sums, &weight[first..][..sums.len()]));
            });
            let columns = sums.len() / depth;
            let turned = (0..small_channels).flat_map(|o| sums[o..].iter().step_by(columns));
            tensor(turned.copied().collect(), [small_channels, channels, height, width])
        };
        Gradients {
            input: wanted.input.then(|| tensor(of_input, shape)),
            weight: wanted.weight.then(of_weight),
            bias: wanted.bias.then(|| tensor(bias_sums, [self.output_channels()])),
        }
    }
}
