//! From a trained model to a bundle, or to nothing.

use std::path::Path;

use burn::tensor::Device;
use ndarray::{Array4, Axis};
use vae_infer::manifest::{
    FORMAT_VERSION, FileSpec, GraphSpec, Likelihood, Manifest, Parity, PosteriorKind, Provenance,
};
use vae_infer::write::{self, Staged};
use vae_infer::{Bundle, Engine, EngineOptions, ImageSpec, MANIFEST};
use vae_models::{Vae, VaeConfig};

use crate::error::Error;
use crate::golden::{self, Latent};
use crate::graph::{Graph, decoder, encoder};
use crate::parity::{self, Trainer};

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
    /// Held-out images on which the engines are compared, `[N, C, H, W]`.
    pub probe: &'a Array4<f32>,
}

/// A bundle that was written.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Its manifest, with the measured differences.
    pub manifest: Manifest,
    /// Why ONNX Runtime took no part in the comparison, where it did not.
    pub without_onnx_runtime: Option<String>,
}

/// Writes a bundle under `folder`.
///
/// The bundle is made in a sibling folder, opened as a user would, and compared with Burn on tract
/// and, where `ort_library` or the machine has its library, ONNX Runtime. Only then does it get
/// its name.
///
/// # Errors
///
/// [`Error::Parity`] where an engine differs, [`Error::Exists`] where something stands there and
/// `force` is not set, and the errors of writing and of the engines. Nothing is then written.
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
    let mut trainer = Trainer { vae: model.vae, device };
    let made = Staged::new(folder)?;

    let mut manifest = write_files(&model, made.path(), device)?;
    let bundle = Bundle::open(made.path())?;
    let onnx_runtime = parity::onnx_runtime(ort_library)?;
    let engines = [Some(EngineOptions::new(Engine::Tract)), onnx_runtime.as_ref().ok().cloned()];
    for options in engines.into_iter().flatten() {
        let rows = parity::compare(&mut trainer, &bundle, Some(model.probe), &options)?;
        manifest.parity.extend(rows);
    }
    write::atomically(&made.path().join(MANIFEST), &manifest.to_json())?;
    Bundle::open(made.path())?;
    made.publish(vacant(folder, force)?)?;
    Ok(Exported { manifest, without_onnx_runtime: onnx_runtime.err() })
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
fn write_files(model: &Export<'_>, folder: &Path, device: &Device) -> Result<Manifest, Error> {
    let Export { config, vae, image, .. } = *model;
    let file = |name: &str, content: &[u8]| {
        write::atomically(&folder.join(name), content)?;
        Ok::<_, vae_infer::Error>(FileSpec::of(name, content))
    };
    let graph = |mut graph: Graph, name: &str| {
        let [black, white] = image.range;
        graph.describe("model", model.name);
        graph.describe("pixel_range", format!("{black} to {white}"));
        graph.describe("preset", &model.provenance.preset);
        if let Some(data) = &model.provenance.data_sha256 {
            graph.describe("data_sha256", data);
        }
        let file = file(name, &graph.to_bytes())?;
        Ok::<_, vae_infer::Error>(GraphSpec { file, inputs: graph.inputs, outputs: graph.outputs })
    };
    let encoder = graph(encoder(vae, config, image.shape())?, "encoder.onnx")?;
    let decoder = graph(decoder(vae, config, image.shape())?, "decoder.onnx")?;
    let sampling = config.variational && decoder.inputs.len() == 1;
    let images = match sampling {
        true => golden::samples(vae, config.latent, device),
        false => golden::noise_images(image, golden::COUNT),
    };
    let latent = Latent::Prior { seed: golden::LATENT_SEED };
    let recorded = golden::record(vae, images.view(), latent, device);
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
        sampling,
        classes: model.classes.to_vec(),
        encoder,
        decoder,
        golden: file("golden.safetensors", &golden::to_bytes(&recorded))?,
        parity: Vec::<Parity>::new(),
        provenance: model.provenance.clone(),
    };
    write::atomically(&folder.join(MANIFEST), &manifest.to_json())?;
    Ok(manifest)
}
