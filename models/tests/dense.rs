//! Dense layers and their gradients on the CPU against Burn's own.

mod devices;

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData, Tolerance, activation};
use vae_models::{
    Activation, Block, Features, Initialization, Layer, Network, NetworkConfig, Shape, Skips,
};

use devices::devices;

struct Case {
    batch: usize,
    features: usize,
    units: usize,
    activation: Activation,
}

/// Activations that are a part of the layer.
const ENDS: [Activation; 3] = [Activation::Relu, Activation::LeakyRelu(0.1), Activation::Sigmoid];

/// Layers around the width of a part, and one of which a part is large enough to be shared out itself.
fn cases() -> Vec<Case> {
    let mut cases = vec![];
    for (features, units) in [(1, 1), (2, 256), (784, 63), (3, 64), (130, 65), (65, 200), (257, 2)]
    {
        for (batch, activation) in
            [(1, Activation::LeakyRelu(0.1)), (37, Activation::Identity), (128, Activation::Relu)]
        {
            cases.push(Case { batch, features, units, activation });
        }
    }
    for activation in ENDS {
        cases.push(Case { batch: 300, features: 400, units: 70, activation });
    }
    cases
}

/// A network of one layer, and vectors for it.
fn network(case: &Case, device: &Device) -> (Network, Tensor<2>) {
    let &Case { batch, features, units, activation } = case;
    let network = NetworkConfig(vec![Block::Dense { units, activation }]);
    let input = Shape::Flat(features);
    let shapes = network.shapes("test", input, &mut BTreeMap::new()).expect("it fits");
    let network = network.init(input, &shapes, Initialization::Kaiming, device);
    (network, Tensor::random([batch, features], Distribution::Normal(0.0, 1.0), device))
}

fn layer(network: &Network) -> &Linear {
    match network.blocks().next() {
        Some((_, Some(Layer::Dense(dense)))) => dense,
        _ => panic!("no dense layer"),
    }
}

fn forward(network: &Network, x: Tensor<2>) -> Tensor<2> {
    network.forward(Features::Flat(x), &mut Skips::new()).flat()
}

/// A sum in which every number has another weight.
fn weighted_sum(y: Tensor<2>) -> Tensor<1> {
    let [batch, units] = y.dims();
    let factors = Tensor::<1, Int>::arange(0..(batch * units) as i64, &y.device()).float() * 0.37;
    (y * factors.sin().reshape([batch, units])).sum()
}

/// An output, and the gradients of input, weight and bias.
fn gradients(
    layer: &Linear,
    x: &Tensor<2>,
    apply: impl Fn(Tensor<2>) -> Tensor<2>,
) -> [TensorData; 4] {
    let x = x.clone().require_grad();
    let y = apply(x.clone());
    let gradients = weighted_sum(y.clone()).backward();
    let bias = layer.bias.as_ref().expect("it has one").val();
    [
        y.into_data(),
        x.grad(&gradients).expect("it is asked for").into_data(),
        layer.weight.val().grad(&gradients).expect("it is trained").into_data(),
        bias.grad(&gradients).expect("it is trained").into_data(),
    ]
}

#[test]
fn outputs_and_gradients_are_those_of_burn() {
    for device in devices() {
        let device = device.autodiff();
        device.seed(3);
        for case in cases() {
            let (network, x) = network(&case, &device);
            let layer = layer(&network);
            let ours = gradients(layer, &x, |x| forward(&network, x));
            let theirs = gradients(layer, &x, |x| case.activation.forward(layer.forward(x)));
            let names = ["output", "input's gradient", "weight's gradient", "bias's gradient"];
            let of = format!("{} x {} to {}", case.batch, case.features, case.units);
            for ((ours, theirs), name) in ours.iter().zip(&theirs).zip(names) {
                assert_eq!(ours.shape(), theirs.shape(), "{name} of {of}");
                let pairs = || ours.iter::<f32>().zip(theirs.iter::<f32>());
                let largest = pairs().fold(1.0_f32, |largest, (_, value)| largest.max(value.abs()));
                let off = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off <= 1e-5 * largest, "{name} of {of} is off by {off} of {largest}");
            }
        }
    }
}

#[test]
fn a_gradient_may_be_a_part_of_another() {
    for device in devices() {
        let device = device.autodiff();
        let (network, x) = network(&cases()[11], &device);
        let layer = layer(&network);
        let behind_another = |y: Tensor<2>| Tensor::cat(vec![y.ones_like().detach() * 3.0, y], 0);
        let ours = gradients(layer, &x, |x| behind_another(forward(&network, x)));
        let theirs = gradients(layer, &x, |x| behind_another(activation::relu(layer.forward(x))));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            ours.assert_approx_eq::<f32>(theirs, Tolerance::rel_abs(1e-5, 1e-5));
        }
    }
}

#[test]
fn sums_do_not_depend_on_the_number_of_threads() {
    let device = Device::flex().autodiff();
    for case in cases() {
        let (network, x) = network(&case, &device);
        let found = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("it starts")
                .install(|| gradients(layer(&network), &x, |x| forward(&network, x)))
        });
        found[0].iter().zip(&found[1]).for_each(|(one, three)| one.assert_eq(three, true));
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let cases = devices().into_iter().flat_map(|device| ENDS.map(|end| (device.clone(), end)));
    for (device, activation) in cases {
        let case = Case { batch: 2, features: 3, units: 70, activation };
        let (network, x) = network(&case, &device.autodiff());
        let x = Tensor::cat(vec![x.clone().narrow(0, 0, 1), x.narrow(0, 1, 1) * f32::NAN], 0);
        let [output, _, weight, _] = gradients(layer(&network), &x, |x| forward(&network, x));
        let broken = output.iter::<f32>().map(|y| y.is_nan());
        assert_eq!(broken.collect::<Vec<_>>(), [[false; 70], [true; 70]].concat());
        assert!(weight.iter::<f32>().all(f32::is_nan));
    }
}

#[test]
fn a_sigmoid_has_its_values_where_they_are_nearly_0_and_1() {
    for device in devices() {
        let case = Case { batch: 1, features: 1, units: 81, activation: Activation::Sigmoid };
        let (mut network, _) = network(&case, &device);
        let logits = Tensor::<1, Int>::arange(-40..41, &device).float() * 3.0;
        for layer in network.layers_mut() {
            let Layer::Dense(dense) = layer else { panic!("no dense layer") };
            dense.bias = Some(Param::from_tensor(logits.clone()));
        }
        let found = forward(&network, Tensor::zeros([1, 1], &device)).into_data();
        for (y, logit) in found.iter::<f32>().zip(logits.into_data().iter::<f64>()) {
            let expected = 1.0 / (1.0 + (-logit).exp());
            assert!((f64::from(y) - expected).abs() <= 2e-7 * expected + 2e-38, "{y} at {logit}");
        }
    }
}

#[test]
fn a_constant_and_an_untrained_network_have_the_same_output() {
    for device in devices() {
        let (network, x) = network(&cases()[13], &device.clone().autodiff());
        let plain = forward(&network.valid(), x.clone().inner()).into_data();
        let constant = forward(&network, x.inner().to_device(&device.autodiff()));
        let gradients = constant.clone().sum().backward();
        assert!(layer(&network).weight.val().grad(&gradients).is_some(), "no gradient");
        plain.assert_eq(&constant.into_data(), true);
    }
}

#[test]
fn a_frozen_layer_gives_its_input_a_gradient_and_has_none() {
    for device in devices() {
        let device = device.autodiff();
        let (trained, x) = network(&cases()[13], &device);
        let expected = gradients(layer(&trained), &x, |x| forward(&trained, x));
        let frozen = trained.no_grad();
        let x = x.require_grad();
        let y = forward(&frozen, x.clone());
        let gradients = weighted_sum(y).backward();
        let of_input = x.grad(&gradients).expect("it is asked for").into_data();
        of_input.assert_eq(&expected[1], true);
        assert!(layer(&frozen).weight.val().grad(&gradients).is_none());
    }
}
