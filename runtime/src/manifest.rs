//! `manifest.json`: what a bundle is, how to feed it, and what it was made of.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::anomaly::Method;
use crate::preprocess::ImageSpec;

/// The version of the bundle format that this library writes and reads.
pub const FORMAT_VERSION: u32 = 1;
/// The most bytes of one of a bundle's files: what protobuf allows an ONNX file.
pub const MAX_FILE_BYTES: u64 = 2 << 30;

/// The description of a bundle, stored beside its graphs as `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the bundle format, [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The model's name, for people.
    pub name: String,
    /// The pictures that the model takes, and how they become tensors.
    pub image: ImageSpec,
    /// Size `Z` of the latent vector.
    pub latent: usize,
    /// Whether the encoder gives a distribution or a point.
    pub posterior: PosteriorKind,
    /// The likelihood under which reconstructions are scored.
    pub likelihood: Likelihood,
    /// Weight of the KL term in the training objective.
    pub beta: f64,
    /// Whether the decoder can be fed with draws from the prior.
    pub sampling: bool,
    /// Names of the classes in the training data, empty where there were none.
    pub classes: Vec<String>,
    /// The graph from `image` to `mean`, `log_var` and skips.
    pub encoder: GraphSpec,
    /// The graph from `latent` and skips to `reconstruction`.
    pub decoder: GraphSpec,
    /// Recorded inputs and outputs, replayed by `verify`.
    pub golden: FileSpec,
    /// How the graphs hold and compute their numbers.
    #[serde(default)]
    pub precision: Precision,
    /// The largest difference from the golden vectors that is accepted, as [`crate::verify::verify`] has it.
    #[serde(default = "default_tolerance")]
    pub tolerance: f64,
    /// What becomes of the trainer's verdicts; absent where none were recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<Verdicts>,
    /// How images are scored where nothing else is asked for; absent where nothing was fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<AnomalySpec>,
    /// Differences between engines, measured when the bundle was exported.
    pub parity: Vec<Parity>,
    /// Where the weights come from.
    pub provenance: Provenance,
}

/// What the encoder says about the latent vector of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PosteriorKind {
    /// A diagonal Gaussian: the encoder gives `mean` and `log_var` (a variational autoencoder).
    Gaussian,
    /// A point: the encoder gives `mean` alone (a plain autoencoder).
    Point,
}

/// The likelihood p(x | z) of an image under its reconstruction, which defines the
/// reconstruction error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Likelihood {
    /// Independent Bernoulli pixels: binary cross-entropy, in nats.
    Bernoulli,
    /// No likelihood, the summed squared error: pixels' units squared.
    SquaredError,
    /// Independent Gaussian pixels with one fixed standard deviation, in nats.
    Gaussian {
        /// Standard deviation, in pixel units.
        sigma: f32,
    },
}

/// How a bundle's graphs hold and compute their numbers; inputs and outputs are always `f32`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Stored and computed in `f32`.
    #[default]
    F32,
    /// Weights stored as IEEE 754 half precision, computed in `f32`.
    F16,
    /// Stored and computed in half precision: for GPUs.
    F16Gpu,
    /// Weights and activations in eight bits: for ONNX Runtime's integer kernels.
    Int8,
}

/// The verdicts of a bundle on held-out images beside the trainer's own in `f32`: an image is
/// abnormal where its mean squared error is above the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdicts {
    /// Number of held-out images.
    pub images: usize,
    /// The share of them, by the trainer's own scores, that lies below the threshold.
    pub quantile: f64,
    /// The threshold, in squared pixel units.
    pub threshold: f64,
    /// Verdicts that differ from the trainer's.
    pub flips: usize,
    /// Spearman's rank correlation of the scores with the trainer's; absent where all are equal.
    pub rank_correlation: Option<f64>,
    /// Pooled PSNR of the trainer's reconstructions less that of the bundle's, in dB.
    pub psnr_lost: f64,
    /// Of the recorded verdicts that [`crate::verify`] replays, those that differed at export.
    pub golden_flips: usize,
}

/// A file of the bundle, with what is needed to tell whether it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Plain file name inside the bundle.
    pub file: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, in lower-case hexadecimal.
    pub sha256: String,
}

/// How a bundle scores anomalies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnomalySpec {
    /// The method that is taken where none is asked for.
    pub method: Method,
    /// The file of [`crate::anomaly::Statistics`].
    pub statistics: FileSpec,
}

/// An ONNX graph and its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphSpec {
    /// The file.
    #[serde(flatten)]
    pub file: FileSpec,
    /// Inputs in order; every one is `f32` with a leading batch axis.
    pub inputs: Vec<TensorSpec>,
    /// Outputs in order; likewise.
    pub outputs: Vec<TensorSpec>,
    /// Tensors inside the graph that can be made outputs: an encoder's hidden layers, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<TensorSpec>,
}

/// A graph's input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// Its name in the graph.
    pub name: String,
    /// Its shape without the leading batch axis.
    pub shape: Vec<usize>,
}

/// The worst difference between two engines on one output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// The engine compared with the trainer's own forward pass, or with imported files as they
    /// were.
    pub engine: String,
    /// The output compared.
    pub output: String,
    /// The batch size.
    pub batch: usize,
    /// What the batch held: `real` or `random` images.
    pub images: String,
    /// Largest absolute difference over the output's range, as [`crate::verify::difference`] has it.
    pub difference: f64,
}

/// Where a bundle's weights come from. What a run would know is absent where there was none: for
/// imported files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The preset that was trained, `custom`, or `imported`.
    pub preset: String,
    /// SHA-256 of the complete configuration as TOML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
    /// SHA-256 of the training data's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_sha256: Option<String>,
    /// The seed of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Epochs behind the exported weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// SHA-256 of the files that were imported: `encoder`, `decoder`, and `encoder/FILE` for weights
    /// that stood in a file of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
    /// Final figures, by name; losses in nats per image.
    pub metrics: BTreeMap<String, f64>,
    /// Versions of the programs that took part.
    pub versions: BTreeMap<String, String>,
}

fn default_tolerance() -> f64 {
    crate::verify::TOLERANCE
}

impl Precision {
    /// The engines that gain by it.
    pub fn made_for(self) -> &'static str {
        match self {
            Self::F32 | Self::F16 => "every engine",
            Self::F16Gpu => "ONNX Runtime with CUDA or TensorRT",
            Self::Int8 => "the native engine and ONNX Runtime on a processor",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::F16Gpu => "f16-gpu",
            Self::Int8 => "int8",
        })
    }
}

/// Refuses a name for a model that is empty or not a part of one line.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("the name is empty".into());
    }
    match name.chars().any(char::is_control) {
        true => Err(format!("the name {name:?} has characters that steer a terminal")),
        false => Ok(()),
    }
}

impl Manifest {
    /// Reads a manifest and checks that it does not contradict itself.
    ///
    /// # Errors
    ///
    /// One sentence that says which field is wrong, and how.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let Version { format_version } = serde_json::from_slice(json)
            .map_err(|e| format!("manifest.json is not a manifest: {e}"))?;
        if format_version != FORMAT_VERSION {
            return Err(format!(
                "its format version is {format_version}, this program reads version {FORMAT_VERSION}"
            ));
        }
        let manifest: Self = serde_json::from_slice(json)
            .map_err(|e| format!("manifest.json is not a manifest: {e}"))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as indented JSON with a final newline.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("a manifest has only string keys");
        json.push(b'\n');
        json
    }

    /// Names of the tensors that the encoder hands to the decoder beside the latent vector.
    pub fn skips(&self) -> &[TensorSpec] {
        &self.decoder.inputs[1..]
    }

    /// Checks that the decoder needs nothing beside a latent vector.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] with the `operation` that needs such a decoder.
    pub fn decodes_alone(&self, operation: &'static str) -> Result<(), Error> {
        if self.skips().is_empty() {
            return Ok(());
        }
        let skips: Vec<_> = self.skips().iter().map(|s| s.name.as_str()).collect();
        let reason = format!("its decoder also takes an image's {}", skips.join(", "));
        Err(Error::Unsupported { model: self.name.clone(), operation, reason })
    }

    fn check(&self) -> Result<(), String> {
        self.image.check()?;
        check_name(&self.name)?;
        if self.latent == 0 {
            return Err("its latent size is 0".into());
        }
        let files = [&self.encoder.file, &self.decoder.file, &self.golden];
        let statistics = self.anomaly.iter().map(|anomaly| &anomaly.statistics);
        for FileSpec { file, bytes, .. } in files.into_iter().chain(statistics) {
            if *bytes > MAX_FILE_BYTES {
                return Err(format!("{file} is {bytes} bytes, the limit is {MAX_FILE_BYTES}"));
            }
        }
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return Err(format!("its tolerance is {}", self.tolerance));
        }
        if let Some(Verdicts { threshold, .. }) = self.verdicts
            && !threshold.is_finite()
        {
            return Err(format!("its threshold is {threshold}"));
        }
        if let Likelihood::Gaussian { sigma } = self.likelihood
            && !(sigma.is_finite() && sigma > 0.0)
        {
            return Err(format!("its likelihood has sigma {sigma}"));
        }
        if self.likelihood == Likelihood::Bernoulli && self.image.range != [0.0, 1.0] {
            return Err("a Bernoulli likelihood needs pixel values from 0 to 1".into());
        }
        let image = TensorSpec::new("image", &self.image.shape());
        let latent = |name| TensorSpec::new(name, &[self.latent]);
        let mut outputs = vec![latent("mean")];
        if self.posterior == PosteriorKind::Gaussian {
            outputs.push(latent("log_var"));
        }
        let inputs = [latent("latent")];
        let reconstruction = TensorSpec::new("reconstruction", &self.image.shape());

        same("encoder's input", &self.encoder.inputs, &[image])?;
        same("decoder's output", &self.decoder.outputs, &[reconstruction])?;
        let split = outputs.len().min(self.encoder.outputs.len());
        same("encoder's output", &self.encoder.outputs[..split], &outputs)?;
        let first = self.decoder.inputs.len().min(1);
        same("decoder's input", &self.decoder.inputs[..first], &inputs)?;
        same("decoder's skips", self.skips(), &self.encoder.outputs[split..])?;
        if self.sampling && (!self.skips().is_empty() || self.posterior == PosteriorKind::Point) {
            return Err("it claims sampling, which its graphs cannot do".into());
        }
        Ok(())
    }
}

fn same(what: &str, got: &[TensorSpec], expected: &[TensorSpec]) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    let list = |specs: &[TensorSpec]| {
        let specs: Vec<_> = specs.iter().map(|s| format!("{} {:?}", s.name, s.shape)).collect();
        specs.join(", ")
    };
    Err(format!("the {what} is [{}] where [{}] belongs", list(got), list(expected)))
}

impl TensorSpec {
    /// A tensor's name and its shape without the batch axis.
    pub fn new(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.to_vec() }
    }
}

impl FileSpec {
    /// The description of a file with this content.
    pub fn of(file: impl Into<String>, content: &[u8]) -> Self {
        Self {
            file: file.into(),
            bytes: content.len() as u64,
            sha256: crate::bundle::sha256(content),
        }
    }
}
