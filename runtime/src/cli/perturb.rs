use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use ndarray::{Array1, Array2, Axis};
use vae_infer::images::{self, Picture};
use vae_infer::manifest::PosteriorKind;
use vae_infer::npy::{self, Rows};
use vae_infer::tuning::Goal;
use vae_infer::{Bundle, Encoding, Error, ImageSpec, Model, Posterior, noise};

use super::ids::Ids;
use super::inputs::Inputs;
use super::options::{Options, Ready, scale};
use super::output::{self, NpyPath, Target};
use super::pictures;
use super::results::{Images, Results};

/// Make noisy variants of images by way of their latent vectors
///
/// Every chosen image is encoded once and decoded from as many noisy latent vectors as there are
/// copies. The result has the copies of the first image, then those of the second, and so on; the
/// noise of a copy depends on the seed, the image's index and the copy's number alone.
#[derive(Args)]
pub(super) struct Perturb {
    /// A .npy array of images, image files, a folder of images, or - for standard input
    #[arg(required = true, value_name = "INPUT")]
    images: Vec<PathBuf>,
    /// Indices of images counted from 0, as 1-5,226-230, ends included [default: all]
    #[arg(long, value_name = "IDS")]
    ids: Option<Ids>,
    /// Variants of each image
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = RangedU64ValueParser::<usize>::new().range(1..=u64::from(u32::MAX)))]
    copies: usize,
    /// Scale of the noise
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    sigma: f32,
    /// The spread of the noise [default: posterior, latent for a plain autoencoder]
    #[arg(long, value_enum)]
    noise: Option<Noise>,
    /// A .npy array with the label of every input image
    #[arg(long, value_name = "L.npy", requires = "out_labels")]
    labels: Option<PathBuf>,
    /// X.npy for an array [N, H, W, C], X.png for a grid; - is standard output as .npy, png:- as PNG
    #[arg(short, long, value_name = "OUT")]
    output: OsString,
    /// Write the label of every variant, as i64
    #[arg(long, value_name = "X.npy", requires = "labels")]
    out_labels: Option<NpyPath>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Noise {
    /// the posterior's own standard deviations, times sigma
    Posterior,
    /// sigma in every latent dimension
    Latent,
}

impl Perturb {
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let bundle = options.bundle()?;
        let noise = self.noise(&bundle)?;
        let target = Target::file(&self.output)?;
        let inputs = Inputs::find(&self.images)?;
        let labels_path = self.out_labels.as_ref().map(|path| path.0.as_path());
        let paths: Vec<_> = target.path().into_iter().chain(labels_path).collect();
        output::distinct(&paths)?;
        for path in paths {
            let labels = self.labels.as_deref();
            output::check(path, options.force, inputs.paths().chain(labels))?;
        }

        let spec = options.image(&bundle);
        let labels = self.labels.as_deref().map(Labels::read).transpose()?;
        let mut results = Results::new()?;
        let images = Images::open(target, pictures::grid_png, &spec, self.copies)?;
        let labels = match (labels, labels_path) {
            (Some(labels), Some(path)) => Some((labels, Rows::create(path, &[])?)),
            _ => None,
        };
        let pipeline = inputs.pipeline(Some(&spec), options)?;
        let goal = if self.copies > 1 { Goal::Throughput } else { inputs.goal() };
        let Ready { model, batch } = options.load(&bundle, goal)?;
        let seed = options.seed;
        let mut variants =
            Variants { asked: self, spec, model, batch, noise, seed, images, labels };

        let (mut chosen, mut count) = (Vec::with_capacity(batch), 0);
        for items in pipeline.batches(batch) {
            for item in items? {
                if variants.wanted(count) {
                    chosen.push((count, item.picture));
                }
                count += 1;
                if chosen.len() == batch {
                    variants.add(&mut chosen)?;
                }
            }
        }
        variants.add(&mut chosen)?;
        if let Some(ids) = &self.ids {
            ids.check(count)?;
        }
        variants.close(count, &mut results)?;
        results.write()
    }

    fn noise(&self, bundle: &Bundle) -> Result<Noise> {
        match (self.noise, bundle.manifest.posterior) {
            (Some(Noise::Posterior), PosteriorKind::Point) => {
                let model = bundle.manifest.name.clone();
                let reason = "it is a plain autoencoder, use --noise latent".into();
                Err(Error::Unsupported { model, operation: "draw from a posterior", reason }.into())
            }
            (Some(noise), _) => Ok(noise),
            (None, PosteriorKind::Gaussian) => Ok(Noise::Posterior),
            (None, PosteriorKind::Point) => Ok(Noise::Latent),
        }
    }
}

/// The label of every input image.
struct Labels {
    name: String,
    labels: Vec<i64>,
}

impl Labels {
    fn read(path: &Path) -> Result<Self> {
        let (name, bytes) = images::content(path)?;
        let labels = npy::labels(&name, &bytes)?;
        Ok(Self { name, labels })
    }
}

/// Variants that are being made.
struct Variants<'a> {
    asked: &'a Perturb,
    spec: ImageSpec,
    model: Model,
    /// The most images that go through the model at once.
    batch: usize,
    noise: Noise,
    seed: u64,
    images: Images,
    /// Where labels are wanted, with the file of those of the variants.
    labels: Option<(Labels, Rows<i64>)>,
}

impl Variants<'_> {
    /// Whether an image is varied. One that has no label need not be: there will be no result.
    fn wanted(&self, id: usize) -> bool {
        self.asked.ids.as_ref().is_none_or(|ids| ids.contains(id))
            && self.labels.as_ref().is_none_or(|(labels, _)| id < labels.labels.len())
    }

    /// Adds the variants of images that have these indices among all.
    fn add(&mut self, chosen: &mut Vec<(usize, Picture)>) -> Result<()> {
        if chosen.is_empty() {
            return Ok(());
        }
        let (ids, pictures): (Vec<_>, Vec<_>) = chosen.drain(..).unzip();
        let encoding = self.model.encode(self.spec.batch(&pictures)?.view())?;
        for (row, id) in ids.into_iter().enumerate() {
            for copy in (0..self.asked.copies).step_by(self.batch) {
                let copies = self.batch.min(self.asked.copies - copy);
                let repeated = repeat(&encoding, row, copies);
                let posterior = match self.noise {
                    Noise::Posterior => repeated.posterior,
                    Noise::Latent => Posterior { log_var: None, ..repeated.posterior },
                };
                let epsilon = epsilon(self.seed, id, copy, copies, posterior.mean.ncols())?;
                let latents = posterior.draw(&epsilon, self.asked.sigma)?;
                self.images.take(self.model.decode(latents.view(), &repeated.skips)?.view())?;
                if let Some((labels, rows)) = &mut self.labels {
                    rows.add(Array1::from_elem(copies, labels.labels[id]).view())?;
                }
            }
        }
        Ok(())
    }

    /// Adds the results, when so many images have come.
    fn close(self, count: usize, results: &mut Results) -> Result<()> {
        if let Some((Labels { name, labels }, rows)) = self.labels {
            if labels.len() != count {
                bail!("`{name}` holds {} labels for {count} images", labels.len());
            }
            results.add_rows(rows)?;
        }
        self.images.close(results)
    }
}

/// One image's encoding, as often as there are copies.
fn repeat(encoding: &Encoding, row: usize, copies: usize) -> Encoding {
    let rows = vec![row; copies];
    Encoding {
        posterior: Posterior {
            mean: encoding.posterior.mean.select(Axis(0), &rows),
            log_var: encoding.posterior.log_var.as_ref().map(|l| l.select(Axis(0), &rows)),
        },
        skips: encoding.skips.iter().map(|skip| skip.select(Axis(0), &rows)).collect(),
        layers: vec![],
    }
}

/// The noise of an image's copies, `[copies, Z]`: every image has 2^32 streams of its own.
fn epsilon(seed: u64, id: usize, copy: usize, copies: usize, latent: usize) -> Result<Array2<f32>> {
    let id = u32::try_from(id).context("an index is below 2^32")?;
    Ok(noise::standard_normal(seed, u64::from(id) << 32 | copy as u64, copies, latent))
}
