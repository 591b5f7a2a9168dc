//! The options that every command takes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use vae_infer::anomaly::{Method, Scorer};
use vae_infer::selftest::{self, Stamps};
use vae_infer::tuning::{Choice, Choices, Goal};
use vae_infer::write::parent;
use vae_infer::{
    Bundle, Decoder, Encoder, Engine, EngineOptions, Error, ImageSpec, Model, Provider, Resize,
};

use super::pipeline::tensor_bytes;
use super::say::say;
use super::source::BATCH_BYTES;
use super::workers::Workers;

/// The most images that go through a model at once, fewer where they are large; results are not affected.
pub(super) const BATCH: usize = 64;

/// Draws from the posterior that give a score of little noise.
pub(super) const DRAWS: usize = 16;

/// The most memory that a result may take which is collected before it is written.
const MAX_HELD_BYTES: u64 = 8 << 30;

#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Options {
    /// The model: a bundle's folder, or the one file that `pack` made of it [default: the model
    /// inside the program, `digits` where `bundle` put no other there]
    #[arg(long, global = true, value_name = "BUNDLE")]
    pub(super) model: Option<PathBuf>,
    /// The program that runs the model; `auto` takes what `tune` chose, for one image or for many, where
    /// nothing else is asked for
    #[arg(long, global = true, value_enum, default_value_t = Engine::Auto)]
    engine: Engine,
    /// The execution provider; one asked for by name that cannot run is an error
    #[arg(long, global = true, value_enum, default_value_t = Provider::Auto)]
    ep: Provider,
    /// Number of threads that compute; as many more read images, and as many write pictures. Results of the
    /// native engine do not depend on it [default: one on every core]
    #[arg(long, global = true, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    threads: Option<usize>,
    /// ONNX Runtime's library or its folder [default: ORT_DYLIB_PATH, beside the program, the system]
    #[arg(long, global = true, value_name = "PATH")]
    ort_lib: Option<PathBuf>,
    /// The form of the lines on standard output [default: json where there is a line an image, else text]
    #[arg(long, global = true, value_enum)]
    format: Option<Format>,
    /// When a model that is loaded must first give the results that were recorded at its export
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = SelfTest::Once)]
    selftest: SelfTest,
    /// What happens to images of another size than the model's [default: as the bundle says]
    #[arg(long, global = true, value_enum)]
    resize: Option<Resize>,
    /// Write over files that exist
    #[arg(long, global = true)]
    pub(super) force: bool,
    /// Seed of what `sample` and `perturb` draw, and of --contract
    #[arg(long, global = true, default_value_t = 0)]
    pub(super) seed: u64,
}

/// The form of the lines on standard output.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// columns for people
    Text,
    /// one JSON object a line
    Json,
}

/// A model, or a part of one, that can run.
pub(super) struct Ready<T> {
    pub(super) model: T,
    /// The most images that go through it at once.
    pub(super) batch: usize,
}

impl<T: Send> Ready<T> {
    /// Workers for about so many images of a size, as by [`Workers::new`].
    pub(super) fn workers(
        self,
        per_thread: impl FnOnce(&T) -> Vec<T>,
        images: usize,
        spec: &ImageSpec,
    ) -> Workers<T> {
        let Self { model, batch } = self;
        Workers::new(model, per_thread, batch, images, tensor_bytes(spec))
    }
}

/// When a model's golden vectors are replayed on loading it.
#[derive(Clone, Copy, ValueEnum)]
enum SelfTest {
    /// once on a machine for each model and engine; that it passed is kept in the user's cache
    Once,
    /// each time
    Always,
    /// never
    Off,
}

impl Options {
    pub(super) fn bundle(&self) -> Result<Bundle> {
        self.bundle_at(None)
    }

    /// The model of a command that may name it by its place.
    pub(super) fn bundle_at(&self, place: Option<&Path>) -> Result<Bundle> {
        if let (Some(place), Some(_)) = (place, &self.model) {
            bail!("the model is named twice: `{}`, and by --model", place.display());
        }
        if let Some(path) = place.or(self.model.as_deref()) {
            return Ok(Bundle::open(path)?);
        }
        match Bundle::of_program() {
            Ok(None) => {}
            Ok(Some(bundle)) => return Ok(bundle),
            Err(error @ Error::Read { .. }) => {
                return Err(error).context("no model was named (hint: --model BUNDLE)");
            }
            Err(error) => return Err(error.into()),
        }
        #[cfg(feature = "embedded")]
        return Ok(Bundle::embedded());
        #[cfg(not(feature = "embedded"))]
        bail!("this program has no built-in model (hint: --model BUNDLE)")
    }

    /// The path of the model, where one was given.
    pub(super) fn model(&self) -> Option<&Path> {
        self.model.as_deref()
    }

    /// The files that a model is read from, and this program, which may hold one: none of them is an output.
    pub(super) fn read_for(&self, bundle: &Bundle) -> Vec<PathBuf> {
        let place = bundle.source();
        let files = bundle.files().into_iter().map(|(name, _)| place.join(name));
        files.chain([place.to_owned()]).chain(std::env::current_exe().ok()).collect()
    }

    pub(super) fn engine(&self) -> EngineOptions {
        EngineOptions {
            engine: self.engine,
            provider: self.ep,
            threads: self.threads.unwrap_or(0),
            ort_library: self.ort_lib.clone(),
        }
    }

    /// The engine for a bundle.
    fn engine_for(&self, bundle: &Bundle) -> EngineOptions {
        self.engine().suited_to(bundle.manifest.precision)
    }

    /// What `tune` chose for a bundle, where no engine, provider or number of threads is asked for.
    pub(super) fn tuned(&self, bundle: &Bundle) -> BTreeMap<Goal, Choice> {
        let EngineOptions { engine, provider, threads, .. } = self.engine();
        let auto = engine == Engine::Auto && provider == Provider::Auto && threads == 0;
        if auto { Choices::of_user().get(bundle) } else { BTreeMap::new() }
    }

    /// What `load` makes of a bundle by what `tune` chose for a goal, or else by the engine for it. A choice
    /// that does not work any more is named and passed over.
    pub(super) fn prepare<T>(
        &self,
        bundle: &Bundle,
        goal: Goal,
        load: impl Fn(&EngineOptions) -> Result<T, Error>,
    ) -> Result<Ready<T>> {
        let most = BATCH.min(BATCH_BYTES / tensor_bytes(&bundle.manifest.image)).max(1);
        if let Some(choice) = self.tuned(bundle).remove(&goal) {
            match choice.options(self.engine()).and_then(|options| load(&options)) {
                Err(error @ (Error::Engine { .. } | Error::Graph { .. })) => {
                    say(format!("passing over what `tune` chose (tune --forget): {error}"));
                }
                settled => return Ok(Ready { model: settled?, batch: choice.batch.min(most) }),
            }
        }
        match load(&self.engine_for(bundle)) {
            Err(error @ Error::Graph { .. }) => {
                Err(error).with_context(|| format!("`{}`", bundle.source().display()))
            }
            other => Ok(Ready { model: other?, batch: most }),
        }
    }

    /// A model that has passed its self-test.
    pub(super) fn load(&self, bundle: &Bundle, goal: Goal) -> Result<Ready<Model>> {
        self.prepare(bundle, goal, |options| {
            self.tested(bundle, options, Model::load(bundle, options)?)
        })
    }

    /// A model that is to be described, or compared with another one.
    pub(super) fn untested(&self, bundle: &Bundle, goal: Goal) -> Result<Ready<Model>> {
        self.prepare(bundle, goal, |options| Model::load(bundle, options))
    }

    /// A model that has passed its self-test, and scores by a method.
    pub(super) fn scorer(
        &self,
        bundle: &Bundle,
        goal: Goal,
        method: Method,
        draws: usize,
    ) -> Result<Ready<Scorer>> {
        let load = if method.looks_inside() { Model::load_with_layers } else { Model::load };
        let Ready { model, batch } = self.prepare(bundle, goal, |options| {
            self.tested(bundle, options, load(bundle, options)?)
        })?;
        Ok(Ready { model: Scorer::new(bundle, model, method, draws)?, batch })
    }

    /// An encoder that has passed its self-test.
    pub(super) fn encoder(&self, bundle: &Bundle, goal: Goal) -> Result<Ready<Encoder>> {
        self.prepare(bundle, goal, |options| {
            let mut encoder = Encoder::load(bundle, options)?;
            if let Some(stamps) = self.selftest() {
                selftest::encoder(&mut encoder, bundle, options, &stamps)?;
            }
            Ok(encoder)
        })
    }

    /// A decoder that has passed its self-test.
    pub(super) fn decoder(&self, bundle: &Bundle, goal: Goal) -> Result<Ready<Decoder>> {
        self.prepare(bundle, goal, |options| {
            let mut decoder = Decoder::load(bundle, options)?;
            if let Some(stamps) = self.selftest() {
                selftest::decoder(&mut decoder, bundle, options, &stamps)?;
            }
            Ok(decoder)
        })
    }

    fn tested(
        &self,
        bundle: &Bundle,
        options: &EngineOptions,
        mut model: Model,
    ) -> Result<Model, Error> {
        if let Some(stamps) = self.selftest() {
            selftest::model(&mut model, bundle, options, &stamps)?;
        }
        Ok(model)
    }

    /// Where passed self-tests are remembered; none where there is no self-test.
    pub(super) fn selftest(&self) -> Option<Stamps> {
        match self.selftest {
            SelfTest::Once => Some(Stamps::of_user()),
            SelfTest::Always => Some(Stamps::none()),
            SelfTest::Off => None,
        }
    }

    /// The images that a bundle's model takes, under the policy that was asked for.
    pub(super) fn image(&self, bundle: &Bundle) -> ImageSpec {
        let mut image = bundle.manifest.image.clone();
        image.resize = self.resize.unwrap_or(image.resize);
        image
    }

    /// Tells a fresh process of this program the model, how to run it, and when to test it.
    pub(super) fn tell(&self, process: &mut Command, place: Option<&Path>) {
        process.args(["--engine", &self.engine.to_string(), "--ep", &self.ep.to_string()]);
        if let Some(threads) = self.threads {
            process.args(["--threads", &threads.to_string()]);
        }
        let paths = [("--model=", place.or(self.model())), ("--ort-lib=", self.ort_lib.as_deref())];
        for (option, path) in paths.into_iter().filter_map(|(option, path)| Some((option, path?))) {
            let mut argument = OsString::from(option);
            argument.push(path);
            process.arg(argument);
        }
        if let Some(when) = self.selftest.to_possible_value() {
            process.args(["--selftest", when.get_name()]);
        }
    }

    /// The policy for images of another size that was asked for.
    pub(super) fn resize(&self) -> Option<Resize> {
        self.resize
    }

    pub(super) fn format(&self, default: Format) -> Format {
        self.format.unwrap_or(default)
    }
}

/// Refuses a result of so many `f32` values that is collected in memory, where it is surely a mistake.
pub(super) fn affordable(values: Option<usize>) -> Result<()> {
    if bytes(values) > MAX_HELD_BYTES {
        let most = MAX_HELD_BYTES >> 30;
        bail!(
            "the result would take more than {most} GiB (hint: -o FILE.npy is written image by image)"
        );
    }
    Ok(())
}

/// Refuses a file of so many `f32` values where there is no room for it.
pub(super) fn storable(path: &Path, values: Option<usize>) -> Result<()> {
    let folder = parent(path);
    let (bytes, path) = (bytes(values), path.display());
    if bytes > i64::MAX as u64 {
        bail!("cannot write `{path}`: no file is that long (hint: fewer images)");
    }
    // A file system that cannot tell, or tells that it has no size, does not refuse.
    match fs4::statvfs(folder) {
        Ok(disk) if disk.total_space() > 0 && bytes > disk.available_space() => bail!(
            "cannot write `{path}`: it would take {} MiB, and {} MiB are free there (hint: fewer images)",
            bytes.div_ceil(1 << 20),
            disk.available_space() >> 20
        ),
        _ => Ok(()),
    }
}

fn bytes(values: Option<usize>) -> u64 {
    values.and_then(|n| (n as u64).checked_mul(size_of::<f32>() as u64)).unwrap_or(u64::MAX)
}

/// Parses a number that scales noise: finite and not negative.
pub(super) fn scale(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        Ok(value) => Err(format!("{value} is not a finite number of at least 0")),
        Err(error) => Err(error.to_string()),
    }
}
