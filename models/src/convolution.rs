#[cfg(feature = "flex")]
use burn::module::Param;
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
        if let Some(output) = on_flex(&x, &layer.weight, bias, steps, activation) {
            return output;
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
        if let Some(output) = on_flex(&x, &layer.weight, bias, steps, activation) {
            return output;
        }
    }
    activation.forward(layer.forward(x))
}

/// Either on the CPU, its activation with it; nothing where the tensors are not those of `flex`.
#[cfg(feature = "flex")]
fn on_flex(
    x: &Tensor<4>,
    weight: &Param<Tensor<4>>,
    bias: &Param<Tensor<1>>,
    steps: crate::flex::Steps,
    activation: Activation,
) -> Option<Tensor<4>> {
    let relu = activation == Activation::Relu;
    let output = crate::flex::convolution(x, weight.val(), bias.val(), steps, relu)?;
    Some(if relu { output } else { activation.forward(output) })
}
