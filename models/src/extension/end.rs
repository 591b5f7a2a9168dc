use crate::block::Activation;

/// An activation as a part of the layer before it: one whose derivative follows from its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum End {
    /// None, or one that is applied on its own.
    Nothing,
    Relu,
    /// With a slope above 0, which is its derivative at 0 too.
    LeakyRelu(f32),
    Sigmoid,
}

impl End {
    pub(super) fn of(activation: Activation) -> Self {
        match activation {
            Activation::Relu => Self::Relu,
            Activation::LeakyRelu(slope) if slope > 0.0 => Self::LeakyRelu(slope),
            Activation::Sigmoid => Self::Sigmoid,
            Activation::Identity | Activation::LeakyRelu(_) | Activation::Silu => Self::Nothing,
        }
    }
}
