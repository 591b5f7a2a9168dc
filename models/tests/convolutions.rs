//! Convolutions and their gradients on the CPU against Burn's own.

mod devices;

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use vae_models::{
    Activation, Block, Features, Initialization, Layer, Network, NetworkConfig, Shape, Skips,
};

use devices::devices;

struct Case {
    block: Block,
    batch: usize,
    image: [usize; 3],
}

fn conv(channels: usize, kernel: usize, stride: usize, padding: usize) -> Block {
    Block::Conv { channels, kernel, stride, padding, activation: Activation::Relu }
}

fn deconv(channels: usize, kernel: usize, stride: usize, padding: usize, added: usize) -> Block {
    let (activation, output_padding) = (Activation::Relu, added);
    Block::Deconv { channels, kernel, stride, padding, output_padding, activation }
}

/// The same block with the given activation.
fn with(new: Activation, mut block: Block) -> Block {
    if let Block::Conv { activation, .. } | Block::Deconv { activation, .. } = &mut block {
        *activation = new;
    }
    block
}

/// Activations that are a part of the layer.
const ENDS: [Activation; 3] = [Activation::Relu, Activation::LeakyRelu(0.1), Activation::Sigmoid];

/// Every small kernel, stride and padding, and images that are no multiple of them; batches that no group divides,
/// channels that no vector does, images whose sums are found in several stretches, and padding beyond the kernel.
fn cases() -> Vec<Case> {
    let mut cases = vec![];
    for (kernel, stride) in (1..5).flat_map(|kernel| (1..4).map(move |stride| (kernel, stride))) {
        for padding in 0..kernel.min(3) {
            let image = [1 + kernel, 5 + stride, 8];
            let batch = 1 + 3 * padding;
            cases.push(Case { block: conv(3, kernel, stride, padding), batch, image });
            for added in 0..stride {
                let block = deconv(2, kernel, stride, padding, added);
                cases.push(Case { block, batch, image });
            }
        }
    }
    let activations = ENDS.into_iter().chain([Activation::Identity, Activation::Silu]).cycle();
    for (case, activation) in cases.iter_mut().zip(activations) {
        case.block = with(activation, case.block.clone());
    }
    for activation in ENDS {
        for (block, batch, image) in [
            (conv(4, 3, 2, 1), 37, [2, 9, 7]),
            (deconv(4, 3, 2, 1, 1), 37, [2, 9, 7]),
            (conv(40, 3, 1, 1), 2, [40, 24, 40]),
            (deconv(40, 3, 2, 1, 1), 2, [40, 12, 20]),
            (conv(3, 1, 2, 2), 3, [2, 1, 5]),
            (deconv(3, 2, 3, 2, 1), 3, [20, 3, 4]),
            (conv(2, 3, 1, 1), 2, [2, 70, 90]),
            (deconv(2, 3, 2, 1, 0), 2, [2, 40, 60]),
        ] {
            cases.push(Case { block: with(activation, block), batch, image });
        }
    }
    cases
}

fn weights(layer: &Layer) -> (Tensor<4>, Tensor<1>) {
    let (weight, bias) = match layer {
        Layer::Conv(conv) => (&conv.weight, &conv.bias),
        Layer::Deconv(conv) => (&conv.weight, &conv.bias),
        Layer::Dense(_) => panic!("no convolution"),
    };
    (weight.val(), bias.as_ref().expect("it has one").val())
}

/// An output, and the gradients of input, weight and bias.
type Found = [TensorData; 4];

/// A sum in which every number has another weight.
fn weighted_sum(y: Tensor<4>) -> Tensor<1> {
    let count = y.dims().iter().product::<usize>();
    let factors = Tensor::<1, Int>::arange(0..count as i64, &y.device()).float() * 0.37;
    (y.clone() * factors.sin().reshape(y.dims())).sum()
}

fn gradients(layer: &Layer, x: &Tensor<4>, apply: impl Fn(Tensor<4>) -> Tensor<4>) -> Found {
    let x = x.clone().require_grad();
    let y = apply(x.clone());
    let gradients = weighted_sum(y.clone()).backward();
    let (weight, bias) = weights(layer);
    [
        y.into_data(),
        x.grad(&gradients).expect("it is asked for").into_data(),
        weight.grad(&gradients).expect("it is trained").into_data(),
        bias.grad(&gradients).expect("it is trained").into_data(),
    ]
}

/// A network of one block, and images for it.
fn network(case: &Case, device: &Device) -> (Network, Tensor<4>) {
    let network = NetworkConfig(vec![case.block.clone()]);
    let input = Shape::Image(case.image);
    let shapes = network.shapes("test", input, &mut BTreeMap::new()).expect("it fits");
    let network = network.init(input, &shapes, Initialization::Kaiming, device);
    let [channels, height, width] = case.image;
    let dims = [case.batch, channels, height, width];
    (network, Tensor::random(dims, Distribution::Normal(0.0, 1.0), device))
}

fn layer(network: &Network) -> &Layer {
    let (_, layer) = network.blocks().next().expect("it has one");
    layer.expect("it has weights")
}

fn forward(network: &Network, x: Tensor<4>) -> Tensor<4> {
    network.forward(Features::Image(x), &mut Skips::new()).image()
}

#[test]
fn sums_do_not_depend_on_the_number_of_threads() {
    let device = Device::flex().autodiff();
    for block in [conv(5, 3, 2, 1), deconv(5, 3, 2, 1, 1)] {
        let (network, x) = network(&Case { block, batch: 50, image: [3, 12, 11] }, &device);
        let found = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("it starts")
                .install(|| gradients(layer(&network), &x, |x| forward(&network, x)))
        });
        found[0].iter().zip(&found[1]).for_each(|(one, three)| one.assert_eq(three, true));
    }
}

#[test]
fn a_constant_image_and_an_untrained_network_have_the_same_output() {
    for device in devices() {
        let (network, x) = network(&cases()[40], &device.clone().autodiff());
        let plain = forward(&network.valid(), x.clone().inner()).into_data();
        let constant = forward(&network, x.inner().to_device(&device.autodiff()));
        let gradients = constant.clone().sum().backward();
        let (weight, _) = weights(layer(&network));
        assert!(weight.grad(&gradients).is_some(), "the weights have no gradient");
        plain.assert_eq(&constant.into_data(), true);
    }
}

#[test]
fn a_layer_frozen_or_out_of_training_gives_its_input_a_gradient_and_has_none() {
    for device in devices() {
        let device = device.autodiff();
        for block in [conv(5, 3, 2, 1), deconv(5, 3, 2, 1, 1)] {
            let (network, x) = network(&Case { block, batch: 5, image: [3, 12, 11] }, &device);
            let [_, expected, ..] = gradients(layer(&network), &x, |x| forward(&network, x));
            let x = x.require_grad();
            for frozen in [network.clone().no_grad(), network.valid()] {
                let gradients = weighted_sum(forward(&frozen, x.clone())).backward();
                x.grad(&gradients).expect("it is asked for").into_data().assert_eq(&expected, true);
                assert!(weights(layer(&frozen)).0.grad(&gradients).is_none());
            }
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let blocks = || [conv(5, 3, 2, 1), deconv(5, 3, 2, 1, 1)];
    let cases = ENDS.into_iter().flat_map(|end| blocks().map(|block| with(end, block)));
    for (device, block) in
        devices().into_iter().flat_map(|d| cases.clone().map(move |b| (d.clone(), b)))
    {
        let device = device.autodiff();
        let (network, x) = network(&Case { block, batch: 2, image: [3, 12, 11] }, &device);
        let x = Tensor::cat(vec![x.clone().narrow(0, 0, 1), x.narrow(0, 1, 1) * f32::NAN], 0);
        let [output, _, weight, _] = gradients(layer(&network), &x, |x| forward(&network, x));
        let broken: Vec<_> = output.iter::<f32>().map(f32::is_nan).collect();
        let (first, second) = broken.split_at(broken.len() / 2);
        assert!(!first.contains(&true) && !second.contains(&false));
        assert!(weight.iter::<f32>().all(f32::is_nan));
    }
}

#[test]
fn outputs_and_gradients_are_those_of_burn() {
    for device in devices() {
        let device = device.autodiff();
        device.seed(3);
        for case in cases() {
            let (network, x) = network(&case, &device);
            let (block, layer) = (&case.block, layer(&network));
            let ours = gradients(layer, &x, |x| forward(&network, x));
            let theirs = gradients(layer, &x, |x| {
                let y = match layer {
                    Layer::Conv(conv) => conv.forward(x),
                    Layer::Deconv(conv) => conv.forward(x),
                    Layer::Dense(_) => panic!("no convolution"),
                };
                block.activation().forward(y)
            });
            let names = ["output", "input's gradient", "weight's gradient", "bias's gradient"];
            for ((ours, theirs), name) in ours.iter().zip(&theirs).zip(names) {
                assert_eq!(ours.shape(), theirs.shape(), "{name} of {block:?}");
                let pairs = || ours.iter::<f32>().zip(theirs.iter::<f32>());
                let largest = pairs().fold(1.0_f32, |largest, (_, value)| largest.max(value.abs()));
                let off = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off <= 2e-5 * largest, "{name} of {block:?} is off by {off} of {largest}");
            }
        }
    }
}
