use std::sync::LazyLock;

use tch::{IValue, Tensor};

use super::{End, TorchScript};

static SCRIPT: LazyLock<TorchScript> =
    LazyLock::new(|| TorchScript::new(include_str!("end.torchscript")));

impl End {
    /// Its values, in place.
    pub(super) fn apply(self, mut values: Tensor) -> Tensor {
        match self {
            Self::Nothing => values,
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
    pub(super) fn before(self, gradient: Tensor, values: &Tensor) -> Tensor {
        match self {
            Self::Nothing => gradient,
            Self::Relu => values.threshold_backward(&gradient, 0),
            Self::LeakyRelu(slope) => values.leaky_relu_backward(&gradient, f64::from(slope), true),
            Self::Sigmoid => Tensor::sigmoid_backward(&gradient, values),
        }
    }
}
