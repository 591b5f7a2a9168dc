use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use ndarray::{Array1, Array2, Array4, Axis, Slice};
use vae_infer::manifest::PosteriorKind;
use vae_infer::{Bundle, Encoding, Error, Model, Posterior, images, noise, npy};

use super::ids::Ids;
use super::inputs::Inputs;
use super::options::{BATCH, Options, affordable, scale};
use super::output::{self, NpyPath, Results, Target};

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

        let (chosen, count) = self.read(options, &bundle, &inputs)?;
        let labels = self.labels(&chosen, count)?;
        let mut model = options.load(&bundle)?;
        let perturbed = self.perturb(&mut model, &bundle, &chosen, noise, options.seed)?;

        let mut results = Results::default();
        results.add(&target, super::decode::grid(&bundle.manifest.image, &target, &perturbed)?);
        if let (Some(path), Some(labels)) = (labels_path, labels) {
            results.add_file(path, npy::encode(&labels));
        }
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

    /// The chosen images and the number of all.
    fn read(&self, options: &Options, bundle: &Bundle, inputs: &Inputs) -> Result<(Chosen, usize)> {
        let spec = options.image(bundle);
        let (mut pixels, mut ids, mut count) = (Vec::new(), Vec::new(), 0);
        for items in inputs.pipeline(Some(&spec), options)?.batches() {
            for item in items? {
                if self.ids.as_ref().is_none_or(|ids| ids.contains(count)) {
                    pixels.extend(spec.tensor(&item.picture)?);
                    ids.push(count);
                }
                count += 1;
            }
        }
        if let Some(ids) = &self.ids {
            ids.check(count)?;
        }
        let [channels, height, width] = spec.shape();
        let images = Array4::from_shape_vec((ids.len(), channels, height, width), pixels)?;
        let all = ids.len().checked_mul(self.copies);
        affordable(all.and_then(|n| n.checked_mul(channels * height * width)))?;
        Ok((Chosen { ids, images }, count))
    }

    fn labels(&self, chosen: &Chosen, count: usize) -> Result<Option<Array1<i64>>> {
        let Some(path) = &self.labels else { return Ok(None) };
        let (name, bytes) = images::content(path)?;
        let labels = npy::labels(&name, &bytes)?;
        if labels.len() != count {
            bail!("`{name}` holds {} labels for {count} images", labels.len());
        }
        let repeated =
            chosen.ids.iter().flat_map(|&id| std::iter::repeat_n(labels[id], self.copies));
        Ok(Some(repeated.collect()))
    }

    fn perturb(
        &self,
        model: &mut Model,
        bundle: &Bundle,
        chosen: &Chosen,
        noise: Noise,
        seed: u64,
    ) -> Result<Array4<f32>> {
        let (_, channels, height, width) = chosen.images.dim();
        let count = chosen.ids.len() * self.copies;
        let mut perturbed = Array4::zeros((count, channels, height, width));
        for first in (0..chosen.ids.len()).step_by(BATCH) {
            let range = Slice::from(first..chosen.ids.len().min(first + BATCH));
            let encoding = model.encode(chosen.images.slice_axis(Axis(0), range))?;
            for row in 0..encoding.posterior.mean.nrows() {
                let id = chosen.ids[first + row];
                for copy in (0..self.copies).step_by(BATCH) {
                    let copies = BATCH.min(self.copies - copy);
                    let repeated = repeat(&encoding, row, copies);
                    let posterior = match noise {
                        Noise::Posterior => repeated.posterior,
                        Noise::Latent => Posterior { log_var: None, ..repeated.posterior },
                    };
                    let epsilon = epsilon(seed, id, copy, copies, bundle.manifest.latent)?;
                    let latents = posterior.draw(&epsilon, self.sigma)?;
                    let images = model.decode(latents.view(), &repeated.skips)?;
                    let place = (first + row) * self.copies + copy;
                    let place = Slice::from(place..place + copies);
                    perturbed.slice_axis_mut(Axis(0), place).assign(&images);
                }
            }
        }
        Ok(perturbed)
    }
}

/// The images that are varied, `[N, C, H, W]`, and their indices among all.
struct Chosen {
    ids: Vec<usize>,
    images: Array4<f32>,
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
