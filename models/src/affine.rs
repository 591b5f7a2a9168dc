use burn::nn::Linear;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::Tensor;

use crate::block::Activation;
#[cfg(any(feature = "flex", feature = "libtorch"))]
use crate::extension::{self, Steps};

/// A dense layer with its activation, `[B, F]` to `[B, F']`.
pub(crate) fn dense(layer: &Linear, x: Tensor<2>, activation: Activation) -> Tensor<2> {
    #[cfg(any(feature = "flex", feature = "libtorch"))]
    if let Some(bias) = &layer.bias
        && let Some(output) = extension::dense(&x, layer.weight.val(), bias.val(), activation)
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
        && let steps = (Steps { stride: layer.stride, padding: [*top, *left], transposed: None })
        && let Some(output) =
            extension::convolution(&x, layer.weight.val(), bias.val(), steps, activation)
    {
        return output;
    }
    activation.forward(layer.forward(x))
}

/// A transposed convolution with its activation, `[B, C, H, W]` to `[B, C', H', W']`.
pub(crate) fn deconv(layer: &ConvTranspose2d, x: Tensor<4>, activation: Activation) -> Tensor<4> {
    #[cfg(any(feature = "flex", feature = "libtorch"))]
    if let Some(bias) = &layer.bias
        && let (stride, padding, transposed) =
            (layer.stride, layer.padding, Some(layer.padding_out))
        && let steps = (Steps { stride, padding, transposed })
        && let Some(output) =
            extension::convolution(&x, layer.weight.val(), bias.val(), steps, activation)
    {
        return output;
    }
    activation.forward(layer.forward(x))
}
