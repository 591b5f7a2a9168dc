mod folder;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use ndarray::{Array4, ArrayView3, ArrayView4, Axis};
use serde::Serialize;
use vae_infer::engine::Backend;
use vae_infer::{ImageSpec, score};

use super::inputs::{Inputs, Item};
use super::lines::Lines;
use super::options::{Format, Options};
use super::output::{self, Kind, Results, Target};
use super::pictures;
use folder::Folder;

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
        let mut sink = match &self.output {
            Some(path) => Sink::open(Target::of(path)?, self.side_by_side, options, &inputs)?,
            None => Sink::Nothing,
        };
        let format = options.format(Format::Json);
        let mut lines = match sink {
            Sink::Whole { target: Target::Stdout(_), .. } => Lines::none(format),
            _ => Lines::new(format),
        };

        let pipeline = inputs.pipeline(Some(&spec), options)?;
        let mut model = options.load(&bundle)?;
        for items in pipeline.batches() {
            let items = items?.into_iter().map(|Item { picture, stem }| (picture, stem));
            let (pictures, stems): (Vec<_>, Vec<_>) = items.unzip();
            let images = spec.batch(&pictures)?;
            let reconstruction = model.reconstruct(images.view())?;
            let scores = score(bundle.manifest.likelihood, images.view(), &reconstruction)?;
            for (i, (picture, stem)) in pictures.iter().zip(&stems).enumerate() {
                let original = images.index_axis(Axis(0), i);
                sink.take(&spec, stem, original, reconstruction.images.index_axis(Axis(0), i))?;
                Line::new(&picture.name, &scores[i], model.decoder.backend()).print(&mut lines)?;
            }
            if !lines.wanted() && matches!(sink, Sink::Nothing) {
                break;
            }
        }
        sink.close(&spec)?;
        lines.flush()
    }
}

/// Where reconstructions go.
enum Sink {
    Nothing,
    /// One file, or standard output.
    Whole {
        target: Target,
        side_by_side: bool,
        values: Vec<f32>,
        count: usize,
    },
    Folder(Folder),
}

impl Sink {
    fn open(
        target: Target,
        side_by_side: bool,
        options: &Options,
        inputs: &Inputs,
    ) -> Result<Self> {
        let force = options.force;
        if side_by_side && target.kind() == Kind::Npy {
            bail!("--side-by-side draws pictures, not arrays (hint: -o X.png or -o FOLDER)");
        }
        match target {
            Target::Folder(folder) => {
                Ok(Self::Folder(Folder::open(folder, side_by_side, options, inputs)?))
            }
            target => {
                if let Some(path) = target.path() {
                    output::check(path, force, inputs.paths())?;
                }
                if target.kind() == Kind::Png && inputs.paths().nth(1).is_some() {
                    bail!(
                        "a .png holds one image, and there are more (hint: -o FOLDER or -o X.npy)"
                    );
                }
                Ok(Self::Whole { target, side_by_side, values: Vec::new(), count: 0 })
            }
        }
    }

    fn take(
        &mut self,
        spec: &ImageSpec,
        stem: &Path,
        original: ArrayView3<f32>,
        decoded: ArrayView3<f32>,
    ) -> Result<()> {
        match self {
            Self::Nothing => {}
            Self::Whole { target, side_by_side, values, count } => {
                *count += 1;
                if target.kind() == Kind::Png && *count > 1 {
                    bail!(
                        "a .png holds one image, and there are more (hint: -o FOLDER or -o X.npy)"
                    );
                }
                if *side_by_side {
                    values.extend(original.iter());
                }
                values.extend(decoded.iter());
            }
            Self::Folder(folder) => folder.take(spec, stem, original, decoded)?,
        }
        Ok(())
    }

    fn close(self, spec: &ImageSpec) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Whole { target, side_by_side, values, count } => {
                let count = if side_by_side { 2 * count } else { count };
                let [channels, height, width] = spec.shape();
                let images = Array4::from_shape_vec((count, channels, height, width), values)?;
                let bytes = content(spec, target.kind(), images.view())?;
                let mut results = Results::default();
                results.add(&target, bytes);
                results.write()
            }
            Self::Folder(folder) => folder.publish(),
        }
    }
}

fn content(spec: &ImageSpec, kind: Kind, images: ArrayView4<f32>) -> Result<Vec<u8>> {
    match kind {
        Kind::Npy => Ok(pictures::images_npy(spec, images)),
        Kind::Png => pictures::row_png(spec, images),
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
    fn new(name: &'a str, score: &vae_infer::Score, backend: &Backend) -> Self {
        let vae_infer::Score { mse, nll, kl, elbo } = *score;
        Self { name, mse, nll, kl, elbo, engine: backend.to_string() }
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
