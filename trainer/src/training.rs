//! A network in training: one step of the optimiser after the other.

use anyhow::Result;
#[cfg(feature = "flex")]
use burn::backend::DispatchDevice;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module as _;
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor};
use vae_models::Vae;

use crate::adamw::{self, AdamW};
use crate::checkpoint::Checkpoint;
use crate::config::RunConfig;
use crate::device::Chosen;
use crate::draws::{self, Purpose};
use crate::moments::HostRead;
use crate::objective::{Objective, TermWeights, Terms};
use crate::shares::{Shares, gradients};
#[cfg(feature = "flex")]
use crate::together::together;

/// A network, its optimiser, and what they minimise.
///
/// Nothing in a step waits for the device.
pub struct Training<'a> {
    objective: &'a Objective,
    device: &'a Device,
    shares: Option<Shares>,
    seed: u64,
    latent: usize,
    /// Whether there are weights: with several devices the first draws them before it shares them.
    drawn: bool,
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
    /// Where the checkpoint is of another network, or where a further device cannot be used.
    pub fn new(
        config: &RunConfig,
        objective: &'a Objective,
        chosen: &'a Chosen,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Self> {
        let Chosen { device, others, .. } = chosen;
        let shares = (!others.is_empty()).then(|| Shares::new(config, chosen)).transpose()?;
        let vae = config.model.init(config.image.shape(), &device.clone().autodiff())?;
        let optimizer = optimizer(config);
        let (vae, optimizer) = match checkpoint {
            Some(saved) => (saved.model(vae)?, saved.optimizer(optimizer)?),
            None => (vae, optimizer),
        };
        let (seed, latent, drawn) = (config.seed, config.model.latent, checkpoint.is_some());
        Ok(Self { objective, device, shares, seed, latent, drawn, vae, optimizer })
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
        if self.shares.is_none() && matches!(self.device.as_dispatch(), DispatchDevice::Flex(_)) {
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
        let loss = |terms: &Terms| terms.loss(weights);
        let here = |images, epsilon| {
            gradients(self.objective, &self.vae, self.device, images, epsilon, loss)
        };
        let (gradients, sums) = match &self.shares {
            None => here(images, epsilon),
            Some(shares) => {
                if !self.drawn {
                    here(images.clone().narrow(0, 0, 1), epsilon.clone().narrow(0, 0, 1));
                }
                shares.gradients(&self.vae, &images, &epsilon, weights)
            }
        };
        self.drawn = true;
        let vae = self.vae.clone();
        self.vae = adamw::at_once(|| self.optimizer.step(learning_rate, vae, gradients));
        sums
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
    let optimizer = ModuleOptimizer::from(HostRead(AdamW::new(train.weight_decay)));
    match train.clip_norm {
        Some(norm) => optimizer.with_grad_clipping(GradientClippingConfig::Norm(norm).init()),
        None => optimizer,
    }
}
