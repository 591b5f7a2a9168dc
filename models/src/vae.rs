use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::block::{Activation, Block};
use crate::cost::Cost;
use crate::initialization::Initialization;
use crate::loss::Likelihood;
use crate::network::{Features, Network, NetworkConfig, Skips};
use crate::posterior::Posterior;
use crate::shape::{Shape, ShapeError};

/// A variational autoencoder, or a plain one where `variational` is false.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeConfig {
    /// Size `Z` of the latent vector. Where the encoder leaves an image, `[C', H', W']`, the latent
    /// vector is a spatial code: `Z / (H' W')` channels on its pixels, row-major.
    pub latent: usize,
    /// Whether the encoder gives a Gaussian posterior; without it, a point.
    #[serde(default = "yes")]
    pub variational: bool,
    /// How fresh weights are drawn.
    #[serde(default, skip_serializing_if = "Initialization::is_default")]
    pub initialization: Initialization,
    /// What the decoder's output means.
    pub likelihood: Likelihood,
    /// From the image to the features on which the heads for mean and log-variance stand: dense
    /// ones on a vector, convolutions of one pixel on an image.
    pub encoder: NetworkConfig,
    /// From the latent vector to the image, in the terms of the likelihood.
    pub decoder: NetworkConfig,
}

/// An autoencoder with its weights.
#[derive(Module, Debug)]
pub struct Vae {
    /// From `image` to features, with taps.
    pub encoder: Network,
    /// From those features to `mean`.
    pub mean: Network,
    /// From those features to `log_var`; absent in a plain autoencoder.
    pub log_var: Option<Network>,
    /// From `latent` to the decoder's output, with joins.
    pub decoder: Network,
    #[module(skip)]
    likelihood: Likelihood,
}

/// What an encoder knows of a batch of images.
#[derive(Debug, Clone)]
pub struct Encoding {
    /// The posterior over latent vectors.
    pub posterior: Posterior,
    /// The images that the decoder joins, by name.
    pub skips: Skips,
}

fn yes() -> bool {
    true
}

/// The networks of a [`VaeConfig`] with the shapes between their blocks.
struct Plan {
    encoder: Vec<Shape>,
    head: NetworkConfig,
    head_shapes: Vec<Shape>,
    decoder: Vec<Shape>,
    skips: BTreeMap<String, Shape>,
}

impl VaeConfig {
    /// Checks that image, encoder, latent vector and decoder fit together, and gives the shapes of
    /// the skips between encoder and decoder by name.
    ///
    /// # Shapes
    ///
    /// image: `[C, H, W]`
    ///
    /// # Errors
    ///
    /// The first block that does not fit.
    pub fn check(&self, image: [usize; 3]) -> Result<BTreeMap<String, Shape>, ShapeError> {
        self.plan(image).map(|plan| plan.skips)
    }

    /// The cost of one image: encoder with its heads, and decoder.
    ///
    /// # Errors
    ///
    /// As [`VaeConfig::check`].
    pub fn cost(&self, image: [usize; 3]) -> Result<[Cost; 2], ShapeError> {
        let plan = self.plan(image)?;
        let features = last(Shape::Image(image), &plan.encoder);
        let (latent, image) = (Shape::Flat(self.latent), Shape::Image(image));
        let head = plan.head.cost(features, &plan.head_shapes);
        let heads = if self.variational { head + head } else { head };
        let encoder = self.encoder.cost(image, &plan.encoder) + heads;
        Ok([encoder, self.decoder.cost(latent, &plan.decoder)])
    }

    /// A model with fresh weights.
    ///
    /// # Errors
    ///
    /// As [`VaeConfig::check`].
    pub fn init(&self, image: [usize; 3], device: &Device) -> Result<Vae, ShapeError> {
        let plan = self.plan(image)?;
        let features = last(Shape::Image(image), &plan.encoder);
        let latent = Shape::Flat(self.latent);
        let init = |network: &NetworkConfig, input, shapes: &[Shape]| {
            network.init(input, shapes, self.initialization, device)
        };
        let head = || init(&plan.head, features, &plan.head_shapes);
        Ok(Vae {
            encoder: init(&self.encoder, Shape::Image(image), &plan.encoder),
            mean: head(),
            log_var: self.variational.then(head),
            decoder: init(&self.decoder, latent, &plan.decoder),
            likelihood: self.likelihood,
        })
    }

    fn plan(&self, image: [usize; 3]) -> Result<Plan, ShapeError> {
        let fails = |network: &str, blocks: &NetworkConfig, reason: String| ShapeError {
            network: network.into(),
            number: blocks.0.len(),
            reason,
        };
        if !(1..=MAX_LATENT).contains(&self.latent) {
            let reason = format!("the latent size is {}, not 1 to {MAX_LATENT}", self.latent);
            return Err(fails("encoder", &self.encoder, reason));
        }
        let mut skips = BTreeMap::new();
        let encoder = self.encoder.shapes("encoder", Shape::Image(image), &mut skips)?;
        let features = last(Shape::Image(image), &encoder);
        let activation = Activation::Identity;
        let head = match features {
            Shape::Flat(_) => vec![Block::Dense { units: self.latent, activation }],
            Shape::Image([_, h, w]) => {
                if !self.latent.is_multiple_of(h * w) {
                    let latent = self.latent;
                    let reason = format!(
                        "it leaves {features}, and a latent size of {latent} is no multiple of {h}x{w}: \
                         flatten it for a latent vector"
                    );
                    return Err(fails("encoder", &self.encoder, reason));
                }
                let channels = self.latent / (h * w);
                let [kernel, stride, padding] = [1, 1, 0];
                let code = Block::Conv { channels, kernel, stride, padding, activation };
                vec![code, Block::Flatten]
            }
        };
        let head = NetworkConfig(head);
        let head_shapes = head.shapes("head", features, &mut BTreeMap::new())?;

        let taps = skips.len();
        let decoder = self.decoder.shapes("decoder", Shape::Flat(self.latent), &mut skips)?;
        let reconstruction = last(Shape::Flat(self.latent), &decoder);
        if reconstruction != Shape::Image(image) {
            let image = Shape::Image(image);
            let reason = format!("it leaves {reconstruction}, the image is {image}");
            return Err(fails("decoder", &self.decoder, reason));
        }
        let affine = |block: &&Block| {
            matches!(block, Block::Dense { .. } | Block::Conv { .. } | Block::Deconv { .. })
        };
        let logits = self.decoder.0.iter().rev().find(affine).map(Block::activation);
        if self.likelihood == Likelihood::Bernoulli
            && logits.is_some_and(|activation| activation != Activation::Identity)
        {
            let reason = "a Bernoulli likelihood takes logits: remove the activation".to_owned();
            return Err(fails("decoder", &self.decoder, reason));
        }
        if skips.len() > taps {
            skips.retain(|skip, _| self.encoder.0.contains(&Block::Tap { skip: skip.clone() }));
        }
        let joined = |skip: &String| self.decoder.0.contains(&Block::Join { skip: skip.clone() });
        skips.retain(|skip, _| joined(skip));
        Ok(Plan { encoder, head, head_shapes, decoder, skips })
    }
}

/// The largest latent vector.
const MAX_LATENT: usize = 1 << 20;

fn last(input: Shape, shapes: &[Shape]) -> Shape {
    shapes.last().copied().unwrap_or(input)
}

impl Vae {
    /// The posterior of a batch of images, and the images that the decoder joins.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`
    pub fn encode(&self, images: Tensor<4>) -> Encoding {
        let mut skips = Skips::new();
        let features = self.encoder.forward(Features::Image(images), &mut skips);
        let head = |head: &Network| head.forward(features.clone(), &mut Skips::new()).flat();
        let posterior =
            Posterior { mean: head(&self.mean), log_var: self.log_var.as_ref().map(head) };
        Encoding { posterior, skips }
    }

    /// The decoder's output in the terms of the likelihood: logits for Bernoulli pixels.
    ///
    /// # Shapes
    ///
    /// - latent: `[B, Z]`
    /// - output: `[B, C, H, W]`
    pub fn decode(&self, latent: Tensor<2>, mut skips: Skips) -> Tensor<4> {
        self.decoder.forward(Features::Flat(latent), &mut skips).image()
    }

    /// The likelihood under which the decoder's output is read.
    pub fn likelihood(&self) -> Likelihood {
        self.likelihood
    }
}
