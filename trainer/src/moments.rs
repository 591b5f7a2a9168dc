//! What the optimiser knows of every weight, read back without a device that nobody chose.

use burn::optim::{AdamWState, LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use crate::adamw::AdamW;

/// AdamW, whose state is read into the memory of the CPU and goes from there to the device of its weights, in the
/// first step. Burn alone reads it into its default device: the first GPU in the build, whichever was chosen.
#[derive(Clone)]
pub(crate) struct HostRead(pub AdamW);

/// Its state, which is written as that of [`AdamW`].
#[derive(Clone)]
pub(crate) struct Moments<const D: usize>(AdamWState<D>);

impl Optimizer for HostRead {
    type State<const D: usize> = Moments<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Moments<D>>,
    ) -> (Tensor<D>, Option<Moments<D>>) {
        let state = state.map(|Moments(state)| state);
        let (weights, state) = self.0.step(learning_rate, weights, gradient, state);
        (weights, state.map(Moments))
    }

    fn to_device<const D: usize>(Moments(state): Moments<D>, device: &Device) -> Moments<D> {
        Moments(AdamW::to_device(state, device))
    }
}

impl<const D: usize> RecordState for Moments<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        self.0.state_flatten(prefix, out);
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        #[cfg(feature = "flex")]
        let (_, device) = (device, &Device::flex());
        AdamWState::state_unflatten(prefix, source, device).map(Self)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_into_memory_and_not_into_the_device_of_burn() {
        let (host, burn) = (Device::flex(), Device::flex().autodiff());
        let ones = || Tensor::<2>::ones([2, 3], &host);
        let (_, state) = HostRead(AdamW::new(0.0)).step(0.1, ones(), ones(), None);
        let mut written = StateSink::default();
        state.expect("it has taken a step").state_flatten("w", &mut written);
        let source = || {
            let mut source = StateSource::new(written.scalars.iter().cloned().collect());
            let tensors = written.tensors.iter().cloned();
            tensors.for_each(|(name, data)| source.insert_tensor(name, data));
            source
        };
        let theirs = AdamWState::<2>::state_unflatten("w", &mut source(), &burn).expect("whole");
        let ours = Moments::<2>::state_unflatten("w", &mut source(), &burn).expect("whole");
        let is_there = |state: &AdamWState<2>| state.momentum.moment_1.device().is_autodiff();
        assert!(is_there(&theirs) && !is_there(&ours.0));
    }
}
