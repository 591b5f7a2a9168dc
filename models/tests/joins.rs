//! Crops and joins of padded skips, and their gradients, against Burn's own operations.

mod devices;

use std::collections::BTreeMap;

use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use devices::devices;
use vae_models::{Block, Features, Initialization, NetworkConfig, Shape, Skips};

/// What a block makes of an image, where it joins it to a skip.
fn forward(block: &Block, image: &Tensor<4>, skip: &Tensor<4>) -> Tensor<4> {
    let shape = |tensor: &Tensor<4>| {
        let [_, channels, height, width] = tensor.dims();
        Shape::Image([channels, height, width])
    };
    let network = NetworkConfig(vec![block.clone()]);
    let mut skips = BTreeMap::from([("skip".to_owned(), shape(skip))]);
    let shapes = network.shapes("test", shape(image), &mut skips).expect("it fits");
    let network = network.init(shape(image), &shapes, Initialization::Kaiming, &image.device());
    let mut skips = Skips::from([("skip".to_owned(), skip.clone())]);
    network.forward(Features::Image(image.clone()), &mut skips).image()
}

/// An output and the gradients of image and skip, where they have one, of a sum in which every number has its weight.
fn found(
    [image, skip]: [&Tensor<4>; 2],
    of: impl Fn(&Tensor<4>, &Tensor<4>) -> Tensor<4>,
) -> [Option<TensorData>; 3] {
    let output = of(image, skip);
    let factors = Tensor::<4>::from_data(weights(output.dims()), &output.device());
    let gradients = (output.clone() * factors).sum().backward();
    let gradient = |tensor: &Tensor<4>| tensor.grad(&gradients).map(Tensor::into_data);
    [Some(output.into_data()), gradient(image), gradient(skip)]
}

fn weights(dims: [usize; 4]) -> TensorData {
    let count = dims.iter().product::<usize>();
    let values = (0..count).map(|n| (n as f32 * 0.37).sin());
    TensorData::new(values.collect::<Vec<_>>(), dims)
}

fn random(dims: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::random(dims, Distribution::Normal(0.0, 1.0), device).require_grad()
}

#[test]
fn a_crop_is_a_part_of_the_image() {
    for device in devices().into_iter().map(Device::autodiff) {
        let (image, skip) = (random([3, 2, 9, 6], &device), random([3, 1, 1, 1], &device));
        for [height, width] in [[9, 6], [4, 3], [1, 6], [8, 1]] {
            let block = Block::Crop { height, width };
            let ours = found([&image, &skip], |image, skip| forward(&block, image, skip));
            let theirs = found([&image, &skip], |image, _| {
                let (top, left) = ((9 - height) / 2, (6 - width) / 2);
                image.clone().narrow(2, top, height).narrow(3, left, width)
            });
            assert_eq!(ours, theirs, "{height}x{width}");
        }
    }
}

#[test]
fn a_join_has_the_channels_of_both() {
    let block = Block::Join { skip: "skip".to_owned() };
    for device in devices().into_iter().map(Device::autodiff) {
        let image = random([3, 2, 9, 6], &device);
        for [height, width] in [[9, 6], [9, 5], [4, 6], [6, 2]] {
            let skip = random([3, 4, height, width], &device);
            // A skip is a constant where the encoder is not trained, and an image where the decoder's first block is a join.
            let constant = |tensor: &Tensor<4>| tensor.clone().detach();
            for pair in [
                [image.clone(), skip.clone()],
                [image.clone(), constant(&skip)],
                [constant(&image), skip],
            ] {
                let pair = pair.each_ref();
                let ours = found(pair, |image, skip| forward(&block, image, skip));
                let theirs = found(pair, |image, skip| {
                    let side = |missing: usize| (missing / 2, missing - missing / 2);
                    let sides = [side(9 - height), side(6 - width)];
                    let padded = skip.clone().pad(sides, PadMode::Constant(0.0));
                    Tensor::cat(vec![image.clone(), padded], 1)
                });
                assert_eq!(ours, theirs, "{height}x{width}");
            }
        }
    }
}

#[test]
fn out_of_training_they_are_the_same() {
    for device in devices() {
        let image = Tensor::random([2, 3, 8, 8], Distribution::Normal(0.0, 1.0), &device);
        let skip = Tensor::random([2, 3, 7, 8], Distribution::Normal(0.0, 1.0), &device);
        for block in [Block::Crop { height: 5, width: 6 }, Block::Join { skip: "skip".to_owned() }]
        {
            let plain = forward(&block, &image, &skip).into_data();
            let training = device.clone().autodiff();
            let [image, skip] = [&image, &skip].map(|tensor| tensor.clone().to_device(&training));
            assert_eq!(forward(&block, &image, &skip).into_data(), plain, "{block:?}");
        }
    }
}
