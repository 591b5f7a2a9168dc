//! From ONNX files that someone has trained elsewhere to a bundle, or to nothing.
//!
//! ```text
//! Source::read -> Roles::find -> rewrite::{encoder, decoder} -> staged bundle -> parity -> published
//!  (two files)    what is what    names, layout, batch axis                      against Foreign,
//!                                                                                the files as given
//! ```

mod batch;
mod ending;
mod external;
mod form;
mod heads;
mod port;
mod prune;
mod reference;
mod rewrite;
mod roles;
mod skips;
mod source;
mod taken;
mod words;

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::Array4;
use vae_infer::images::Picture;
use vae_infer::manifest::{
    FORMAT_VERSION, Likelihood, Manifest, Parity, PosteriorKind, Precision, Provenance,
};
use vae_infer::write::Staged;
use vae_infer::{Bundle, Engine, EngineOptions, ImageSpec, MANIFEST, Model, Resize};

use self::ending::Ending;
use self::heads::Heads;
use self::reference::Foreign;
use self::rewrite::Rewritten;
use self::roles::{Question, Roles};
use self::source::Source;
use crate::error::Error;
use crate::export::{vacant, write_golden, write_graph};
use crate::gate;
use crate::golden::{self, Latent};
use crate::parity::{self, Reference};
use crate::precision::Limits;

pub use self::form::Layout;
pub use self::words::Spread;

/// What is imported, and what only a person knows about it.
pub struct Import<'a> {
    /// The bundle's name.
    pub name: &'a str,
    /// The file with the encoder.
    pub encoder: &'a Path,
    /// The file with the decoder.
    pub decoder: &'a Path,
    /// The images' `[C, H, W]`, where the encoder's shape does not tell.
    pub image: Option<[usize; 3]>,
    /// The order of an image's axes, where shapes do not tell.
    pub layout: Option<Layout>,
    /// The values of black and of white, 0 and 1 where nothing is said.
    pub range: Option<[f32; 2]>,
    /// What happens to a picture of another size.
    pub resize: Resize,
    /// What the tensors are called, where their names do not tell.
    pub names: &'a Names,
    /// Whether the decoder gives logits.
    pub logits: bool,
    /// The likelihood; where nothing is said, Bernoulli for a decoder that ends in a sigmoid over
    /// values from 0 to 1, and the squared error for others.
    pub likelihood: Option<Likelihood>,
    /// Weight of the KL term in the objective.
    pub beta: f64,
    /// Names of the classes in the training data.
    pub classes: &'a [String],
    /// Real images on which the engines are compared; none of them becomes part of the bundle.
    pub pictures: &'a [Picture],
    /// Versions of the programs that take part, by name.
    pub versions: BTreeMap<String, String>,
}

/// What the tensors of the foreign graphs are called.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The encoder's output with the posterior's mean, or with mean and spread in one.
    pub mean: Option<String>,
    /// The encoder's output with the posterior's spread.
    pub log_var: Option<String>,
    /// What that output is.
    pub spread: Option<Spread>,
    /// The decoder's input.
    pub latent: Option<String>,
    /// The decoder's output.
    pub reconstruction: Option<String>,
    /// What the encoder hands to the decoder beside the latent vector: its output, the decoder's input.
    pub skips: Vec<(String, String)>,
}

/// A bundle that was made of foreign files.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Its manifest, with the measured differences.
    pub manifest: Manifest,
    /// What was taken for what: a bundle's term, and what it was in the files.
    pub taken: Vec<(String, String)>,
    /// Why ONNX Runtime took no part, where it did not.
    pub without_onnx_runtime: Option<String>,
    /// Why the native engine took no part, where it has not the graphs' operators.
    pub without_native: Option<String>,
}

/// Writes a bundle under `folder`, made of two ONNX files.
///
/// The graphs get a bundle's names, layout and open batch axis. The files as they are run on ONNX
/// Runtime, or on tract where its library is missing, and every engine must give their answers
/// with the rewritten graphs. Only then does the bundle get its name.
///
/// # Errors
///
/// [`Error::Import`] for a file that cannot be used or does not say what its tensors are,
/// [`Error::Parity`] where an engine differs from the files, [`Error::Exists`] where something
/// stands there and `force` is not set, and the errors of reading, writing and of the engines.
/// Nothing is then written.
pub fn import(
    import: &Import<'_>,
    folder: &Path,
    force: bool,
    ort_library: Option<&Path>,
) -> Result<Imported, Error> {
    vacant(folder, force)?;
    let encoder = Source::read("encoder", import.encoder)?;
    let decoder = Source::read("decoder", import.decoder)?;
    let Import { image, layout, names, .. } = *import;
    let roles = Roles::find(&encoder, &decoder, &Question { image, layout, names })?;
    let ending = Ending::settle(&decoder, &roles, import)?;
    let image = image_spec(import, &roles)?;
    let probe = match import.pictures {
        [] => None,
        pictures => Some(image.batch(pictures)?),
    };

    let onnx_runtime = gate::onnx_runtime(ort_library)?;
    let tract = EngineOptions::new(Engine::Tract);
    let options = onnx_runtime.as_ref().unwrap_or(&tract);
    let sources = [&encoder, &decoder];
    let mut foreign = Foreign::load(sources, &roles, ending.logits, options)?;
    let encode = rewrite::encoder(&encoder, &roles)?;
    let decode = rewrite::decoder(&decoder, &roles, ending.logits)?;
    let taken = taken::list(sources, &roles, &ending, [encode.opened, decode.opened], &image);

    let made = Staged::new(folder)?;
    let parts = Parts { import, image, roles: &roles, ending: &ending, sources };
    let mut manifest = parts.write(&made, [encode, decode], &mut foreign)?;
    let bundle = Bundle::open(made.path())?;
    let native = EngineOptions::new(Engine::Native);
    let engines = [Some(&native), Some(&tract), onnx_runtime.as_ref().ok()];
    let mut without_native = None;
    for options in engines.into_iter().flatten() {
        let model = match Model::load(&bundle, options) {
            Err(error @ vae_infer::Error::Engine { .. }) if options.engine == Engine::Native => {
                without_native = Some(error.to_string());
                continue;
            }
            model => model,
        };
        let rows = model.map_err(Error::from).and_then(|mut model| {
            parity::compare(&mut foreign, &bundle, probe.as_ref(), &mut model)
        });
        manifest.parity.extend(rows.map_err(|error| blame(error, sources, &roles))?);
    }
    made.write(MANIFEST, &manifest.to_json())?;
    Bundle::open(made.path())?;
    made.publish(vacant(folder, force)?)?;
    Ok(Imported { manifest, taken, without_onnx_runtime: onnx_runtime.err(), without_native })
}

/// Says which file it is whose rewritten graph an engine gives up on.
fn blame(error: Error, sources: [&Source; 2], roles: &Roles) -> Error {
    let Error::Infer(vae_infer::Error::Graph { graph, reason }) = error else { return error };
    let [encoder, decoder] = sources;
    let (source, batch) = match graph == encoder.role {
        true => (encoder, roles.input.0.batch()),
        false => (decoder, roles.latent.batch()),
    };
    source.wrong(match batch {
        Some(size) => format!(
            "its batch axis is fixed at {size} and cannot be opened, {reason} (hint: export it with \
             a dynamic batch axis)"
        ),
        None => format!("it does not run at every batch size, {reason}"),
    })
}

fn image_spec(import: &Import<'_>, roles: &Roles) -> Result<ImageSpec, Error> {
    let [channels, height, width] = roles.image;
    let range = import.range.unwrap_or([0.0, 1.0]);
    let spec = ImageSpec::new(channels, height, width);
    let spec = ImageSpec { range, resize: import.resize, ..spec };
    spec.check().map_err(|reason| Error::Import { path: import.encoder.into(), reason })?;
    Ok(spec)
}

/// What a bundle is written from.
struct Parts<'a> {
    import: &'a Import<'a>,
    image: ImageSpec,
    roles: &'a Roles,
    ending: &'a Ending,
    sources: [&'a Source; 2],
}

impl Parts<'_> {
    /// Writes the graphs, the golden vectors and a manifest without measurements.
    fn write(
        &self,
        bundle: &Staged,
        [encoder, decoder]: [Rewritten; 2],
        foreign: &mut Foreign<'_>,
    ) -> Result<Manifest, Error> {
        let graph = |Rewritten { mut graph, .. }: Rewritten, name: &str| {
            graph.describe_model(self.import.name, &self.image);
            write_graph(bundle, name, graph)
        };
        let encoder = graph(encoder, "encoder.onnx")?;
        let decoder = graph(decoder, "decoder.onnx")?;
        let posterior = match self.roles.heads {
            Heads::Point { .. } => PosteriorKind::Point,
            Heads::Pair { .. } | Heads::Joint { .. } => PosteriorKind::Gaussian,
        };
        let sampling = posterior == PosteriorKind::Gaussian && self.roles.skips.is_empty();
        let images: Array4<f32> = match sampling {
            true => foreign.samples(golden::SAMPLE_SEED, golden::COUNT)?,
            false => golden::noise_images(&self.image, golden::COUNT),
        };
        let latent = Latent::Prior { seed: golden::LATENT_SEED };
        let recorded = foreign.record(images.view(), latent)?;
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            name: self.import.name.to_owned(),
            image: self.image.clone(),
            latent: self.roles.latent_size(),
            posterior,
            likelihood: self.ending.likelihood,
            beta: self.import.beta,
            sampling,
            classes: self.import.classes.to_vec(),
            encoder,
            decoder,
            golden: write_golden(bundle, &recorded)?,
            precision: Precision::F32,
            tolerance: Limits::of(Precision::F32).replay,
            verdicts: None,
            anomaly: None,
            parity: Vec::<Parity>::new(),
            provenance: self.provenance(),
        };
        bundle.write(MANIFEST, &manifest.to_json())?;
        Ok(manifest)
    }

    fn provenance(&self) -> Provenance {
        let mut versions = self.import.versions.clone();
        let mut sources = BTreeMap::new();
        for source in self.sources {
            let (name, version) = source.producer();
            versions.insert(format!("{} ({name})", source.role), version);
            sources.extend(source.hashes.clone());
        }
        Provenance { preset: "imported".into(), sources, versions, ..Provenance::default() }
    }
}
