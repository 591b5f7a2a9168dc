//! A small convolutional classifier, whose layers then serve a perceptual loss.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use burn::module::Module as _;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use safetensors::tensor::{Dtype, View, serialize};
use vae_infer::ImageSpec;
use vae_models::{
    Activation, Block, Features, Initialization, Layer, Network, NetworkConfig, Shape, Skips,
};

use crate::batches::Batches;
use crate::draws::{self, Purpose};
use crate::perceptual::{Description, InputConfig, LayerNames, WeightsConfig};
use crate::schedule::Schedule;
use crate::split::Part;

/// Channels of the three convolutions, each of which is a layer to compare.
const CHANNELS: [usize; 3] = [16, 32, 64];

/// Images in a step.
const BATCH: usize = 64;

/// Peak learning rate; it falls to 0 in half a cosine.
const LEARNING_RATE: f64 = 2e-3;

/// What decides a training besides the images.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Passes over the images.
    pub epochs: usize,
    /// The source of every random draw.
    pub seed: u64,
    /// The number of classes.
    pub classes: usize,
}

/// Three convolutions with a tap behind each, and a dense layer for the classes.
fn blocks(classes: usize) -> NetworkConfig {
    let mut blocks = vec![];
    for (number, channels) in CHANNELS.into_iter().enumerate() {
        let (stride, activation) = (if number == 0 { 1 } else { 2 }, Activation::Relu);
        blocks.push(Block::Conv { channels, kernel: 3, stride, padding: 1, activation });
        blocks.push(Block::Tap { skip: layer(number) });
    }
    blocks.push(Block::Flatten);
    blocks.push(Block::Dense { units: classes, activation: Activation::Identity });
    NetworkConfig(blocks)
}

fn layer(number: usize) -> String {
    format!("conv{}", number + 1)
}

/// Trains a classifier by the cross-entropy with Adam; `epoch` hears every epoch's number and mean
/// loss in nats.
///
/// # Errors
///
/// Where the images are too small, or where the loss is no longer a finite number.
pub fn train(
    part: &Part,
    recipe: Recipe,
    device: &Device,
    mut epoch: impl FnMut(usize, f64),
) -> Result<Network> {
    let Recipe { epochs, seed, classes } = recipe;
    let (_, c, h, w) = part.images.dim();
    let (config, input) = (blocks(classes), Shape::Image([c, h, w]));
    let shapes = config.shapes("classifier", input, &mut BTreeMap::new())?;
    let training = device.clone().autodiff();
    let mut network = config.init(input, &shapes, Initialization::Kaiming, &training);
    let mut optimizer = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.0).init();
    let schedule = Schedule::Cosine { warmup_steps: 0, floor: 0.0 };
    let batches = Batches::new(part.images.clone(), RESIDENT_MIB, device);

    // Burn draws fresh weights when they are first used: in the first step.
    device.seed(draws::seed(seed, Purpose::Classifier, 0));
    for number in 0..epochs {
        let place = draws::seed(seed, Purpose::Order, number as u64);
        let order = draws::permutation(place, part.len());
        let pass = batches.pass(order.clone(), BATCH, 0);
        let steps = pass.batches();
        let mut losses = vec![];
        for (step, (chosen, images)) in order.chunks(BATCH).zip(pass).enumerate() {
            let images = images?.to_device(&training);
            let labels: Vec<i64> = chosen.iter().map(|&i| part.labels[i] as i64).collect();
            let labels = TensorData::new(labels, [chosen.len(), 1]);
            let labels = Tensor::<2, Int>::from_data(labels, &training);
            let log_p = activation::log_softmax(logits(&network, images), 1);
            let loss = log_p.gather(1, labels).mean().neg();
            losses.push(loss.clone().inner());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            let rate = schedule.factor(number * steps + step, steps, epochs);
            network = optimizer.step(LEARNING_RATE * rate, network, gradients);
        }
        let loss = f64::from(Tensor::cat(losses, 0).mean().into_scalar::<f32>());
        if !loss.is_finite() {
            bail!("the loss is no longer a finite number in epoch {}", number + 1);
        }
        epoch(number + 1, loss);
    }
    Ok(network.valid())
}

/// The largest set of images, in MiB, that is kept on the device.
const RESIDENT_MIB: usize = 4096;

fn logits(network: &Network, images: Tensor<4>) -> Tensor<2> {
    network.forward(Features::Image(images), &mut Skips::new()).flat()
}

/// The part of the images whose class a classifier finds.
///
/// # Errors
///
/// Where one can no longer be read.
pub fn accuracy(network: &Network, part: &Part, device: &Device) -> Result<f64> {
    let batches = Batches::new(part.images.clone(), RESIDENT_MIB, device);
    let mut right = 0;
    for (labels, images) in part.labels.chunks(BATCH).zip(batches.in_order(BATCH)) {
        let logits = logits(network, images?);
        let [_, classes] = logits.dims();
        let logits = logits.into_data_as::<f32>().try_into_vec::<f32>();
        let logits = logits.expect("the data was asked for as f32");
        let found = logits.chunks_exact(classes).map(|row| {
            let best = row.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
            best.map_or(0, |(class, _)| class)
        });
        right += found.zip(labels).filter(|(found, label)| found == *label).count();
    }
    Ok(right as f64 / part.len().max(1) as f64)
}

/// The feature network that a classifier holds, without the layer for the classes.
pub fn description(name: &str, image: &ImageSpec) -> Description {
    let mut blocks = blocks(1);
    blocks.0.truncate(2 * CHANNELS.len());
    let input = InputConfig::new(image.shape());
    let layers = (0..CHANNELS.len()).map(|number| LayerNames::One(layer(number))).collect();
    let weights = WeightsConfig { file: Some(WEIGHTS.into()), layers };
    Description { name: name.to_owned(), input, weights, blocks }
}

/// The file of the weights beside a description.
pub const WEIGHTS: &str = "weights.safetensors";

/// The weights of those layers as a file of safetensors, in PyTorch's layout.
///
/// # Errors
///
/// Where they cannot be read from the device.
pub fn weights(network: &Network) -> Result<Vec<u8>> {
    let mut tensors = BTreeMap::new();
    let convolutions = network.blocks().filter_map(|(_, layer)| match layer {
        Some(Layer::Conv(conv)) => Some(conv),
        _ => None,
    });
    for (number, conv) in convolutions.enumerate() {
        let bias = conv.bias.as_ref().context("a convolution without a bias")?;
        let mut insert = |part: &str, data: TensorData| {
            tensors.insert(format!("{}.{part}", layer(number)), Floats::new(data));
        };
        insert("weight", conv.weight.val().into_data_as::<f32>());
        insert("bias", bias.val().into_data_as::<f32>());
    }
    Ok(serialize(tensors.iter(), None)?)
}

/// A tensor of `f32` on its way into a file.
struct Floats {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Floats {
    fn new(data: TensorData) -> Self {
        let shape = data.shape().to_vec();
        let values = data.try_into_vec::<f32>().expect("the data was asked for as f32");
        Self { shape, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }
}

impl View for &Floats {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.bytes.as_slice().into()
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::perceptual::{Perceptual, PerceptualConfig};

    /// Images of a bright row or a bright column, at a place that varies.
    fn part(count: usize) -> Part {
        let images = Array4::from_shape_fn((count, 1, 8, 8), |(n, _, y, x)| {
            let place = n / 2 % 8;
            f32::from(if n % 2 == 0 { y == place } else { x == place })
        });
        Part { images: images.into(), labels: (0..count).map(|n| n % 2).collect() }
    }

    #[test]
    fn rows_and_columns_are_learned_and_their_layers_compared() {
        let device = Device::flex();
        let recipe = Recipe { epochs: 12, seed: 1, classes: 2 };
        let mut losses = vec![];
        let part = part(512);
        let network =
            train(&part, recipe, &device, |_, loss| losses.push(loss)).expect("it learns");
        let found = accuracy(&network, &part, &device).expect("it is in memory");
        assert!(losses.len() == 12 && losses[11] < losses[0] && found > 0.9, "{losses:?} {found}");

        let folder = tempfile::tempdir().expect("a temporary folder");
        let image = ImageSpec::new(1, 8, 8);
        let features = folder.path().join("features.toml");
        let text = description("lines", &image).to_toml();
        std::fs::write(&features, text).expect("writable");
        let bytes = weights(&network).expect("readable");
        std::fs::write(folder.path().join(WEIGHTS), bytes).expect("writable");
        let features = features.to_string_lossy().into_owned();
        let config = PerceptualConfig { weight: 1.0, features, weights: None, layers: vec![] };
        let perceptual = Perceptual::load(&config, &image, &device).expect("its own files");

        let images = Batches::new(part.images, 1, &device).in_order(8).next();
        let images = images.expect("there are some").expect("they are in memory");
        let mut own = Skips::new();
        network.forward(Features::Image(images.clone()), &mut own);
        for (tap, layer) in perceptual.features(images) {
            layer.into_data().assert_eq(&own[&tap].clone().into_data(), true);
        }
    }
}
