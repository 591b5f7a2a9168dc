use std::sync::LazyLock;

use tch::{IValue, Kind, Tensor};

use super::convolution::with_end;
use super::{End, Steps, TorchScript, full_precision};

static SCRIPT: LazyLock<TorchScript> =
    LazyLock::new(|| TorchScript::new(include_str!("phases.torchscript")));

/// Values of an output above which it takes longer to write than what phases add takes to begin, on an H200.
const FEWEST: usize = 1 << 23;

/// A transposed convolution with a stride `s` as a plain one to `s^2` times the channels, those of a pixel's `s x s`
/// outputs side by side (Shi et al., arXiv:1609.05158), on a GPU.
///
/// The output at `s q + u` is the sum over `e` of `weight[u + p - s e] input[q + e]`: a kernel around every `q`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phases {
    stride: usize,
    padding: usize,
    /// The inputs that are read on either side of one.
    reach: usize,
}

impl Phases {
    /// The phases of a large transposed convolution whose output is `s` times as wide and as high as its input; none in
    /// full precision, where they add more arithmetic than they save: they have weights of zero.
    pub(super) fn of(
        Steps { stride, padding, transposed }: Steps,
        input: &Tensor,
        weight: &Tensor,
    ) -> Option<Self> {
        let added = transposed?;
        let (input_shape, weight) = (input.size(), weight.size());
        let [kernel, across] = [weight[2] as usize, weight[3] as usize];
        let squares = [stride, padding, added].iter().all(|[down, across]| down == across);
        let (stride, padding) = (stride[0], padding[0]);
        let scaled = kernel + added[0] == stride + 2 * padding;
        let values = [input_shape[0], weight[1], input_shape[2], input_shape[3]];
        let values = values.iter().product::<i64>() as usize * stride * stride;
        if !(input.device().is_cuda() && squares && kernel == across && scaled && stride > 1)
            || values < FEWEST
            || (full_precision() && input.kind() == Kind::Float)
        {
            return None;
        }
        Some(Self::new(stride, padding, kernel))
    }

    fn new(stride: usize, padding: usize, kernel: usize) -> Self {
        // the last and the first e that a phase has a weight for
        let after = padding.div_ceil(stride);
        let before = (kernel - 1).saturating_sub(padding) / stride;
        Self { stride, padding, reach: after.max(before) }
    }

    /// The output behind its end.
    pub(super) fn apply(self, input: &Tensor, weight: &Tensor, bias: &Tensor, end: End) -> Tensor {
        let given = |first: &Tensor| IValue::Tensor(first.shallow_clone());
        let number = |number: usize| IValue::Int(number as i64);
        let Self { stride, padding, reach } = self;
        let [weight, bias] = SCRIPT.tensors(
            "split",
            &[given(weight), given(bias), number(stride), number(padding), number(reach)],
        );
        let steps = Steps { stride: [1; 2], padding: [reach; 2], transposed: None };
        let phases = with_end(input, &weight, &bias, steps, end);
        let [output] = SCRIPT.tensors("join", &[given(&phases), number(stride)]);
        output
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn phases_are_the_transposed_convolution() {
        let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let ends = [End::Relu, End::Sigmoid, End::LeakyRelu(0.2), End::Nothing];
        for ([kernel, stride, padding, added, reach], end) in [
            [3, 2, 1, 1, 1],
            [4, 2, 1, 0, 1],
            [2, 2, 0, 0, 0],
            [2, 3, 0, 1, 0],
            [5, 2, 2, 1, 1],
            [6, 2, 2, 0, 1],
            [4, 3, 1, 1, 1],
            [8, 4, 2, 0, 1],
            [9, 2, 4, 1, 2],
        ]
        .into_iter()
        .zip(ends.into_iter().cycle())
        {
            let side = kernel as i64;
            let (input, weight) = (random(&[2, 5, 7, 6]), random(&[5, 3, side, side]));
            let bias = random(&[3]);
            let phases = Phases::new(stride, padding, kernel);
            assert_eq!(phases.reach, reach, "kernel {kernel}, stride {stride}");
            let found = phases.apply(&input, &weight, &bias, end);
            let [strides, paddings] = [[stride; 2], [padding; 2]];
            let steps = Steps { stride: strides, padding: paddings, transposed: Some([added; 2]) };
            let expected = with_end(&input, &weight, &bias, steps, end);
            assert_eq!(found.size(), expected.size());
            let off = f64::try_from((found - expected).abs().max()).expect("a number");
            assert!(off < 1e-4, "kernel {kernel}, stride {stride}: off by {off}");
        }
    }
}
