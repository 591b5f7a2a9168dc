//! The perceptual loss: two images are compared by what a frozen feature network sees in them
//! (Johnson, Alahi and Fei-Fei, arXiv:1603.08155; for VAEs Hou et al., arXiv:1610.00291).
//!
//! A feature network is a list of blocks whose taps name the layers to compare, an adaptation of
//! its input, and a file of weights: see [`Description`].

mod bilinear;
mod description;
mod input;
mod weights;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vae_infer::ImageSpec;
use vae_models::{Block, Cost, Features, Initialization, Network, NetworkConfig, Shape, Skips};

pub use description::{Description, LayerNames, WeightsConfig};
pub use input::{ChannelOrder, InputConfig, PerChannel};

use input::Adaptation;
use weights::Tensors;

/// The perceptual term of the loss: the `[train.perceptual]` table of a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerceptualConfig {
    /// The term's weight beside the reconstruction's 1; with 0 it is measured and not trained on.
    pub weight: f64,
    /// The feature network: `letters`, `squeezenet1.1`, `vgg16-block3`, or the path of a
    /// `features.toml`.
    #[serde(default = "letters")]
    pub features: String,
    /// The file of its weights, where it brings none or in place of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// The taps whose layers are compared; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}

fn letters() -> String {
    "letters".to_owned()
}

impl PerceptualConfig {
    /// Makes paths absolute, so that a run can be resumed and evaluated from any folder.
    ///
    /// # Errors
    ///
    /// Where the working folder is not known.
    pub fn make_paths_absolute(&mut self) -> Result<()> {
        if description::is_path(&self.features) {
            self.features = std::path::absolute(&self.features)?.to_string_lossy().into_owned();
        }
        if let Some(weights) = &mut self.weights {
            *weights = std::path::absolute(&*weights)?;
        }
        Ok(())
    }
}

/// A frozen feature network, as a distance between images.
///
/// Its weights are on the plain device: a gradient flows through it to the images, and none to them.
#[derive(Debug)]
pub struct Perceptual {
    network: Network,
    adaptation: Adaptation,
    layers: Vec<String>,
    sha256: String,
    cost: Cost,
}

impl Perceptual {
    /// Loads a feature network up to the last layer that is compared.
    ///
    /// # Errors
    ///
    /// Where the description cannot be read or does not fit together, where it has no layer of a
    /// given name, or where its weights are missing or of another shape.
    pub fn load(config: &PerceptualConfig, image: &ImageSpec, device: &Device) -> Result<Self> {
        let (description, source) = Description::open(&config.features)?;
        let name = &description.name;
        let (layers, blocks) = description.until_last(&config.layers)?;
        let adaptation = Adaptation::new(&description.input, image, device)
            .with_context(|| format!("in [input] of `{name}`"))?;
        let input = Shape::Image(description.input.shape());
        let shapes = shapes(name, &blocks, input)?;

        let Some(source) = config.weights.clone().map(Into::into).or(source) else {
            bail!(
                "`{name}` comes without weights: train.perceptual.weights names the file \
                 (.safetensors, or PyTorch's .pth or .pt)"
            );
        };
        let cost = blocks.cost(input, &shapes);
        let mut tensors = Tensors::open(&source)?;
        let mut network = blocks.init(input, &shapes, Initialization::Kaiming, device);
        tensors.load_into(&mut network, &description.weights.layers, device)?;

        let mut hasher = Sha256::new();
        hasher.update(description.canonical(blocks, &layers));
        hasher.update(tensors.digest());
        let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { network, adaptation, layers, sha256, cost })
    }

    /// SHA-256 of the weights that take part, with the description of how they are used.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The cost of one image, up to the last layer that is compared.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The compared layers by name.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`, in the range of the autoencoder's images
    pub fn features(&self, images: Tensor<4>) -> Skips {
        let mut taps = Skips::new();
        let input = Features::Image(self.adaptation.forward(images));
        self.network.forward(input, &mut taps);
        taps.retain(|tap, _| self.layers.contains(tap));
        taps
    }

    /// The distance of every image to its reconstruction: over the elements of a layer the mean of
    /// the squared difference, and the sum of that over the layers. The gradient flows to the
    /// reconstruction alone.
    ///
    /// # Shapes
    ///
    /// - reconstruction, image: `[B, C, H, W]`
    /// - output: `[B]`
    pub fn distance(&self, reconstruction: Tensor<4>, image: Tensor<4>) -> Tensor<1> {
        let mut targets = self.features(image.inner());
        let layers = self.features(reconstruction).into_iter().map(|(tap, layer)| {
            let target = targets.remove(&tap).expect("both went through the same network");
            let squared = (layer - target).square();
            squared.flatten::<2>(1, 3).mean_dim(1).squeeze_dim::<1>(1)
        });
        layers.reduce(|sum, layer| sum + layer).expect("a description without layers is refused")
    }
}

/// The shape behind every block. Every pool must cover its input without a rest: there PyTorch's
/// ceil mode, in which SqueezeNet was trained, is the same as Burn's floor.
fn shapes(name: &str, blocks: &NetworkConfig, input: Shape) -> Result<Vec<Shape>> {
    let network = format!("feature network `{name}`");
    let shapes = blocks.shapes(&network, input, &mut BTreeMap::new())?;
    let inputs = std::iter::once(&input).chain(&shapes);
    for (number, (block, shape)) in blocks.0.iter().zip(inputs).enumerate() {
        let &Block::Pool { kernel, stride, .. } = block else { continue };
        let rest = |side: &usize| !(side - kernel).is_multiple_of(stride);
        if shape.dims()[1..].iter().any(rest) {
            bail!(
                "block {} of the {network}: a pool of {kernel} with stride {stride} leaves a rest of \
                 {shape}: choose an input size that it covers",
                number + 1
            );
        }
    }
    Ok(shapes)
}

#[cfg(test)]
mod tests {
    use burn::optim::GradientsParams;

    use super::*;

    fn config(layers: &[&str]) -> PerceptualConfig {
        let layers = layers.iter().map(|&layer| layer.to_owned()).collect();
        PerceptualConfig { weight: 1.0, features: letters(), weights: None, layers }
    }

    fn load(layers: &[&str]) -> Perceptual {
        let image = ImageSpec::new(1, 28, 28);
        Perceptual::load(&config(layers), &image, &Device::flex()).expect("it is built in")
    }

    /// A bar at a column of each of some images.
    fn bars(columns: &[usize], device: &Device) -> Tensor<4> {
        let pixel = |i: usize| f32::from(i % 28 / 4 == columns[i / 784]);
        let pixels: Vec<f32> = (0..columns.len() * 784).map(pixel).collect();
        let shape = [columns.len(), 1, 28, 28];
        Tensor::<1>::from_floats(&pixels[..], device).reshape(shape)
    }

    #[test]
    fn the_letters_tell_images_apart_in_every_layer() {
        let perceptual = load(&[]);
        let device = Device::flex();
        let taps = perceptual.features(bars(&[1, 4], &device));
        let shapes: Vec<_> = taps.iter().map(|(tap, layer)| (tap.as_str(), layer.dims())).collect();
        let expected =
            [("conv1", [2, 16, 28, 28]), ("conv2", [2, 32, 14, 14]), ("conv3", [2, 64, 7, 7])];
        assert_eq!(shapes, expected);
        for (tap, layer) in taps {
            let [first, second] = [0, 1].map(|i| layer.clone().narrow(0, i, 1));
            let difference = (first - second).abs().mean().into_scalar::<f32>();
            assert!(difference > 0.01, "{tap} sees {difference}");
        }
        let same = perceptual.distance(bars(&[1, 4], &device), bars(&[1, 2], &device));
        let same = same.into_data_as::<f32>().try_into_vec::<f32>().expect("asked for f32");
        assert!(same[0] == 0.0 && same[1] > 0.01, "{same:?}");
    }

    #[test]
    fn the_gradient_reaches_the_reconstruction_and_no_weight() {
        let perceptual = load(&[]);
        let training = Device::flex().autodiff();
        let reconstruction = bars(&[1], &training).require_grad();
        let image = bars(&[2], &training);
        let distance = perceptual.distance(reconstruction.clone(), image);
        let gradients = distance.sum().backward();
        let gradient = reconstruction.grad(&gradients).expect("the reconstruction takes part");
        assert!(gradient.abs().sum().into_scalar::<f32>() > 0.0);
        assert!(GradientsParams::from_grads(gradients, &perceptual.network).is_empty());
    }

    #[test]
    fn layers_are_chosen_by_name_and_the_rest_is_not_run() {
        let one = load(&["conv1"]);
        assert_eq!(one.network.blocks().count(), 2);
        assert_ne!(one.sha256(), load(&[]).sha256());
        let image = ImageSpec::new(1, 28, 28);
        let wrong = Perceptual::load(&config(&["conv9"]), &image, &Device::flex());
        let message = format!("{:#}", wrong.expect_err("no such layer"));
        assert!(message.contains("conv9") && message.contains("conv1, conv2, conv3"), "{message}");
    }

    #[test]
    fn every_built_in_description_fits_and_asks_for_its_weights() {
        let image = ImageSpec::new(3, 50, 50);
        for features in ["vgg16-block3", "squeezenet1.1"] {
            let config = PerceptualConfig { features: features.to_owned(), ..config(&[]) };
            let missing = Perceptual::load(&config, &image, &Device::flex());
            let message = format!("{:#}", missing.expect_err("no weights"));
            assert!(message.contains("train.perceptual.weights"), "{message}");
        }
    }

    #[test]
    fn a_pool_with_a_rest_is_refused() {
        let pool = Block::Pool { kind: vae_models::PoolKind::Max, kernel: 3, stride: 2 };
        let blocks = NetworkConfig(vec![pool]);
        assert!(shapes("x", &blocks, Shape::Image([1, 15, 15])).is_ok());
        let error = shapes("x", &blocks, Shape::Image([1, 15, 14])).expect_err("14 leaves a row");
        assert!(format!("{error:#}").contains("block 1 of the feature network `x`"), "{error:#}");
    }
}
