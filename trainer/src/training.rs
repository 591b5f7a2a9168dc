//! A network in training: one step of the optimiser after the other.

use anyhow::Result;
#[cfg(feature = "flex")]
use burn::backend::DispatchDevice;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module as _;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use vae_models::Vae;

use crate::adamw::AdamW;
use crate::checkpoint::Checkpoint;
use crate::config::RunConfig;
use crate::draws::{self, Purpose};
use crate::objective::{Objective, TermWeights};
#[cfg(feature = "flex")]
use crate::together::together;

/// A network, its optimiser, and what they minimise.
///
/// Nothing in a step waits for the device.
pub struct Training<'a> {
    objective: &'a Objective,
    device: &'a Device,
    seed: u64,
    latent: usize,
    vae: Vae,
    optimizer: ModuleOptimizer,
}

impl<'a> Training<'a> {
    /// A network with fresh weights, or as a checkpoint has it.
    ///
    /// Burn draws fresh weights when they are first used: here in the first step, under its seed.
    ///
    /// # Errors
    ///
    /// Where the checkpoint is of another network.
    pub fn new(
        config: &RunConfig,
        objective: &'a Objective,
        device: &'a Device,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Self> {
        let vae = config.model.init(config.image.shape(), &device.clone().autodiff())?;
        let optimizer = optimizer(config);
        let (vae, optimizer) = match checkpoint {
            Some(saved) => (saved.model(vae)?, saved.optimizer(optimizer)?),
            None => (vae, optimizer),
        };
        let (seed, latent) = (config.seed, config.model.latent);
        Ok(Self { objective, device, seed, latent, vae, optimizer })
    }

    /// One step of the optimiser; gives the sums of the terms, as
    /// [`Terms::sums`](crate::objective::Terms::sums), still on the device. The step's number decides the
    /// posterior's noise.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`
    pub fn step(
        &mut self,
        images: Tensor<4>,
        number: usize,
        weights: TermWeights,
        learning_rate: f64,
    ) -> Tensor<1> {
        #[cfg(feature = "flex")]
        if matches!(self.device.as_dispatch(), DispatchDevice::Flex(_)) {
            return together(|| self.step_here(images, number, weights, learning_rate));
        }
        self.step_here(images, number, weights, learning_rate)
    }

    fn step_here(
        &mut self,
        images: Tensor<4>,
        number: usize,
        weights: TermWeights,
        learning_rate: f64,
    ) -> Tensor<1> {
        let [count, ..] = images.dims();
        let place = draws::seed(self.seed, Purpose::Training, number as u64);
        let epsilon = draws::epsilon(place, count, self.latent, self.device);
        let training = self.device.clone().autodiff();
        let (images, epsilon) = (images.to_device(&training), epsilon.to_device(&training));

        let terms = self.objective.terms(&self.vae, images, epsilon);
        let gradients = terms.loss(weights).backward();
        let gradients = GradientsParams::from_grads(gradients, &self.vae);
        self.vae = self.optimizer.step(learning_rate, self.vae.clone(), gradients);
        terms.sums()
    }

    /// The network as it is, without gradients.
    pub fn vae(&self) -> Vae {
        self.vae.valid()
    }

    /// The network and its optimiser, to be saved.
    pub fn parts(&self) -> (&Vae, &ModuleOptimizer) {
        (&self.vae, &self.optimizer)
    }
}

fn optimizer(config: &RunConfig) -> ModuleOptimizer {
    let train = &config.train;
    let optimizer = ModuleOptimizer::from(AdamW::new(train.weight_decay));
    match train.clip_norm {
        Some(norm) => optimizer.with_grad_clipping(GradientClippingConfig::Norm(norm).init()),
        None => optimizer,
    }
}
