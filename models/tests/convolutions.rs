//! Convolutions and their gradients on the CPU against Burn's own.

use burn::tensor::{Device, Distribution, Tensor, TensorData, activation};
use std::collections::BTreeMap;
use vae_models::{Activation, Block, Features, Initialization, Layer, NetworkConfig, Shape, Skips};

struct Case {
    block: Block,
    batch: usize,
    image: [usize; 3],
}

fn conv(channels: usize, kernel: usize, stride: usize, padding: usize, relu: bool) -> Block {
    let activation = if relu { Activation::Relu } else { Activation::Identity };
    Block::Conv { channels, kernel, stride, padding, activation }
}

fn deconv(channels: usize, kernel: usize, stride: usize, padding: usize, added: usize) -> Block {
    let (activation, output_padding) = (Activation::Relu, added);
    Block::Deconv { channels, kernel, stride, padding, output_padding, activation }
}

/// Every small kernel, stride and padding, and images that are no multiple of them; batches that no
/// group divides, of which one image is too large to be multiplied at once.
fn cases() -> Vec<Case> {
    let mut cases = vec![];
    for (kernel, stride) in (1..5).flat_map(|kernel| (1..4).map(move |stride| (kernel, stride))) {
        for padding in 0..kernel.min(3) {
            let image = [1 + kernel, 5 + stride, 8];
            let (batch, relu) = (1 + 3 * padding, padding % 2 == 0);
            cases.push(Case { block: conv(3, kernel, stride, padding, relu), batch, image });
            for added in 0..stride {
                let block = deconv(2, kernel, stride, padding, added);
                cases.push(Case { block, batch, image });
            }
        }
    }
    cases.push(Case { block: conv(4, 3, 2, 1, true), batch: 37, image: [2, 9, 7] });
    cases.push(Case { block: deconv(4, 3, 2, 1, 1), batch: 37, image: [2, 9, 7] });
    cases.push(Case { block: conv(2, 3, 1, 1, false), batch: 2, image: [2, 70, 90] });
    cases.push(Case { block: deconv(2, 3, 2, 1, 0), batch: 2, image: [2, 40, 60] });
    cases
}

/// An output, and the gradients of input, weight and bias.
type Found = [TensorData; 4];

fn gradients(layer: &Layer, x: &Tensor<4>, apply: impl Fn(Tensor<4>) -> Tensor<4>) -> Found {
    let x = x.clone().require_grad();
    let y = apply(x.clone());
    let [batch, channels, height, width] = y.dims();
    let count = batch * channels * height * width;
    let weights = Tensor::arange(0..count as i64, &y.device()).float() * 0.37;
    let weights = weights.sin().reshape(y.dims());
    let gradients = (y.clone() * weights).sum().backward();
    let (weight, bias) = match layer {
        Layer::Conv(conv) => (conv.weight.val(), conv.bias.as_ref().expect("it has one").val()),
        Layer::Deconv(conv) => (conv.weight.val(), conv.bias.as_ref().expect("it has one").val()),
        Layer::Dense(_) => panic!("no convolution"),
    };
    [
        y.into_data(),
        x.grad(&gradients).expect("it is asked for").into_data(),
        weight.grad(&gradients).expect("it is trained").into_data(),
        bias.grad(&gradients).expect("it is trained").into_data(),
    ]
}

#[test]
fn outputs_and_gradients_are_those_of_burn() {
    let device = Device::flex().autodiff();
    device.seed(3);
    for Case { block, batch, image } in cases() {
        let network = NetworkConfig(vec![block.clone()]);
        let input = Shape::Image(image);
        let shapes = network.shapes("test", input, &mut BTreeMap::new()).expect("it fits");
        let network = network.init(input, &shapes, Initialization::Kaiming, &device);
        let (_, layer) = network.blocks().next().expect("it has one");
        let layer = layer.expect("it has weights");
        let [channels, height, width] = image;
        let x = Tensor::<4>::random(
            [batch, channels, height, width],
            Distribution::Normal(0.0, 1.0),
            &device,
        );
        let ours = gradients(layer, &x, |x| {
            network.forward(Features::Image(x), &mut Skips::new()).image()
        });
        let theirs = gradients(layer, &x, |x| {
            let y = match layer {
                Layer::Conv(conv) => conv.forward(x),
                Layer::Deconv(conv) => conv.forward(x),
                Layer::Dense(_) => panic!("no convolution"),
            };
            if block.activation() == Activation::Relu { activation::relu(y) } else { y }
        });
        let names = ["output", "input's gradient", "weight's gradient", "bias's gradient"];
        for ((ours, theirs), name) in ours.iter().zip(&theirs).zip(names) {
            assert_eq!(ours.shape, theirs.shape, "{name} of {block:?}");
            let pairs = || ours.iter::<f32>().zip(theirs.iter::<f32>());
            let largest = pairs().fold(1.0_f32, |largest, (_, value)| largest.max(value.abs()));
            let off = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off <= 2e-5 * largest, "{name} of {block:?} is off by {off} of {largest}");
        }
    }
}
