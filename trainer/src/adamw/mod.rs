//! Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101): Burn's, which is a dozen passes over
//! every weight, in one pass where a backend has a way to it.

#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "libtorch")]
mod libtorch;

use burn::optim::{AdamWConfig, AdamWState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

const BETAS: [f32; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;

/// The optimiser, with the constants of the paper. Its state and its results are those of Burn's but for their
/// rounding; with `flex` its state is, to the bit.
#[derive(Clone)]
pub struct AdamW {
    #[cfg(any(feature = "flex", feature = "libtorch"))]
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
            #[cfg(any(feature = "flex", feature = "libtorch"))]
            weight_decay,
            burn: burn.build(),
        }
    }
}

/// A step of all weights of a network: on libtorch they get their values in one call once `steps` has ended, and nothing
/// may read them before.
pub(crate) fn at_once<T>(steps: impl FnOnce() -> T) -> T {
    #[cfg(feature = "libtorch")]
    let steps = || libtorch::at_once(steps);
    steps()
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
        #[cfg(feature = "libtorch")]
        let state = match state {
            Some(state) if libtorch::has(&weights) => {
                let (weights, state) =
                    libtorch::step(learning_rate, self.weight_decay, weights, gradient, state);
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

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, TensorData, Tolerance};

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
        #[cfg(feature = "flex")]
        steps_are_those_of_burn(&Device::flex(), true);
        #[cfg(feature = "libtorch")]
        #[allow(deprecated, reason = "Burn's way to libtorch is deprecated")]
        steps_are_those_of_burn(&Device::libtorch(), false);
    }

    /// `exact`: the moments are Burn's to the bit.
    fn steps_are_those_of_burn(device: &Device, exact: bool) {
        device.seed(5);
        let random = || Tensor::<2>::random([70, 500], Distribution::Normal(0.0, 0.1), device);
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
                let kept = state.clone().map(|state| state.momentum.moment_1);
                let before = kept.clone().map(Tensor::into_data);
                let (weights, gradient) = (lying(weights, place), lying(gradient, place));
                let stepped = || ours.step(1e-3, weights, gradient, state);
                found = if place == 0 { at_once(stepped) } else { stepped() };
                if let (Some(kept), Some(before)) = (kept, before) {
                    kept.into_data().assert_eq(&before, true); // whoever has a state keeps it
                }
                let [found, expected] = [&found, &expected].map(|(weights, state)| {
                    let momentum = &state.as_ref().expect("it has taken a step").momentum;
                    assert_eq!(momentum.time, step);
                    [weights, &momentum.moment_1, &momentum.moment_2].map(|t| t.clone().into_data())
                });
                let near = |found: &TensorData, expected: &TensorData, [rel, abs]: [f64; 2]| {
                    found.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(rel, abs));
                };
                let within = if exact { [1e-6, 1e-8] } else { [1e-5, 1e-7] };
                near(&found[0], &expected[0], within);
                for (found, expected) in found[1..].iter().zip(&expected[1..]) {
                    match exact {
                        true => found.assert_eq(expected, true),
                        false => near(found, expected, [1e-5, 1e-8]),
                    }
                }
            }
        }
    }

    #[test]
    fn tensors_of_a_step_do_not_meet() {
        let devices = vec![
            #[cfg(feature = "flex")]
            Device::flex(),
            #[cfg(feature = "libtorch")]
            #[allow(deprecated, reason = "Burn deprecates its way to libtorch")]
            Device::libtorch(),
        ];
        for device in devices {
            let ours = AdamW::new(0.01);
            let full = |value: f32, size| Tensor::<1>::full([size], value, &device);
            let first = |value, size| ours.step(0.1, full(value, size), full(value, size), None);
            let second = |value: f32, size, rate| {
                let (weights, state) = first(value, size);
                ours.step(rate, weights, full(1.0, size), state)
            };
            let alone = [second(1.0, 3, 0.1).0, second(2.0, 5, f64::NAN).0];
            let stepped = at_once(|| [second(1.0, 3, 0.1).0, second(2.0, 5, 0.1).0]);
            stepped[0].clone().into_data().assert_eq(&alone[0].clone().into_data(), true);
            assert_eq!(stepped[1].dims(), [5]);
            assert!(alone[1].clone().into_data().iter::<f32>().all(f32::is_nan));
            let expected = second(2.0, 5, 0.1).0.into_data();
            stepped[1].clone().into_data().assert_eq(&expected, true);
            let broken = at_once(|| second(2.0, 5, f64::NAN).0);
            assert!(broken.into_data().iter::<f32>().all(f32::is_nan));
        }
    }
}
