//! Affine layers and the Bernoulli loss on the CPU, where a training step on Burn's `flex` backend spends its time.
//!
//! `flex` finds a weight's gradient of a convolution as one whose kernel is as large as the image, and goes
//! over every image several times to turn it round. Here a convolution and its transpose, forward and
//! backward, are the same three products of matrices, of `flex`'s own, with the ReLU on the way. So is a dense
//! layer, whose products are found in parts that the threads share, with all that `flex` does on one thread around
//! them. Other backends never come here.

mod bernoulli;
mod convolution;
mod dense;
mod layer;
mod matrix;
mod phases;
mod window;
mod work;

use burn::tensor::Tensor;

use convolution::Convolution;
use dense::Dense;
use window::Window;

pub(crate) use bernoulli::negative_log;

/// How a layer's kernel goes over an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    /// Rows and columns added to the output of a transposed convolution; none where it is a plain one.
    pub(crate) transposed: Option<[usize; 2]>,
}

/// A dense layer, and a ReLU where there is one; nothing where the tensors are not those of `flex` in `f32`.
pub(crate) fn dense(
    input: &Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    relu: bool,
) -> Option<Tensor<2>> {
    layer::apply(Dense { relu }, input, weight, bias)
}

/// A convolution or a transposed one, and a ReLU where there is one; nothing where the tensors are not
/// those of `flex` in `f32`.
pub(crate) fn convolution(
    input: &Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    steps: Steps,
    relu: bool,
) -> Option<Tensor<4>> {
    let of = steps.convolution(input.dims(), weight.dims(), relu);
    layer::apply(of, input, weight, bias)
}

impl Steps {
    fn convolution(self, input: [usize; 4], weight: [usize; 4], relu: bool) -> Convolution {
        let Self { stride, padding, transposed } = self;
        let ([_, _, height, width], [small_channels, channels, rows, columns]) = (input, weight);
        let (image, kernel) = ([height, width], [rows, columns]);
        let other = |axis: usize| match transposed {
            Some(added) => {
                let whole = (image[axis] - 1) * stride[axis] + kernel[axis] + added[axis];
                whole - 2 * padding[axis]
            }
            None => (image[axis] + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1,
        };
        let other = [other(0), other(1)];
        let (large, small) = if transposed.is_some() { (other, image) } else { (image, other) };
        let window = Window { channels, large, small_channels, small, kernel, stride, padding };
        Convolution { window, transposed: transposed.is_some(), relu }
    }
}
