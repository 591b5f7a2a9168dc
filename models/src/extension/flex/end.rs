use super::End;
use super::exp::sigmoid;

impl End {
    /// Its values, in place.
    #[inline(always)]
    pub(super) fn finish(self, values: &mut [f32]) {
        match self {
            Self::Nothing => {}
            Self::Relu => values.iter_mut().for_each(|y| *y = if *y <= 0.0 { 0.0 } else { *y }),
            Self::LeakyRelu(slope) => {
                values.iter_mut().for_each(|y| *y *= if *y < 0.0 { slope } else { 1.0 });
            }
            Self::Sigmoid => values.iter_mut().for_each(|y| *y = sigmoid(*y).0),
        }
    }

    /// Turns gradients behind it into those before it, given its values.
    #[inline(always)]
    pub(super) fn turn(self, gradients: &mut [f32], values: &[f32]) {
        let pairs = gradients.iter_mut().zip(values);
        match self {
            Self::Nothing => {}
            Self::Relu => pairs.for_each(|(g, y)| *g = if *y <= 0.0 { 0.0 } else { *g }),
            Self::LeakyRelu(slope) => {
                pairs.for_each(|(g, y)| *g *= if *y <= 0.0 { slope } else { 1.0 });
            }
            Self::Sigmoid => pairs.for_each(|(g, y)| *g *= y * (1.0 - y)),
        }
    }
}
