//! The two terms of the loss against their formulas in double precision.

mod devices;

use burn::tensor::{Device, Distribution, Tensor};
use vae_models::{Likelihood, Posterior, Warmup};

use devices::devices;

const DECODED: [f32; 6] = [-80.0, -1.5, 0.0, 0.3, 2.0, 90.0];
const IMAGE: [f32; 6] = [0.0, 0.2, 0.5, 1.0, 0.9, 1.0];

/// What a likelihood gives on every device.
fn negative_log(likelihood: Likelihood) -> Vec<f64> {
    let on = |device: Device| {
        let tensor =
            |values: [f32; 6]| Tensor::<1>::from_floats(values, &device).reshape([1, 1, 2, 3]);
        let loss = likelihood.negative_log(tensor(DECODED), tensor(IMAGE));
        assert_eq!(loss.dims(), [1]);
        f64::from(loss.into_scalar::<f32>())
    };
    devices().into_iter().map(on).collect()
}

fn sum(term: impl Fn(f64, f64) -> f64) -> f64 {
    DECODED.iter().zip(IMAGE).map(|(&d, x)| term(f64::from(d), f64::from(x))).sum()
}

#[test]
fn bernoulli_is_the_cross_entropy_of_logits_even_where_they_are_large() {
    let expected = sum(|logit, x| {
        let softplus = |v: f64| v.max(0.0) + (-v.abs()).exp().ln_1p();
        x * softplus(-logit) + (1.0 - x) * softplus(logit)
    });
    for got in negative_log(Likelihood::Bernoulli) {
        assert!((got - expected).abs() < 1e-5, "{got} is not {expected}");
    }
}

#[test]
fn bernoulli_is_exact_at_every_size_of_a_logit() {
    for device in devices() {
        let logits: Vec<f32> = (-4000..4000).map(|i| i as f32 * 0.0273).collect();
        let count = logits.len();
        let decoded = Tensor::<1>::from_floats(&logits[..], &device).reshape([count, 1, 1, 1]);
        let image = Tensor::<4>::zeros([count, 1, 1, 1], &device);
        let losses = Likelihood::Bernoulli.negative_log(decoded, image).into_data();
        for (loss, logit) in losses.iter::<f32>().zip(logits) {
            let logit = f64::from(logit);
            let expected = logit.max(0.0) + (-logit.abs()).exp().ln_1p();
            let off = (f64::from(loss) - expected).abs();
            assert!(off <= 2e-7 * expected + 1e-15, "{loss} at {logit} is not {expected}");
        }
        let broken = Tensor::<4>::full([1, 1, 1, 2], f32::NAN, &device);
        let loss = Likelihood::Bernoulli.negative_log(broken.clone(), broken.zeros_like());
        assert!(loss.into_scalar::<f32>().is_nan());
    }
}

#[test]
fn the_slope_of_a_loss_is_what_the_mean_is_off_by() {
    let cases = devices().into_iter().flat_map(|device| [(device.clone(), true), (device, false)]);
    for (device, bernoulli) in cases {
        let likelihood = if bernoulli { Likelihood::Bernoulli } else { Likelihood::SquaredError };
        let device = device.autodiff();
        let tensor =
            |values: [f32; 6]| Tensor::<1>::from_floats(values, &device).reshape([2, 1, 1, 3]);
        let decoded = tensor(DECODED).require_grad();
        let loss = likelihood.negative_log(decoded.clone(), tensor(IMAGE));
        let weights = Tensor::<1>::from_floats([1.0, -2.0], &device);
        let gradients = (loss * weights).sum().backward();
        let slopes = decoded.grad(&gradients).expect("it is asked for").into_data();
        for (i, slope) in slopes.iter::<f32>().enumerate() {
            let (logit, image) = (f64::from(DECODED[i]), f64::from(IMAGE[i]));
            let off = match bernoulli {
                true => 1.0 / (1.0 + (-logit).exp()) - image,
                false => 2.0 * (logit - image),
            };
            let expected = off * if i < 3 { 1.0 } else { -2.0 };
            let within = 1e-6 * expected.abs().max(1.0);
            assert!((f64::from(slope) - expected).abs() < within, "{slope} is not {expected}");
        }
    }
}

#[test]
fn losses_of_large_images_and_their_slopes_are_their_formulas() {
    let shape = [3, 2, 7, 11];
    let len = 2 * 7 * 11;
    for device in devices() {
        let device = device.autodiff();
        device.seed(7);
        let decoded = Tensor::<4>::random(shape, Distribution::Normal(0.0, 3.0), &device);
        let image = Tensor::<4>::random(shape, Distribution::Uniform(0.0, 1.0), &device);
        let factors = [1.0, -2.0, 0.5];
        for likelihood in [Likelihood::Bernoulli, Likelihood::SquaredError] {
            let tracked = decoded.clone().detach().require_grad();
            let loss = likelihood.negative_log(tracked.clone(), image.clone());
            let gradients = (loss.clone() * Tensor::from_floats(factors, &device)).sum().backward();
            let slopes = tracked.grad(&gradients).expect("it is asked for").into_data();
            let (slopes, loss) = (slopes.iter::<f64>(), loss.into_data());
            let [decoded, image] = [&decoded, &image].map(|t| t.clone().into_data());
            let mut expected = [0.0; 3];
            let pixels = decoded.iter::<f64>().zip(image.iter::<f64>()).zip(slopes);
            for (i, ((d, x), slope)) in pixels.enumerate() {
                let (term, by_decoded) = match likelihood {
                    Likelihood::Bernoulli => {
                        let softplus = d.max(0.0) + (-d.abs()).exp().ln_1p();
                        (softplus - x * d, 1.0 / (1.0 + (-d).exp()) - x)
                    }
                    _ => ((d - x).powi(2), 2.0 * (d - x)),
                };
                expected[i / len] += term;
                let off = (slope - by_decoded * factors[i / len]).abs();
                assert!(off < 1e-5, "the slope of pixel {i} is off by {off} in {likelihood:?}");
            }
            for (loss, expected) in loss.iter::<f64>().zip(expected) {
                assert!((loss / expected - 1.0).abs() < 1e-6, "{loss} is not {expected}");
            }
        }
    }
}

#[test]
fn what_is_not_a_number_gives_no_loss() {
    for device in devices() {
        let mut pixels = [0.5; 130];
        pixels[100] = f32::NAN;
        let decoded = Tensor::<1>::from_floats(pixels, &device).reshape([1, 1, 10, 13]);
        for likelihood in [Likelihood::Bernoulli, Likelihood::SquaredError] {
            let loss = likelihood.negative_log(decoded.clone(), decoded.zeros_like());
            assert!(loss.into_scalar::<f32>().is_nan(), "{likelihood:?}");
        }
    }
}

#[test]
fn squared_error_is_summed() {
    let expected = sum(|d, x| (d - x).powi(2));
    for got in negative_log(Likelihood::SquaredError) {
        assert!((got / expected - 1.0).abs() < 1e-6, "{got} is not {expected}");
    }
}

#[test]
fn gaussian_is_the_whole_density() {
    let sigma = 0.7_f64;
    let expected = sum(|d, x| {
        let z = (d - x) / sigma;
        0.5 * z * z + sigma.ln() + 0.5 * std::f64::consts::TAU.ln()
    });
    for got in negative_log(Likelihood::Gaussian { sigma: sigma as f32 }) {
        assert!((got / expected - 1.0).abs() < 1e-6, "{got} is not {expected}");
    }
}

#[test]
fn the_mean_of_a_likelihood_is_an_image() {
    let device = Device::flex();
    let decoded = Tensor::<4>::zeros([1, 1, 1, 1], &device);
    let half = Likelihood::Bernoulli.mean(decoded.clone()).into_scalar::<f32>();
    assert_eq!(half, 0.5);
    assert_eq!(Likelihood::SquaredError.mean(decoded).into_scalar::<f32>(), 0.0);
}

#[test]
fn kl_and_draws_are_those_of_a_gaussian() {
    let device = Device::flex();
    let tensor = |values: [[f32; 2]; 2]| Tensor::<2>::from_floats(values, &device);
    let posterior = Posterior {
        mean: tensor([[0.0, 0.0], [1.0, -2.0]]),
        log_var: Some(tensor([[0.0, 0.0], [0.0, 1.0]])),
    };
    let kl = posterior.kl().into_data_as::<f32>().try_into_vec::<f32>().expect("asked for f32");
    let expected = 0.5 * (1.0 + 4.0 + 1.0_f32.exp() - 1.0 - 1.0);
    assert!(kl[0].abs() < 1e-6 && (kl[1] - expected).abs() < 1e-5, "{kl:?}");

    let drawn = posterior.sample(tensor([[3.0, -3.0], [1.0, 1.0]]));
    let drawn = drawn.into_data_as::<f32>().try_into_vec::<f32>().expect("asked for f32");
    let expected = [3.0, -3.0, 2.0, -2.0 + 0.5_f32.exp()];
    assert!(drawn.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{drawn:?}");

    let point = Posterior { mean: tensor([[1.0, 2.0], [3.0, 4.0]]), log_var: None };
    assert_eq!(point.kl().sum().into_scalar::<f32>(), 0.0);
    let kept = point.sample(tensor([[9.0; 2]; 2])).sum().into_scalar::<f32>();
    assert_eq!(kept, 10.0);
}

#[test]
fn the_gradients_of_draws_and_of_the_kl_are_their_formulas() {
    let (means, log_vars) = ([0.0, 0.5, -3.0, 1e-3], [0.0, -9.0, 2.0, 1e-3]);
    let (noise, weights, factors) = ([1.0, -2.0, 0.5, 3.0], [0.5, 1.0, 2.0, 3.0], [1.0, -2.0]);
    for device in devices() {
        let device = device.autodiff();
        let tensor = |values: [f32; 4]| Tensor::<1>::from_floats(values, &device).reshape([2, 2]);
        let [mean, log_var] = [means, log_vars].map(|values| tensor(values).require_grad());
        let posterior = Posterior { mean: mean.clone(), log_var: Some(log_var.clone()) };
        let (drawn, kl) = (posterior.sample(tensor(noise)), posterior.kl());
        let loss = (drawn.clone() * tensor(weights)).sum()
            + (kl.clone() * Tensor::from_floats(factors, &device)).sum();
        let gradients = loss.backward();
        let read = |tensor: Tensor<2>| tensor.into_data().iter::<f64>().collect::<Vec<_>>();
        let [of_mean, of_log_var] =
            [mean, log_var].map(|moment| read(moment.grad(&gradients).expect("it is asked for")));
        let (drawn, kl) = (read(drawn), kl.into_data().iter::<f64>().collect::<Vec<_>>());
        let mut expected = [0.0; 2];
        for i in 0..4 {
            let [mean, log_var, noise, weight] =
                [means, log_vars, noise, weights].map(|values| f64::from(values[i]));
            let factor = factors[i / 2];
            let off = (log_var / 2.0).exp() * noise;
            expected[i / 2] += 0.5 * (mean * mean + log_var.exp_m1() - log_var);
            let wanted = [
                (drawn[i], mean + off),
                (of_mean[i], weight + factor * mean),
                (of_log_var[i], 0.5 * (weight * off + factor * log_var.exp_m1())),
            ];
            for (found, wanted) in wanted {
                let within = 2e-6 * wanted.abs().max(1.0);
                assert!((found - wanted).abs() < within, "{found} is not {wanted} at {i}");
            }
        }
        for (found, expected) in kl.into_iter().zip(expected) {
            assert!((found - expected).abs() < 2e-6 * expected.max(1.0), "{found}, {expected}");
        }
    }
}

#[test]
fn a_warmup_rises_to_beta() {
    let warmup = Warmup { beta: 4.0, epochs: 2.0 };
    assert_eq!([0.0, 0.5, 2.0, 9.0].map(|epoch| warmup.at(epoch)), [0.0, 1.0, 4.0, 4.0]);
    assert_eq!(Warmup { beta: 1.0, epochs: 0.0 }.at(0.0), 1.0);
}

#[test]
fn the_log_ratio_is_the_kl_on_average() {
    let device = Device::flex();
    let draws = 20_000;
    let many = |values: [f32; 2]| {
        Tensor::<1>::from_floats(values, &device).reshape([1, 2]).repeat_dim(0, draws)
    };
    let posterior = Posterior { mean: many([1.0, -2.0]), log_var: Some(many([0.5, -1.0])) };
    device.seed(5);
    let epsilon = Tensor::random([draws, 2], Distribution::Normal(0.0, 1.0), &device);
    let ratio = posterior.log_ratio(posterior.sample(epsilon)).mean().into_scalar::<f32>();
    let kl = posterior.kl().mean().into_scalar::<f32>();
    // its standard deviation is below 3 nats, that of the mean below 0.02
    assert!((ratio - kl).abs() < 0.08, "{ratio} is not {kl}");

    let at_mean = posterior.log_ratio(posterior.mean.clone()).mean().into_scalar::<f32>();
    let expected = 0.5 * (1.0 + 4.0 - 0.5 + 1.0);
    assert!((at_mean - expected).abs() < 1e-4, "{at_mean} is not {expected}");

    let point = Posterior { mean: many([1.0, 2.0]), log_var: None };
    assert_eq!(point.log_ratio(point.mean.clone()).sum().into_scalar::<f32>(), 0.0);
}
