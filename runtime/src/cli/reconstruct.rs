mod folder;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use ndarray::{Array4, ArrayView3, Axis};
use serde::Serialize;
use vae_infer::engine::Backends;
use vae_infer::manifest::Likelihood;
use vae_infer::{ImageSpec, Model, Score, score};

use super::inputs::{Inputs, Item};
use super::lines::Lines;
use super::options::{Format, Options};
use super::output::{self, Kind, Target};
use super::pictures::Sheet;
use super::results::{Images, Results};
use folder::Folder;

/// What is wrong with a picture of several images.
const MORE: &str = "a .png holds one image, and there are more (hint: -o FOLDER or -o X.npy)";

/// Encode images and decode them again, and say how far the result is
///
/// Nothing is drawn: the mean of the posterior is decoded.
#[derive(Args)]
pub(super) struct Reconstruct {
    /// Images, folders of images, .npy arrays, or - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// X.png for one image, a folder for one PNG an image, X.npy for an array [N, H, W, C];
    /// - is standard output as .npy, png:- as PNG
    #[arg(short, long, value_name = "OUT")]
    output: Option<OsString>,
    /// Draw each original, as the model sees it, beside its reconstruction
    #[arg(long, requires = "output")]
    side_by_side: bool,
}

impl Reconstruct {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let spec = options.image(&bundle);
        let inputs = Inputs::find(&self.images)?;
        let target = self.output.as_deref().map(Target::of).transpose()?;
        let format = options.format(Format::Json);
        let mut lines = match target {
            Some(Target::Stdout(_)) => Lines::none(format),
            _ => Lines::new(format),
        };
        let mut sink = match target {
            Some(target) => Sink::open(target, self.side_by_side, &spec, options, &inputs)?,
            None => Sink::Nothing,
        };

        let pipeline = inputs.pipeline(Some(&spec), options)?;
        let ready = options.load(&bundle, inputs.goal())?;
        let backends = ready.model.backends();
        let workers = ready.workers(Model::per_thread, pipeline.about, &spec);
        let batches = pipeline.batches(workers.most);
        let reconstruct = |model: &mut Model, items| {
            Reconstructed::of(items, model, &spec, bundle.manifest.likelihood)
        };
        workers.run(batches, reconstruct, |batch| {
            let Reconstructed { items, images, reconstructions, scores } = batch;
            let drawn = images.outer_iter().zip(reconstructions.outer_iter());
            for ((Item { picture, stem }, score), (image, drawn)) in
                items.iter().zip(&scores).zip(drawn)
            {
                sink.take(&spec, stem, image, drawn)?;
                Line::new(&picture.name, score, backends).print(&mut lines)?;
            }
            Ok(lines.wanted() || !matches!(sink, Sink::Nothing))
        })?;
        sink.close()?;
        lines.flush()
    }
}

/// A batch of images that were reconstructed.
struct Reconstructed {
    items: Vec<Item>,
    /// `[B, C, H, W]`, as the reconstructions are.
    images: Array4<f32>,
    reconstructions: Array4<f32>,
    scores: Vec<Score>,
}

impl Reconstructed {
    fn of(
        items: Vec<Item>,
        model: &mut Model,
        spec: &ImageSpec,
        likelihood: Likelihood,
    ) -> Result<Self> {
        let images = spec.batch(items.iter().map(|item| &item.picture))?;
        let reconstruction = model.reconstruct(images.view())?;
        let scores = score(likelihood, images.view(), &reconstruction)?;
        Ok(Self { items, images, reconstructions: reconstruction.images, scores })
    }
}

/// Where reconstructions go.
enum Sink {
    Nothing,
    /// One file, or standard output, and the images that it has room for.
    Whole {
        results: Results,
        images: Images,
        room: usize,
        side_by_side: bool,
    },
    Folder(Folder),
}

impl Sink {
    fn open(
        target: Target,
        side_by_side: bool,
        spec: &ImageSpec,
        options: &Options,
        inputs: &Inputs,
    ) -> Result<Self> {
        if side_by_side && target.kind() == Kind::Npy {
            bail!("--side-by-side draws pictures, not arrays (hint: -o X.png or -o FOLDER)");
        }
        let target = match target {
            Target::Folder(folder) => {
                return Ok(Self::Folder(Folder::open(folder, side_by_side, options, inputs)?));
            }
            target => target,
        };
        if let Some(path) = target.path() {
            output::check(path, options.force, inputs.paths())?;
        }
        let room = if target.kind() == Kind::Png { 1 } else { usize::MAX };
        if inputs.count.least > room {
            bail!("{MORE}");
        }
        let results = Results::new(options.force)?;
        let images = Images::open(target, Sheet::Row, spec, inputs.count.least)?;
        Ok(Self::Whole { results, images, room, side_by_side })
    }

    fn take(
        &mut self,
        spec: &ImageSpec,
        stem: &Path,
        original: ArrayView3<f32>,
        decoded: ArrayView3<f32>,
    ) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Whole { images, room, side_by_side, .. } => {
                *room = room.checked_sub(1).context(MORE)?;
                if *side_by_side {
                    images.take(original.insert_axis(Axis(0)))?;
                }
                images.take(decoded.insert_axis(Axis(0)))
            }
            Self::Folder(folder) => folder.take(spec, stem, original, decoded),
        }
    }

    fn close(self) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Whole { mut results, images, .. } => {
                images.close(&mut results)?;
                results.write()
            }
            Self::Folder(folder) => folder.publish(),
        }
    }
}

/// The line that an image gets.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    mse: f64,
    nll: Option<f64>,
    kl: Option<f64>,
    elbo: Option<f64>,
    engine: String,
}

impl<'a> Line<'a> {
    fn new(name: &'a str, score: &Score, backends: Backends) -> Self {
        let Score { mse, nll, kl, elbo } = *score;
        Self { name, mse, nll, kl, elbo, engine: backends.to_string() }
    }

    fn print(&self, lines: &mut Lines) -> Result<()> {
        lines.print(self, |line| {
            let number = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.3}"));
            let [nll, kl, elbo] = [line.nll, line.kl, line.elbo].map(number);
            let mse = line.mse;
            format!("mse {mse:.6}  nll {nll:>9}  kl {kl:>8}  elbo {elbo:>10}  {}", line.name)
        })
    }
}
