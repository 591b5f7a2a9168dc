use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::iter::repeat_n;
use std::mem;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use ndarray::{Array1, Array2, Array4, Axis, concatenate};
use vae_infer::images::{self, Picture};
use vae_infer::manifest::PosteriorKind;
use vae_infer::npy::{self, Rows};
use vae_infer::tuning::Goal;
use vae_infer::{Bundle, Encoding, Error, ImageSpec, Model, Posterior, noise};

use super::ids::Ids;
use super::inputs::{Inputs, read_once};
use super::options::{Options, scale};
use super::output::{self, NpyPath, Target};
use super::pictures::Sheet;
use super::results::{Images, Results};

/// Make noisy variants of images by way of their latent vectors
///
/// Every chosen image is encoded, and decoded from as many noisy latent vectors as there are
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
    #[arg(long, default_value_t = 1.0, value_parser = scale, allow_negative_numbers = true)]
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
        read_once(inputs.paths().chain(self.labels.as_deref()))?;
        let labels_path = self.out_labels.as_ref().map(|path| path.0.as_path());
        let paths: Vec<_> = target.path().into_iter().chain(labels_path).collect();
        output::distinct(&paths)?;
        for path in paths {
            let labels = self.labels.as_deref();
            output::check(path, options.force, inputs.paths().chain(labels))?;
        }

        let spec = options.image(&bundle);
        let labels = self.labels.as_deref().map(Labels::read).transpose()?;
        let fits = |count| {
            self.ids.as_ref().map_or(Ok(()), |ids| ids.check(count))?;
            labels.as_ref().map_or(Ok(()), |labels| labels.check(count))
        };
        inputs.count.known().map_or(Ok(()), fits)?;
        let is_wanted = |id| self.ids.as_ref().is_none_or(|ids| ids.contains(id));
        let least = inputs.count.least;
        let least = self.ids.as_ref().map_or(least, |ids| ids.below(least)).max(1);
        let variants = least.saturating_mul(self.copies);
        let mut results = Results::new(options.force)?;
        let mut images = Images::open(target, Sheet::Grid, &spec, variants)?;
        let mut rows = labels_path.map(|path| Rows::create(path, &[])).transpose()?;
        let wanted = |id| match &labels {
            Some(labels) if id >= labels.of.len() => {
                bail!("{labels}, and there are more images")
            }
            _ => Ok(is_wanted(id)),
        };

        let pipeline = inputs.pipeline(Some(&spec), options)?;
        let goal = if self.copies > 1 { Goal::Throughput } else { inputs.goal() };
        let workers = options.load(&bundle, goal)?.workers(Model::per_thread, variants, &spec);
        let mut count = 0;
        let chosen = pipeline.images().filter_map(|item| {
            let id = count;
            count += usize::from(item.is_ok());
            item.and_then(|item| Ok(wanted(id)?.then_some((id, item.picture)))).transpose()
        });
        let shares = shares(chosen, self.copies, workers.most);
        let vary = |model: &mut Model, share: Share| {
            share.vary(model, &spec, noise, self.sigma, options.seed)
        };
        workers.run(shares, vary, |(ids, variants)| {
            images.take(variants.view())?;
            if let (Some(labels), Some(rows)) = (&labels, &mut rows) {
                rows.add(ids.mapv(|id| labels.of[id]).view())?;
            }
            Ok(true)
        })?;

        fits(count)?;
        rows.map_or(Ok(()), |rows| results.add_rows(rows))?;
        images.close(&mut results)?;
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
    of: Vec<i64>,
}

impl Labels {
    fn read(path: &Path) -> Result<Self> {
        let (name, bytes) = images::content(path)?;
        let of = npy::labels(&name, &bytes)?;
        Ok(Self { name, of })
    }

    /// Refuses another number of images.
    fn check(&self, count: usize) -> Result<()> {
        if self.of.len() != count {
            bail!("{self} for {count} images");
        }
        Ok(())
    }
}

impl Display for Labels {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "`{}` holds {} labels", self.name, self.of.len())
    }
}

/// Images with their indices, and some of their copies: variants that are made together.
struct Share {
    chosen: Vec<(usize, Picture)>,
    copies: Range<usize>,
}

/// The variants of images in order, at most so many together.
fn shares(
    mut images: impl Iterator<Item = Result<(usize, Picture)>> + Send,
    copies: usize,
    most: usize,
) -> impl Iterator<Item = Result<Share>> + Send {
    let (mut chosen, mut made) = (vec![], copies);
    std::iter::from_fn(move || {
        if made == copies {
            let next = images.by_ref().take((most / copies).max(1));
            match next.collect::<Result<Vec<_>>>() {
                Ok(next) if next.is_empty() => return None,
                Ok(next) => (chosen, made) = (next, 0),
                Err(error) => return Some(Err(error)),
            }
        }
        let begun = made;
        made = copies.min(made + most);
        let chosen = if made == copies { mem::take(&mut chosen) } else { chosen.clone() };
        Some(Ok(Share { chosen, copies: begun..made }))
    })
}

impl Share {
    /// The variants, `[B, C, H, W]`, and the index of the image that each is made of.
    fn vary(
        self,
        model: &mut Model,
        spec: &ImageSpec,
        noise: Noise,
        sigma: f32,
        seed: u64,
    ) -> Result<(Array1<usize>, Array4<f32>)> {
        let Self { chosen, copies } = self;
        let encoding =
            model.encode(spec.batch(chosen.iter().map(|(_, picture)| picture))?.view())?;
        let rows: Vec<_> = (0..chosen.len()).flat_map(|row| repeat_n(row, copies.len())).collect();
        let repeated = repeat(&encoding, &rows);
        let posterior = match noise {
            Noise::Posterior => repeated.posterior,
            Noise::Latent => Posterior { log_var: None, ..repeated.posterior },
        };
        let latent = posterior.mean.ncols();
        let epsilon = chosen.iter().map(|&(id, _)| epsilon(seed, id, &copies, latent));
        let epsilon = epsilon.collect::<Result<Vec<_>>>()?;
        let epsilon: Vec<_> = epsilon.iter().map(|rows| rows.view()).collect();
        let latents = posterior.draw(&concatenate(Axis(0), &epsilon)?, sigma)?;
        let variants = model.decode(latents.view(), &repeated.skips)?;
        Ok((rows.iter().map(|&row| chosen[row].0).collect(), variants))
    }
}

/// Rows of an encoding, each as often as it is named.
fn repeat(encoding: &Encoding, rows: &[usize]) -> Encoding {
    Encoding {
        posterior: Posterior {
            mean: encoding.posterior.mean.select(Axis(0), rows),
            log_var: encoding.posterior.log_var.as_ref().map(|l| l.select(Axis(0), rows)),
        },
        skips: encoding.skips.iter().map(|skip| skip.select(Axis(0), rows)).collect(),
        layers: vec![],
    }
}

/// The noise of an image's copies, `[copies, Z]`: every image has 2^32 streams of its own.
fn epsilon(seed: u64, id: usize, copies: &Range<usize>, latent: usize) -> Result<Array2<f32>> {
    let id = u32::try_from(id).context("an index is below 2^32")?;
    let first = u64::from(id) << 32 | copies.start as u64;
    Ok(noise::standard_normal(seed, first, copies.len(), latent))
}
