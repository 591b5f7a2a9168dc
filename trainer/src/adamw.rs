//! Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101): Burn's, which is on the
//! CPU a dozen passes over every weight on one thread, there in one pass on all of them.

use burn::optim::{AdamWConfig, AdamWState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

const BETAS: [f32; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;

/// The optimiser, with the constants of the paper. Its state is that of Burn's, to the bit, and its results are
/// but for their rounding.
#[derive(Clone)]
pub struct AdamW {
    #[cfg(feature = "flex")]
    weight_decay: f32,
    burn: burn::optim::AdamW,
}

impl AdamW {
    /// An optimiser that takes `learning_rate x weight_decay` off every weight in a step.
    pub fn new(weight_decay: f32) -> Self {
        let burn = AdamWConfig::new()
            .with_beta_1(BETAS[0])
            .with_beta_2(BETAS[1])
            .with_epsilon(EPSILON)
            .with_weight_decay(weight_decay);
        Self {
            #[cfg(feature = "flex")]
            weight_decay,
            burn: burn.build(),
        }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        #[cfg(feature = "flex")]
        let state = match state {
            Some(state) if flex::has(&weights) => {
                let (weights, state) =
                    flex::step(learning_rate, self.weight_decay, weights, gradient, state);
                return (weights, Some(state));
            }
            state => state,
        };
        self.burn.step(learning_rate, weights, gradient, state)
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        burn::optim::AdamW::to_device(state, device)
    }
}

#[cfg(feature = "flex")]
mod flex {
    use burn::backend::flex::FlexTensor;
    use burn::backend::{DispatchDevice, Flex};
    use burn::optim::{AdamWState, AdaptiveMomentumState, LearningRate};
    use burn::tensor::{DType, Tensor};
    use pulp::Arch;
    use rayon::prelude::*;

    use super::{BETAS, EPSILON};

    /// Weights that a thread takes at once.
    const SHARE: usize = 16 * 1024;

    pub(super) fn has<const D: usize>(weights: &Tensor<D>) -> bool {
        let here = matches!(weights.device().as_dispatch(), DispatchDevice::Flex(_));
        here && weights.dtype() == DType::F32
    }

    pub(super) fn step<const D: usize>(
        learning_rate: LearningRate,
        weight_decay: f32,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: AdamWState<D>,
    ) -> (Tensor<D>, AdamWState<D>) {
        let AdaptiveMomentumState { time, moment_1, moment_2, .. } = state.momentum;
        let time = time + 1;
        let corrections = BETAS.map(|beta| 1.0 - beta.powi(time as i32));
        let kept = (1.0 - learning_rate * f64::from(weight_decay)) as f32;
        // out of the pass, in which every division takes as long as ten products
        let rate = learning_rate as f32 / corrections[0];
        let scale = corrections[1].sqrt().recip();

        let [weights, mut gradient] = [weights, gradient].map(primitive);
        let [mut moment_1, mut moment_2] = [moment_1, moment_2].map(primitive);
        // the updated weights take the gradient's place
        let shares = gradient
            .storage_mut::<f32>()
            .par_chunks_mut(SHARE)
            .zip(values(&weights).par_chunks(SHARE))
            .zip(moment_1.storage_mut::<f32>().par_chunks_mut(SHARE))
            .zip(moment_2.storage_mut::<f32>().par_chunks_mut(SHARE));
        shares.for_each(|(((gradients, weights), moment_1), moment_2)| {
            Arch::new().dispatch(|| {
                let moments = moment_1.iter_mut().zip(moment_2);
                for ((gradient, weight), (m, v)) in gradients.iter_mut().zip(weights).zip(moments) {
                    *m = *m * BETAS[0] + *gradient * (1.0 - BETAS[0]);
                    *v = *v * BETAS[1] + *gradient * *gradient * (1.0 - BETAS[1]);
                    *gradient = weight * kept - *m * rate / (v.sqrt() * scale + EPSILON);
                }
            });
        });
        let [updated, moment_1, moment_2] =
            [gradient, moment_1, moment_2].map(Tensor::from_primitive::<Flex>);
        let momentum = AdaptiveMomentumState::new(time, moment_1, moment_2);
        (updated, AdamWState { momentum })
    }

    /// A tensor whose numbers are all of its storage, row-major.
    fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
        let tensor = tensor.try_into_primitive::<Flex>().expect("its device is flex");
        tensor.to_contiguous()
    }

    fn values(tensor: &FlexTensor) -> &[f32] {
        tensor.storage()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    /// The same numbers where they may lie: alone, by columns, and as rows and columns of a larger tensor.
    fn lying(numbers: Tensor<2>, place: usize) -> Tensor<2> {
        let [rows, columns] = numbers.dims();
        let beside = |axis| {
            let other = numbers.clone() + 1.0;
            Tensor::cat(vec![other.clone(), numbers.clone(), other], axis)
        };
        match place {
            0 => numbers,
            1 => numbers.transpose().reshape([rows * columns]).reshape([columns, rows]).transpose(),
            2 => beside(0).narrow(0, rows, rows),
            _ => beside(1).narrow(1, columns, columns),
        }
    }

    #[test]
    fn steps_are_those_of_burn_wherever_the_tensors_lie() {
        let device = Device::flex();
        device.seed(5);
        let random = || Tensor::<2>::random([70, 500], Distribution::Normal(0.0, 0.1), &device);
        for (weight_decay, place) in [(0.0, 0), (0.01, 0), (0.01, 1), (0.01, 2), (0.01, 3)] {
            let ours = AdamW::new(weight_decay);
            let weights = random();
            let mut found = (weights.clone(), None);
            let mut expected = (weights, None);
            for step in 1..5 {
                let gradient = random();
                expected = ours.burn.step(1e-3, expected.0, gradient.clone(), expected.1);
                let (weights, state) = found;
                let state = state.map(|AdamWState { mut momentum }| {
                    momentum.moment_1 = lying(momentum.moment_1, place);
                    momentum.moment_2 = lying(momentum.moment_2, place);
                    AdamWState { momentum }
                });
                found = ours.step(1e-3, lying(weights, place), lying(gradient, place), state);
                let [found, expected] = [&found, &expected].map(|(weights, state)| {
                    let momentum = &state.as_ref().expect("it has taken a step").momentum;
                    assert_eq!(momentum.time, step);
                    [weights, &momentum.moment_1, &momentum.moment_2].map(|t| t.clone().into_data())
                });
                found[0].assert_approx_eq::<f32>(&expected[0], Tolerance::rel_abs(1e-6, 1e-8));
                found[1..].iter().zip(&expected[1..]).for_each(|(found, expected)| {
                    found.assert_eq(expected, true);
                });
            }
        }
    }
}
