use burn::module::Param;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::network::Layer;

/// How fresh weights are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initialization {
    /// Weights and biases from U(-k, k) with k = 1 / sqrt(fan-in): what PyTorch's layers begin with.
    #[default]
    Kaiming,
    /// Weights from U(-k, k) with k = sqrt(6 / (fan-in + fan-out)) (Glorot and Bengio, AISTATS
    /// 2010), biases 0: what Keras's layers begin with.
    Glorot,
}

impl Initialization {
    /// Whether it is what layers begin with where nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Redraws a layer that begins with [`Initialization::Kaiming`].
    pub(crate) fn apply(self, mut layer: Layer, device: &Device) -> Layer {
        if self == Self::Kaiming {
            return layer;
        }
        match &mut layer {
            Layer::Dense(dense) => {
                dense.weight = glorot(dense.weight.lazy_shape().dims(), 0, 1, device);
                zero(&mut dense.bias, device);
            }
            Layer::Conv(conv) => {
                conv.weight = glorot(conv.weight.lazy_shape().dims(), 1, 0, device);
                zero(&mut conv.bias, device);
            }
            Layer::Deconv(deconv) => {
                deconv.weight = glorot(deconv.weight.lazy_shape().dims(), 0, 1, device);
                zero(&mut deconv.bias, device);
            }
        }
        layer
    }
}

/// A weight whose inputs and outputs lie along two of its axes, and whose kernel lies along the rest.
fn glorot<const D: usize>(
    shape: [usize; D],
    inputs: usize,
    outputs: usize,
    device: &Device,
) -> Param<Tensor<D>> {
    let kernel: usize = shape[2..].iter().product();
    let fans = [inputs, outputs].map(|axis| Some(shape[axis] * kernel));
    Initializer::XavierUniform { gain: 1.0 }.init_with(shape, fans[0], fans[1], device)
}

fn zero(bias: &mut Option<Param<Tensor<1>>>, device: &Device) {
    if let Some(bias) = bias {
        *bias = Initializer::Zeros.init(bias.lazy_shape().dims::<1>(), device);
    }
}
