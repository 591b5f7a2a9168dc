//! A batch over several devices: each finds the gradients of its share, and the first one sums them.
//!
//! Weights are forked to every device, a thread of its own runs each, and gradients are accumulated on the device
//! that has the optimiser: parts of Burn, in a loop of our own. Of the strategies of `burn-train` 0.22.1,
//! `MultiDevice` cuts the data set and not the batch, and adds the mean gradients of its parts as they come, so that
//! the loss is not that of one device, and three devices do not repeat to the bit; `DistributedDataParallel` needs an
//! all-reduce, which of Burn's local backends CUDA alone has. Both run inside its `Learner`, which saves after whole
//! epochs only.

use std::panic::resume_unwind;
use std::thread;

use anyhow::Result;
use burn::module::Module as _;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};
use vae_models::Vae;

use crate::config::RunConfig;
use crate::device::Chosen;
use crate::objective::{Objective, TermWeights, Terms};

/// Devices that share every batch, the first of which keeps the weights.
pub struct Shares {
    shares: Vec<Share>,
}

struct Share {
    device: Device,
    objective: Objective,
    threads: ThreadPool,
}

impl Shares {
    /// The shares of devices, each with an objective of its own.
    ///
    /// # Errors
    ///
    /// Where the feature network cannot be loaded, or where there are no threads.
    pub fn new(config: &RunConfig, chosen: &Chosen) -> Result<Self> {
        let devices = || std::iter::once(&chosen.device).chain(&chosen.others);
        let count = devices().count();
        let share = |(place, device): (usize, &Device)| {
            let threads = threads(device, place, count);
            Ok(Share {
                device: device.clone(),
                objective: Objective::new(config, device)?,
                threads: ThreadPoolBuilder::new().num_threads(threads).build()?,
            })
        };
        let shares = devices().enumerate().map(share).collect::<Result<_>>()?;
        Ok(Self { shares })
    }

    /// The gradients of the loss over a batch, and the sums of its terms, as
    /// [`gradients`]; both on the first device.
    ///
    /// # Shapes
    ///
    /// - images: `[B, C, H, W]`
    /// - epsilon: `[B, Z]`, drawn from N(0, 1)
    pub fn gradients(
        &self,
        vae: &Vae,
        images: &Tensor<4>,
        epsilon: &Tensor<2>,
        weights: TermWeights,
    ) -> (GradientsParams, Tensor<1>) {
        let [batch, ..] = images.dims();
        let size = batch.div_ceil(self.shares.len());
        let found: Vec<_> = thread::scope(|scope| {
            let starts = (0..batch).step_by(size);
            let running: Vec<_> = starts
                .zip(&self.shares)
                .map(|(start, share)| {
                    let count = size.min(batch - start);
                    let images = images.clone().narrow(0, start, count);
                    let epsilon = epsilon.clone().narrow(0, start, count);
                    let part = count as f64 / batch as f64;
                    let find = move || share.gradients(vae, images, epsilon, weights, part);
                    scope.spawn(|| share.threads.install(find))
                })
                .collect();
            let ended = running.into_iter().map(|thread| thread.join());
            ended.map(|found| found.unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        let first = &self.shares[0].device;
        let mut gradients = GradientsAccumulator::new();
        let mut sums = vec![];
        for (of_share, sums_of_share) in found {
            gradients.accumulate(vae, of_share.to_device(first, vae));
            sums.push(sums_of_share.to_device(first));
        }
        let sums = sums.into_iter().reduce(|sum, share| sum + share);
        (gradients.grads(), sums.expect("a batch has an image"))
    }
}

impl Share {
    /// Its `part` of the gradients of the batch's mean loss.
    fn gradients(
        &self,
        vae: &Vae,
        images: Tensor<4>,
        epsilon: Tensor<2>,
        weights: TermWeights,
        part: f64,
    ) -> (GradientsParams, Tensor<1>) {
        let vae = vae.clone().fork(&self.device.clone().autodiff());
        let loss = |terms: &Terms| terms.loss(weights) * part;
        gradients(&self.objective, &vae, &self.device, images, epsilon, loss)
    }
}

/// The gradients of a loss over images, and the sums of its terms, as [`Terms::sums`]; both on the device
/// that has the weights, and without waiting for it.
///
/// # Shapes
///
/// - images: `[B, C, H, W]`
/// - epsilon: `[B, Z]`, drawn from N(0, 1)
pub fn gradients(
    objective: &Objective,
    vae: &Vae,
    device: &Device,
    images: Tensor<4>,
    epsilon: Tensor<2>,
    loss: impl Fn(&Terms) -> Tensor<1>,
) -> (GradientsParams, Tensor<1>) {
    let training = device.clone().autodiff();
    let (images, epsilon) = (images.to_device(&training), epsilon.to_device(&training));
    let terms = objective.training_terms(vae, images, epsilon);
    let gradients = GradientsParams::from_grads(loss(&terms).backward(), vae);
    (gradients, terms.sums())
}

/// The threads of one of some devices: on the CPU its part of all, and one that feeds any other device, which
/// orders its work by the thread that it comes from.
fn threads(device: &Device, place: usize, devices: usize) -> usize {
    #[cfg(feature = "flex")]
    if matches!(device.as_dispatch(), burn::backend::DispatchDevice::Flex(_)) {
        return ((rayon::current_num_threads() + devices - 1 - place) / devices).max(1);
    }
    let _ = (device, place, devices);
    1
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::Distribution;

    use super::*;
    use crate::device::DeviceName;
    use crate::forward::host;

    const MLP: [&str; 3] = ["mnist-mlp", "train.perceptual.weight=2.0", "train.kl=sampled"];
    const CONVOLUTIONS: [&str; 1] = ["mnist-conv"];

    /// What the CPU finds, as if it had so many threads, each of which is a device: the gradients by weight and the
    /// sums of the terms.
    fn found(config: &RunConfig, vae: &Vae, batch: &Batch, devices: usize) -> Vec<Vec<f32>> {
        let pool = ThreadPoolBuilder::new().num_threads(devices).build().expect("few threads");
        let numbers: Vec<_> = (0..devices).collect();
        let (mut gradients, sums) = pool.install(|| {
            let chosen = DeviceName::Cpu.numbered(&numbers, devices).expect("they are all there");
            let shares = Shares::new(config, &chosen).expect("the feature network is built in");
            shares.gradients(vae, &batch.images, &batch.epsilon, config.weights())
        });
        let mut values = ByWeight { gradients: &mut gradients, values: vec![host(sums)] };
        vae.visit(&mut values);
        values.values
    }

    struct Batch {
        images: Tensor<4>,
        epsilon: Tensor<2>,
    }

    struct ByWeight<'a> {
        gradients: &'a mut GradientsParams,
        values: Vec<Vec<f32>>,
    }

    impl ModuleVisitor for ByWeight<'_> {
        fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<D>>) {
            let gradient = self.gradients.remove::<D>(weight.id);
            self.values.push(host(gradient.expect("every weight has one")));
        }
    }

    /// A network with its weights, and images for it.
    fn made(settings: &[&str], count: usize) -> (RunConfig, Vae, Batch) {
        let others: Vec<_> = settings[1..].iter().map(|&setting| setting.to_owned()).collect();
        let config = RunConfig::load(settings[0], &others).expect("known keys");
        let device = Device::flex();
        let vae = config.model.init([1, 28, 28], &device.clone().autodiff()).expect("it fits");
        vae.valid(); // draws the weights
        let images = Tensor::random([count, 1, 28, 28], Distribution::Uniform(0.0, 1.0), &device);
        let epsilon = Tensor::random([count, 2], Distribution::Normal(0.0, 1.0), &device);
        (config, vae, Batch { images, epsilon })
    }

    #[test]
    fn several_devices_find_the_gradients_of_one() {
        for settings in [&MLP[..], &CONVOLUTIONS] {
            for (count, devices) in [(8, 2), (7, 2), (7, 3), (4, 3), (1, 2)] {
                let (config, vae, batch) = made(settings, count);
                let one = found(&config, &vae, &batch, 1);
                let several = found(&config, &vae, &batch, devices);
                assert_eq!(one.len(), several.len());
                for (one, several) in one.iter().zip(&several) {
                    let largest = one.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
                    assert!(largest > 0.0 && one.len() == several.len());
                    for (one, several) in one.iter().zip(several) {
                        let part = (one - several).abs() / largest;
                        assert!(part < 1e-4, "{count} on {devices}: {several} for {one}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_devices_find_the_same_to_the_bit() {
        let (config, vae, batch) = made(&MLP, 7);
        let [one, two] = [(); 2].map(|()| found(&config, &vae, &batch, 3));
        assert_eq!(one, two);
    }

    #[test]
    fn threads_are_dealt_out_to_the_last_one() {
        let pool = ThreadPoolBuilder::new().num_threads(8).build().expect("few threads");
        let dealt = |devices| -> Vec<_> {
            (0..devices).map(|place| threads(&Device::flex(), place, devices)).collect()
        };
        pool.install(|| {
            assert_eq!(dealt(2), [4, 4]);
            assert_eq!(dealt(3), [3, 3, 2]);
            assert_eq!(dealt(9), [1; 9]);
        });
    }
}
