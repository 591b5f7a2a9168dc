//! Options of `vae-train import`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use vae_infer::manifest::Likelihood;

/// Options of `vae-train import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The ONNX file with the encoder
    #[arg(value_name = "ENCODER.onnx")]
    pub encoder: PathBuf,
    /// The ONNX file with the decoder
    #[arg(value_name = "DECODER.onnx")]
    pub decoder: PathBuf,
    /// The bundle's folder
    #[arg(short, long, value_name = "BUNDLE")]
    pub out: PathBuf,
    /// The images' width, height and channels, for example 28x28x1 [default: what the encoder declares]
    #[arg(long, value_name = "WxHxC", value_parser = image)]
    pub image: Option<[usize; 3]>,
    /// The order of an image's axes: PyTorch's or TensorFlow's [default: what shapes tell]
    #[arg(long, value_enum)]
    pub layout: Option<LayoutName>,
    /// The values of black and of white in the network's input [default: 0 1]
    #[arg(long, num_args = 2, value_names = ["BLACK", "WHITE"], allow_negative_numbers = true)]
    pub range: Option<Vec<f32>>,
    /// What happens to a picture of another size
    #[arg(long, value_enum, default_value_t = ResizeName::Refuse)]
    pub resize: ResizeName,
    /// The encoder's output that is the posterior's mean, or mean and spread in one [default: found by its name]
    #[arg(long, value_name = "NAME")]
    pub mean: Option<String>,
    /// The encoder's output that is the posterior's spread [default: found by its name]
    #[arg(long, value_name = "NAME")]
    pub log_var: Option<String>,
    /// What the spread is [default: what its name says, a log-variance where it says nothing]
    #[arg(long, value_enum)]
    pub spread: Option<SpreadName>,
    /// The decoder's input that is the latent vector [default: the only one, or found by its name]
    #[arg(long, value_name = "NAME")]
    pub latent: Option<String>,
    /// The decoder's output that is the image [default: the only one, or found by its name]
    #[arg(long, value_name = "NAME")]
    pub reconstruction: Option<String>,
    /// An encoder's output that the decoder also takes, and its name there [default: found by name or shape]
    #[arg(long = "skip", value_name = "ENCODER_OUTPUT=DECODER_INPUT", value_parser = pair)]
    pub skips: Vec<(String, String)>,
    /// The decoder gives logits: add a sigmoid
    #[arg(long)]
    pub logits: bool,
    /// bernoulli, squared_error or gaussian:SIGMA [default: bernoulli for a decoder that ends in a
    /// sigmoid over values from 0 to 1, else squared_error]
    #[arg(long, value_name = "LIKELIHOOD", value_parser = likelihood)]
    pub likelihood: Option<Likelihood>,
    /// Weight of the KL term in the objective that the model was trained with
    #[arg(long, default_value_t = 1.0, value_parser = beta)]
    pub beta: f64,
    /// The model's name [default: the bundle's folder]
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub name: Option<String>,
    /// Names of the classes in the training data
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    pub classes: Vec<String>,
    /// Folder with real images, to compare the engines on; the bundle gets none of them
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// Replace a bundle that is there
    #[arg(long)]
    pub force: bool,
    /// ONNX Runtime's shared library [default: found as `vae-infer` finds it]
    #[arg(long, value_name = "FILE")]
    pub ort_lib: Option<PathBuf>,
}

/// The order of an image's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutName {
    /// channels, rows, columns
    Nchw,
    /// rows, columns, channels
    Nhwc,
}

/// What an encoder says about the spread of the posterior.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpreadName {
    /// log(sigma^2)
    LogVar,
    /// log(sigma)
    LogStd,
    /// sigma^2
    Var,
    /// sigma
    Std,
}

/// What happens to a picture of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResizeName {
    /// it is refused
    Refuse,
    /// it is scaled, whatever its proportions
    Stretch,
    /// it is scaled until it covers the size, and its centre is kept
    Crop,
}

/// `WxHxC` as `[C, H, W]`.
fn image(text: &str) -> Result<[usize; 3], String> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok()).collect();
    match sizes.as_deref() {
        Some(&[width, height, channels]) => Ok([channels, height, width]),
        _ => Err("it is width x height x channels, for example 28x28x1".into()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.into(), to.into())),
        _ => Err("it is ENCODER_OUTPUT=DECODER_INPUT".into()),
    }
}

fn likelihood(text: &str) -> Result<Likelihood, String> {
    let sigma = |sigma: &str| sigma.parse().ok().filter(|s: &f32| s.is_finite() && *s > 0.0);
    match (text, text.strip_prefix("gaussian:").and_then(sigma)) {
        ("bernoulli", _) => Ok(Likelihood::Bernoulli),
        ("squared_error", _) => Ok(Likelihood::SquaredError),
        (_, Some(sigma)) => Ok(Likelihood::Gaussian { sigma }),
        _ => Err("it is bernoulli, squared_error or gaussian:SIGMA with a SIGMA above 0".into()),
    }
}

fn beta(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(beta) if (0.0..=f64::MAX).contains(&beta) => Ok(beta),
        _ => Err("it is a number that is not negative".into()),
    }
}
