use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::Tensor;

use crate::block::Activation;

/// A convolution with its activation, `[B, C, H, W]` to `[B, C', H', W']`.
pub(crate) fn conv(layer: &Conv2d, x: Tensor<4>, activation: Activation) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let (Some(bias), burn::nn::PaddingConfig2d::Explicit(top, left, bottom, right)) =
        (&layer.bias, &layer.padding)
        && (top, left) == (bottom, right)
    {
        let (stride, padding) = (layer.stride, [*top, *left]);
        let steps = crate::flex::Steps { stride, padding, transposed: None };
        let (weight, bias) = (layer.weight.val(), bias.val());
        let relu = activation == Activation::Relu;
        if let Some(output) = crate::flex::convolution(&x, weight, bias, steps, relu) {
            return if relu { output } else { activation.forward(output) };
        }
    }
    activation.forward(layer.forward(x))
}

/// A transposed convolution with its activation, `[B, C, H, W]` to `[B, C', H', W']`.
pub(crate) fn deconv(layer: &ConvTranspose2d, x: Tensor<4>, activation: Activation) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let Some(bias) = &layer.bias {
        let (stride, padding) = (layer.stride, layer.padding);
        let steps = crate::flex::Steps { stride, padding, transposed: Some(layer.padding_out) };
        let (weight, bias) = (layer.weight.val(), bias.val());
        let relu = activation == Activation::Relu;
        if let Some(output) = crate::flex::convolution(&x, weight, bias, steps, relu) {
            return if relu { output } else { activation.forward(output) };
        }
    }
    activation.forward(layer.forward(x))
}
