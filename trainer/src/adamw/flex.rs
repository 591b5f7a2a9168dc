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
