use std::sync::LazyLock;

use tch::{IValue, Tensor};

use super::{Activation, TorchScript};

static SCRIPT: LazyLock<TorchScript> =
    LazyLock::new(|| TorchScript::new(include_str!("end.torchscript")));

/// An activation at the end of a layer whose derivative follows from its value.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum End {
    Relu,
    LeakyRelu(f32),
    Sigmoid,
}

impl End {
    /// The end that is an activation; none where its derivative does not follow from its value, or where it does
    /// nothing.
    pub(in super::super) fn of(activation: Activation) -> Option<Self> {
        match activation {
            Activation::Relu => Some(Self::Relu),
            Activation::LeakyRelu(slope) if slope > 0.0 => Some(Self::LeakyRelu(slope)),
            Activation::Sigmoid => Some(Self::Sigmoid),
            _ => None,
        }
    }

    /// Its values, in place.
    pub(super) fn apply(self, mut values: Tensor) -> Tensor {
        match self {
            Self::Relu => values.relu_(),
            Self::LeakyRelu(slope) => {
                let given = [IValue::Tensor(values), IValue::Double(slope.into())];
                let [values] = SCRIPT.tensors("leaky_relu", &given);
                values
            }
            Self::Sigmoid => values.sigmoid_(),
        }
    }

    /// The gradient before it, of one behind it, given its values.
    pub(super) fn before(self, gradient: &Tensor, values: &Tensor) -> Tensor {
        match self {
            Self::Relu => values.threshold_backward(gradient, 0),
            Self::LeakyRelu(slope) => values.leaky_relu_backward(gradient, f64::from(slope), true),
            Self::Sigmoid => Tensor::sigmoid_backward(gradient, values),
        }
    }
}
