use burn::nn::Linear;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::Tensor;

use crate::block::Activation;
#[cfg(any(feature = "flex", feature = "libtorch"))]
use crate::extension;

/// A dense layer with its activation, `[B, F]` to `[B, F']`.
pub(crate) fn dense(layer: &Linear, x: Tensor<2>, activation: Activation) -> Tensor<2> {
    #[cfg(any(feature = "flex", feature = "libtorch"))]
    if let Some(bias) = &layer.bias
        && let Some(output) =
            ours(activation, |relu| extension::dense(&x, layer.weight.val(), bias.val(), relu))
    {
        return output;
    }
    activation.forward(layer.forward(x))
}

/// A convolution with its activation, `[B, C, H, W]` to `[B, C', H', W']`.
pub(crate) fn conv(layer: &Conv2d, x: Tensor<4>, activation: Activation) -> Tensor<4> {
    #[cfg(any(feature = "flex", feature = "libtorch"))]
    if let (Some(bias), burn::nn::PaddingConfig2d::Explicit(top, left, bottom, right)) =
        (&layer.bias, &layer.padding)
        && (top, left) == (bottom, right)
    {
        let (stride, padding) = (layer.stride, [*top, *left]);
        let steps = extension::Steps { stride, padding, transposed: None };
        let output = |relu| extension::convolution(&x, layer.weight.val(), bias.val(), steps, relu);
        if let Some(output) = ours(activation, output) {
            return output;
        }
    }
    activation.forward(layer.forward(x))
}

/// A transposed convolution with its activation, `[B, C, H, W]` to `[B, C', H', W']`.
pub(crate) fn deconv(layer: &ConvTranspose2d, x: Tensor<4>, activation: Activation) -> Tensor<4> {
    #[cfg(any(feature = "flex", feature = "libtorch"))]
    if let Some(bias) = &layer.bias {
        let (stride, padding) = (layer.stride, layer.padding);
        let steps = extension::Steps { stride, padding, transposed: Some(layer.padding_out) };
        let output = |relu| extension::convolution(&x, layer.weight.val(), bias.val(), steps, relu);
        if let Some(output) = ours(activation, output) {
            return output;
        }
    }
    activation.forward(layer.forward(x))
}

/// A layer of our own, its activation with it; nothing where the tensors are of a backend that has none.
#[cfg(any(feature = "flex", feature = "libtorch"))]
fn ours<const D: usize>(
    activation: Activation,
    layer: impl FnOnce(bool) -> Option<Tensor<D>>,
) -> Option<Tensor<D>> {
    let relu = activation == Activation::Relu;
    let output = layer(relu)?;
    Some(if relu { output } else { activation.forward(output) })
}
