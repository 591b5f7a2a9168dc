//! From a trained model to a bundle, or to nothing.

use std::path::Path;

use burn::tensor::Device;
use ndarray::{Array1, Array4, Axis};
use vae_infer::anomaly::{Method, Statistics};
use vae_infer::manifest::{
    AnomalySpec, FORMAT_VERSION, FileSpec, GraphSpec, Likelihood, Manifest, Parity, PosteriorKind,
    Precision, Provenance,
};
use vae_infer::verdicts::{SCORE, graded};
use vae_infer::write::Staged;
use vae_infer::{Bundle, Engine, EngineOptions, ImageSpec, MANIFEST, Model};
use vae_models::{Vae, VaeConfig};

use crate::error::Error;
use crate::gate::{self, Gate, Passed};
use crate::golden::{self, Latent, Tensors};
use crate::graph::Graph;
use crate::precision::{self, Limits, check_calibration};
use crate::timing::Timing;
use crate::verdicts::{self, HeldOut};

/// The file of what a bundle keeps of the training images.
const STATISTICS: &str = "statistics.safetensors";

/// What is exported.
pub struct Export<'a> {
    /// The bundle's name.
    pub name: &'a str,
    /// The network.
    pub config: &'a VaeConfig,
    /// Its weights.
    pub vae: &'a Vae,
    /// The images that it takes.
    pub image: &'a ImageSpec,
    /// Weight of the KL term in the objective.
    pub beta: f64,
    /// Names of the classes in the training data.
    pub classes: &'a [String],
    /// Where the weights come from.
    pub provenance: Provenance,
    /// How the graphs hold and compute their numbers.
    pub precision: Precision,
    /// Held-out images on which tensors are compared, `[N, C, H, W]`.
    pub probe: &'a Array4<f32>,
    /// Held-out images on which verdicts are compared, likewise.
    pub held_out: &'a Array4<f32>,
    /// Images that the ranges of eight bits are taken from, likewise.
    pub calibration: Option<&'a Array4<f32>>,
    /// Whether eight bits that are no faster here are exported all the same.
    pub allow_slower: bool,
    /// How the bundle scores anomalies.
    pub anomaly: Option<Anomaly<'a>>,
}

/// What fits the statistics of a bundle on an engine.
pub type Fit<'a> = dyn Fn(&Bundle, &EngineOptions) -> Result<Statistics, vae_infer::Error> + 'a;

/// A method, and what fits statistics to the training images.
#[derive(Clone, Copy)]
pub struct Anomaly<'a> {
    /// The method by which the bundle scores images where nothing else is asked for.
    pub method: Method,
    /// Gets the bundle once its graphs have passed the gate, and an engine that they have passed on.
    pub fit: &'a Fit<'a>,
}

/// A bundle that was written.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Its manifest, with the measured differences.
    pub manifest: Manifest,
    /// The time of an image by engine, where the precision is not `f32`.
    pub timings: Vec<(String, Timing)>,
    /// Why ONNX Runtime took no part in the comparison, where it did not.
    pub without_onnx_runtime: Option<String>,
}

impl Export<'_> {
    /// Whether the decoder can be fed with draws from the prior.
    pub(crate) fn samples(&self) -> bool {
        self.config.variational && self.config.check(self.image.shape()).is_ok_and(|s| s.is_empty())
    }
}

/// Writes a bundle under `folder`.
///
/// The bundle is made in a sibling folder, opened as a user would, and compared with Burn on tract
/// and, where `ort_library` or the machine has its library, ONNX Runtime: tensors, verdicts on
/// held-out images and, in eight bits, speed. Only then does it get its name.
///
/// # Errors
///
/// [`Error::Parity`], [`Error::Verdicts`] and [`Error::Slower`] where an engine fails the gate,
/// [`Error::Exists`] where something stands there and `force` is not set, those of calibration
/// images, and the errors of writing and of the engines. Nothing is then written.
pub fn export(
    model: Export<'_>,
    folder: &Path,
    force: bool,
    ort_library: Option<&Path>,
    device: &Device,
) -> Result<Exported, Error> {
    vacant(folder, force)?;
    if model.probe.len_of(Axis(0)) == 0 {
        return Err(Error::NoImages);
    }
    let held_out = HeldOut::new(model.vae, model.held_out, model.image, device)?;
    if let (Some(images), Precision::Int8) = (model.calibration, model.precision) {
        let errors = verdicts::scores(model.vae, images.view(), device);
        check_calibration(images, &errors, held_out.threshold)?;
    }
    let graphs = precision::graphs(&model, device)?;
    pass_and_publish(&model, graphs, &held_out, (folder, force), ort_library, device)
}

/// Gives graphs that pass the gate their place.
fn pass_and_publish(
    model: &Export<'_>,
    graphs: [Graph; 2],
    held_out: &HeldOut<'_>,
    (folder, force): (&Path, bool),
    ort_library: Option<&Path>,
    device: &Device,
) -> Result<Exported, Error> {
    let made = Staged::new(folder)?;
    let mut manifest = write_files(model, graphs, held_out, &made, device)?;
    let mut bundle = Bundle::open(made.path())?;
    if model.precision == Precision::Int8 {
        let mut engine = Model::load(&bundle, &EngineOptions::new(Engine::Tract))?;
        let recorded = golden::record_engine(&mut engine, &manifest, &bundle.golden()?)?;
        manifest.golden = write_golden(&made, &recorded)?;
        made.write(MANIFEST, &manifest.to_json())?;
        bundle = Bundle::open(made.path())?;
    }
    let onnx_runtime = gate::onnx_runtime(ort_library)?;
    let gate = Gate { model, bundle: &bundle, held_out, device };
    let mut timings = vec![];
    let engines = gate.engines(&onnx_runtime)?;
    for options in &engines {
        let Passed { parity, verdicts, timing } = gate.pass(options)?;
        manifest.parity.extend(parity);
        manifest.verdicts = manifest.verdicts.map(|others| verdicts::worst(others, verdicts));
        timings.extend(timing.map(|timing| (options.engine.to_string(), timing)));
    }
    if let (Some(Anomaly { method, fit }), [engine, ..]) = (model.anomaly, &engines[..]) {
        let statistics = fit(&bundle, engine)?.to_bytes();
        let statistics = write_file(&made, STATISTICS, &statistics)?;
        manifest.anomaly = Some(AnomalySpec { method, statistics });
    }
    made.write(MANIFEST, &manifest.to_json())?;
    let bundle = Bundle::open(made.path())?;
    model.anomaly.map_or(Ok(()), |anomaly| anomaly.method.check(&bundle))?;
    made.publish(vacant(folder, force)?)?;
    Ok(Exported { manifest, timings, without_onnx_runtime: onnx_runtime.err() })
}

/// Checks that a bundle may get a name, and tells whether one that is there makes room for it.
///
/// # Errors
///
/// [`Error::Exists`] for anything that stands there, but for a bundle where `force` is set.
pub(crate) fn vacant(folder: &Path, force: bool) -> Result<bool, Error> {
    let replace = force && Bundle::fills(folder);
    match folder.exists() && !replace {
        true => Err(Error::Exists { path: folder.into() }),
        false => Ok(replace),
    }
}

/// Writes the graphs, the golden vectors and a manifest without measurements.
fn write_files(
    model: &Export<'_>,
    [encoder, decoder]: [Graph; 2],
    held_out: &HeldOut<'_>,
    bundle: &Staged,
    device: &Device,
) -> Result<Manifest, Error> {
    let Export { config, vae, image, .. } = *model;
    let graph = |mut graph: Graph, name: &str| {
        graph.describe_model(model.name, image);
        graph.describe("precision", model.precision);
        graph.describe("preset", &model.provenance.preset);
        if let Some(data) = &model.provenance.data_sha256 {
            graph.describe("data_sha256", data);
        }
        write_graph(bundle, name, graph)
    };
    let encoder = graph(encoder, "encoder.onnx")?;
    let decoder = graph(decoder, "decoder.onnx")?;
    let images = match model.samples() {
        true => golden::samples(vae, config.latent, device),
        false => golden::decoded_noise(vae, image, device),
    };
    let latent = Latent::Prior { seed: golden::LATENT_SEED };
    let mut recorded = golden::record(vae, images.view(), latent, device);
    let graded = graded(images.view(), image);
    let scores = graded.flat_map(|images| verdicts::scores(vae, images.view(), device));
    let scores: Array1<f32> = scores.map(|score| score as f32).collect();
    recorded.insert(SCORE.into(), scores.into_dyn());
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: model.name.to_owned(),
        image: image.clone(),
        latent: config.latent,
        posterior: match config.variational {
            true => PosteriorKind::Gaussian,
            false => PosteriorKind::Point,
        },
        likelihood: match config.likelihood {
            vae_models::Likelihood::Bernoulli => Likelihood::Bernoulli,
            vae_models::Likelihood::SquaredError => Likelihood::SquaredError,
            vae_models::Likelihood::Gaussian { sigma } => Likelihood::Gaussian { sigma },
        },
        beta: model.beta,
        sampling: model.samples(),
        classes: model.classes.to_vec(),
        encoder,
        decoder,
        golden: write_golden(bundle, &recorded)?,
        precision: model.precision,
        tolerance: Limits::of(model.precision).replay,
        verdicts: Some(held_out.unchanged()),
        anomaly: None,
        parity: Vec::<Parity>::new(),
        provenance: model.provenance.clone(),
    };
    bundle.write(MANIFEST, &manifest.to_json())?;
    Ok(manifest)
}

/// Writes a graph into a bundle that is being made.
pub(crate) fn write_graph(
    bundle: &Staged,
    name: &str,
    graph: Graph,
) -> Result<GraphSpec, vae_infer::Error> {
    let file = write_file(bundle, name, &graph.to_bytes())?;
    let Graph { inputs, outputs, layers, .. } = graph;
    Ok(GraphSpec { file, inputs, outputs, layers })
}

/// Writes the golden vectors into a bundle that is being made.
pub(crate) fn write_golden(
    bundle: &Staged,
    tensors: &Tensors,
) -> Result<FileSpec, vae_infer::Error> {
    write_file(bundle, "golden.safetensors", &golden::to_bytes(tensors))
}

fn write_file(bundle: &Staged, name: &str, content: &[u8]) -> Result<FileSpec, vae_infer::Error> {
    bundle.write(name, content)?;
    Ok(FileSpec::of(name, content))
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::GraphProto;
    use vae_infer::noise;

    use super::*;

    /// A crop of a picture that is not square, so that swapped axes give another picture of its
    /// size.
    const CONFIG: &str = r#"
latent = 2
likelihood = { kind = "squared_error" }
encoder = [
  { block = "conv", channels = 2, kernel = 3, padding = 1, activation = "relu" },
  { block = "flatten" },
]
decoder = [
  { block = "dense", units = 120 },
  { block = "unflatten", channels = 1, height = 10, width = 12 },
  { block = "crop", height = 8, width = 8 },
]
"#;

    /// Exports after a change to the graphs that the trainer knows nothing of.
    fn export_changed(change: impl FnOnce(&mut GraphProto, &mut GraphProto)) -> Option<String> {
        let device = Device::flex();
        let config: VaeConfig = toml::from_str(CONFIG).expect("the test's own TOML");
        let image = ImageSpec::new(1, 8, 8);
        let vae = config.init(image.shape(), &device).expect("it fits");
        let images = noise::standard_normal(7, 0, 8, 64).mapv(|v| v.abs().min(1.0));
        let images = images.into_shape_with_order((8, 1, 8, 8)).expect("64 pixels an image");
        let model = Export {
            name: "changed",
            config: &config,
            vae: &vae,
            image: &image,
            beta: 1.0,
            classes: &[],
            provenance: Provenance::default(),
            precision: Precision::F32,
            probe: &images,
            held_out: &images,
            calibration: None,
            allow_slower: false,
            anomaly: None,
        };
        let [mut encoder, mut decoder] = precision::graphs(&model, &device).expect("it fits");
        change(encoder.body(), decoder.body());
        let folder = tempfile::tempdir().expect("a writable folder");
        let place = (&*folder.path().join("bundle"), false);
        let held_out = HeldOut::new(&vae, &images, &image, &device).expect("there are images");
        let exported =
            pass_and_publish(&model, [encoder, decoder], &held_out, place, None, &device);
        let left = std::fs::read_dir(folder.path()).expect("it is there").count();
        assert_eq!(left, usize::from(exported.is_ok()), "a refused export leaves no file");
        exported.err().map(|error| error.to_string())
    }

    #[test]
    fn graphs_that_are_the_trainers_pass() {
        assert_eq!(export_changed(|_, _| {}), None);
    }

    #[test]
    fn weights_that_were_changed_are_found() {
        let refused = export_changed(|encoder, _| {
            let name = |name: &str| name == "mean.0.weight";
            let weight = encoder.initializer.iter_mut().find(|w| name(&w.name));
            let (weights, _) = weight.expect("the head has weights").raw_data.as_chunks_mut::<4>();
            weights[..64].fill(1.0_f32.to_le_bytes());
        });
        let message = refused.expect("it is refused");
        for word in ["native", "encoder", "`mean`", "nothing was written"] {
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn a_wrong_axis_is_found() {
        let refused = export_changed(|_, decoder| {
            let axes = decoder.initializer.iter_mut().find(|c| c.name.ends_with(".axes"));
            let axes = &mut axes.expect("a crop has axes").raw_data;
            axes.rotate_left(8);
        });
        let message = refused.expect("it is refused");
        for word in ["native", "decoder", "`reconstruction`", "nothing was written"] {
            assert!(message.contains(word), "{message}");
        }
    }
}
