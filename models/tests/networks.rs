//! Shapes, costs and errors of networks.

#[cfg(feature = "libtorch")]
mod devices;

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use vae_models::{Cost, NetworkConfig, Shape, VaeConfig};

const SKIPS: &str = r#"
latent = 3
likelihood = { kind = "bernoulli" }
encoder = [
  { block = "conv", channels = 4, kernel = 3, stride = 2, padding = 1, activation = "relu" },
  { block = "tap", skip = "wide" },
  { block = "pool", kind = "max", kernel = 2, stride = 2 },
  { block = "flatten" },
  { block = "dense", units = 8, activation = { leaky_relu = 0.1 } },
]
decoder = [
  { block = "dense", units = 32, activation = "silu" },
  { block = "unflatten", channels = 2, height = 4, width = 4 },
  { block = "upsample", scale = 2 },
  { block = "join", skip = "wide" },
  { block = "deconv", channels = 3, kernel = 3, stride = 2, padding = 1, output_padding = 1, activation = "sigmoid" },
  { block = "crop", height = 14, width = 14 },
  { block = "conv", channels = 1, kernel = 3, padding = 1 },
]
"#;

fn vae(text: &str) -> VaeConfig {
    toml::from_str(text).expect("the test's own TOML")
}

fn network(text: &str) -> NetworkConfig {
    let table: BTreeMap<String, NetworkConfig> = toml::from_str(text).expect("the test's own TOML");
    table.into_values().next().expect("one network")
}

#[test]
fn the_forward_pass_has_the_declared_shapes_and_parameters() {
    let (device, image) = (Device::flex(), [1, 14, 14]);
    let config = vae(SKIPS);
    let skips = config.check(image).expect("it fits");
    assert_eq!(skips, BTreeMap::from([("wide".to_owned(), Shape::Image([4, 7, 7]))]));

    let vae = config.init(image, &device).expect("it fits");
    let [encoder, decoder] = config.cost(image).expect("it fits");
    assert_eq!(vae.num_params(), encoder.parameters + decoder.parameters);

    let encoding = vae.encode(Tensor::ones([5, 1, 14, 14], &device));
    assert_eq!(encoding.posterior.mean.dims(), [5, 3]);
    assert_eq!(encoding.skips["wide"].dims(), [5, 4, 7, 7]);
    let decoded = vae.decode(encoding.posterior.mean, encoding.skips);
    assert_eq!(decoded.dims(), [5, 1, 14, 14]);
}

/// The gradients of a network's weights, in order.
#[cfg(feature = "libtorch")]
struct ByWeight {
    gradients: burn::optim::GradientsParams,
    values: Vec<burn::tensor::TensorData>,
}

#[cfg(feature = "libtorch")]
impl burn::module::ModuleVisitor for ByWeight {
    fn visit_float<const D: usize>(&mut self, weight: &burn::module::Param<Tensor<D>>) {
        let gradient = self.gradients.remove::<D>(weight.id).expect("every weight has one");
        self.values.push(gradient.into_data());
    }
}

#[test]
#[cfg(feature = "libtorch")]
fn every_device_finds_the_same_loss_and_gradients() {
    use burn::tensor::Distribution::{Normal, Uniform};

    let flex = Device::flex();
    flex.seed(4);
    for likelihood in ["bernoulli", "squared_error"] {
        let config = vae(&SKIPS.replace("bernoulli", likelihood));
        let vae = config.init([1, 14, 14], &flex.clone().autodiff()).expect("it fits");
        vae.valid(); // draws the weights
        let images = Tensor::<4>::random([5, 1, 14, 14], Uniform(0.0, 1.0), &flex);
        let epsilon = Tensor::<2>::random([5, 3], Normal(0.0, 1.0), &flex);
        let found = devices::devices().into_iter().map(|device| {
            let training = device.autodiff();
            let vae = vae.clone().fork(&training);
            let images = images.clone().to_device(&training);
            let encoding = vae.encode(images.clone());
            let latent = encoding.posterior.sample(epsilon.clone().to_device(&training));
            let kl = encoding.posterior.kl();
            let decoded = vae.decode(latent, encoding.skips);
            let loss = (vae.likelihood().negative_log(decoded, images) + kl).mean();
            let gradients = burn::optim::GradientsParams::from_grads(loss.backward(), &vae);
            let mut found = ByWeight { gradients, values: vec![loss.into_data()] };
            vae.visit(&mut found);
            found.values
        });
        let found: Vec<_> = found.collect();
        for others in &found[1..] {
            assert_eq!(others.len(), found[0].len());
            for (other, one) in others.iter().zip(&found[0]) {
                let pairs = || other.iter::<f32>().zip(one.iter::<f32>());
                let largest = pairs().fold(1e-3_f32, |most, (_, value)| most.max(value.abs()));
                let off = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off <= 2e-5 * largest, "off by {off} of {largest}");
            }
        }
    }
}

#[test]
fn a_cost_is_that_of_the_arithmetic() {
    let blocks = network(
        r#"n = [
          { block = "conv", channels = 32, kernel = 3, stride = 2 },
          { block = "flatten" },
          { block = "dense", units = 10 },
          { block = "unflatten", channels = 10, height = 1, width = 1 },
          { block = "deconv", channels = 2, kernel = 4, stride = 2, padding = 1 },
        ]"#,
    );
    let input = Shape::Image([1, 28, 28]);
    let shapes = blocks.shapes("network", input, &mut BTreeMap::new()).expect("it fits");
    assert_eq!(shapes[0], Shape::Image([32, 13, 13]));
    assert_eq!(shapes[4], Shape::Image([2, 2, 2]));
    let conv = Cost { parameters: 32 * 10, flops: 2 * 32 * 13 * 13 * 9, values: 5408 };
    let dense = Cost { parameters: (5408 + 1) * 10, flops: 2 * 5408 * 10, values: 10 };
    let deconv = Cost { parameters: 10 * 2 * 16 + 2, flops: 2 * 10 * 2 * 16, values: 8 };
    assert_eq!(blocks.cost(input, &shapes), conv + dense + deconv);
}

#[test]
fn a_block_that_does_not_fit_is_named() {
    let cases = [
        (r#"{ block = "dense", units = 3 }"#, "dense takes a vector and gets 2x8x8"),
        (r#"{ block = "conv", channels = 3, kernel = 9 }"#, "conv with kernel 9 does not fit 8x8"),
        (
            r#"{ block = "conv", channels = 3, kernel = 0 }"#,
            "kernel 0 and stride 1 must be above 0",
        ),
        (
            r#"{ block = "conv", channels = 3, kernel = 3, stride = 0 }"#,
            "kernel 3 and stride 0 must",
        ),
        (r#"{ block = "conv", channels = 0, kernel = 3 }"#, "it leaves nothing"),
        (r#"{ block = "crop", height = 9, width = 8 }"#, "8x8 cannot be cropped to 9x8"),
        (r#"{ block = "upsample", scale = 99999999 }"#, "more than 1073741824 values"),
        (r#"{ block = "conv", channels = 99999999, kernel = 8 }"#, "more than 1073741824 weights"),
        (
            r#"{ block = "conv", channels = 1, kernel = 3, padding = 9223372036854775807 }"#,
            "does not fit 8x8",
        ),
        (r#"{ block = "join", skip = "a" }"#, "no tap before it is named `a`"),
        (r#"{ block = "pool", kind = "average", kernel = 9, stride = 1 }"#, "does not fit 8x8"),
        (
            r#"{ block = "deconv", channels = 1, kernel = 2, stride = 1, output_padding = 1 }"#,
            "output_padding 1 must be below the stride 1",
        ),
        (
            r#"{ block = "unflatten", channels = 1, height = 2, width = 2 }"#,
            "unflatten takes a vector and gets 2x8x8",
        ),
    ];
    for (block, reason) in cases {
        let blocks =
            network(&format!("n = [{{ block = \"crop\", height = 8, width = 8 }}, {block}]"));
        let input = Shape::Image([2, 10, 10]);
        let error = blocks.shapes("encoder", input, &mut BTreeMap::new()).expect_err(block);
        let message = error.to_string();
        assert!(message.starts_with("block 2 of the encoder: "), "{message}");
        assert!(message.contains(reason), "{block}: {message}");
    }
}

#[test]
fn an_encoder_and_a_decoder_that_do_not_fit_are_refused() {
    let fits = r#"
        latent = 2
        likelihood = { kind = "bernoulli" }
        encoder = [{ block = "flatten" }]
        decoder = [{ block = "dense", units = 4 }, { block = "unflatten", channels = 1, height = 2, width = 2 }]
    "#;
    vae(fits).check([1, 2, 2]).expect("it fits");
    let bare =
        fits.replace("latent = 2", "latent = 4").replace("{ block = \"dense\", units = 4 }, ", "");
    vae(&bare).check([1, 2, 2]).expect("logits that no layer makes are logits");
    let replace = |from: &str, to: &str, image| {
        let text = fits.replace(from, to);
        assert_ne!(text, fits);
        vae(&text).check(image).expect_err(to).to_string()
    };
    let image = [1, 2, 2];
    let message = replace(r#"[{ block = "flatten" }]"#, "[]", image);
    assert!(message.contains("2 is no multiple of 2x2: flatten it"), "{message}");
    let message = replace("units = 4", "units = 4, activation = \"sigmoid\"", [1, 2, 3]);
    assert!(message.contains("the image is 1x2x3"), "{message}");
    let message = replace("units = 4", "units = 4, activation = \"sigmoid\"", image);
    assert!(message.contains("logits"), "{message}");
    let message = replace("latent = 2", "latent = 0", image);
    assert!(message.contains("latent size is 0"), "{message}");
    let sigmoid =
        r#"width = 2 }, { block = "conv", channels = 1, kernel = 1, activation = "sigmoid" }"#;
    let message = replace("width = 2 }", sigmoid, image);
    assert!(message.contains("logits"), "{message}");
}

#[test]
fn an_unknown_key_is_refused() {
    let wrong = SKIPS.replace("units = 8", "units = 8, bias = false");
    assert!(toml::from_str::<VaeConfig>(&wrong).is_err());
}

#[test]
fn a_spatial_code_has_convolutions_for_heads() {
    let config = vae(r#"
        latent = 12
        likelihood = { kind = "squared_error" }
        encoder = [{ block = "conv", channels = 5, kernel = 3 }]
        decoder = [
          { block = "unflatten", channels = 3, height = 2, width = 2 },
          { block = "deconv", channels = 1, kernel = 3 },
        ]
    "#);
    let device = Device::flex();
    let model = config.init([1, 4, 4], &device).expect("it fits");
    let encoding = model.encode(Tensor::ones([2, 1, 4, 4], &device));
    assert_eq!(encoding.posterior.mean.dims(), [2, 12]);
    assert_eq!(model.decode(encoding.posterior.mean, encoding.skips).dims(), [2, 1, 4, 4]);
    // Two heads of 5 x 3 weights and 3 biases on 2 x 2 pixels, after 9 x 5 weights and 5 biases.
    let [encoder, _] = config.cost([1, 4, 4]).expect("it fits");
    assert_eq!(encoder.parameters, 50 + 2 * 18);
}
