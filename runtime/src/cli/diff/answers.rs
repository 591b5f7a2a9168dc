//! What two models say of the same images.

use anyhow::Result;
use ndarray::{Array4, ArrayD, ArrayView4, Axis, Ix4};
use serde::Serialize;
use vae_infer::compare::{self, Difference};
use vae_infer::tuning::Goal;
use vae_infer::verify::least_range;
use vae_infer::{Bundle, Error, ImageSpec, Model, Reconstruction, Score, score};

use super::super::inputs::Inputs;
use super::super::options::Options;
use super::{Diff, Pair};

/// How far the answers of two models are apart.
#[derive(Serialize)]
pub(super) struct Answers {
    engine: Pair<String>,
    pub(super) images: usize,
    /// Whether the images are those recorded in A.
    pub(super) golden: bool,
    pub(super) outputs: Vec<Output>,
    /// Outputs of one model alone, or of different shapes.
    pub(super) not_compared: Vec<String>,
    pub(super) psnr: Psnr,
    pub(super) decisions: Vec<Decision>,
}

/// An output of both models.
#[derive(Serialize)]
pub(super) struct Output {
    pub(super) output: String,
    /// The largest absolute difference, and the mean one, over the range of A's values.
    pub(super) difference: f64,
    pub(super) mean_difference: f64,
}

/// Peak signal-to-noise ratios in dB, each of one error over all images: of reconstructions
/// against the images, and of B's reconstructions against A's.
#[derive(Serialize)]
pub(super) struct Psnr {
    pub(super) a: f64,
    pub(super) b: f64,
    pub(super) lost: f64,
    pub(super) between: f64,
}

/// What becomes of a ranking of the images, and of verdicts, by one score.
#[derive(Serialize)]
pub(super) struct Decision {
    pub(super) score: &'static str,
    /// Spearman's, absent where all images have one score.
    pub(super) rank_correlation: Option<f64>,
    pub(super) quantile: f64,
    /// The threshold at the quantile of A's scores, and the images whose verdict B changes; absent where there are
    /// fewer images than the verdict needs.
    pub(super) threshold: Option<f64>,
    pub(super) flips: Option<usize>,
    pub(super) needed: usize,
}

/// Why two models cannot be given the same images, where they cannot.
pub(super) fn comparable(Pair { a, b }: &Pair<Bundle>) -> Result<(), String> {
    let (a, b) = (&a.manifest.image, &b.manifest.image);
    let size = |image: &ImageSpec| {
        let ImageSpec { channels, height, width, .. } = image;
        format!("{width}x{height} with {channels} channels")
    };
    if a.shape() != b.shape() {
        return Err(format!("A takes images of {}, B of {}", size(a), size(b)));
    }
    if a.range != b.range {
        return Err(format!("A's pixels are from {:?}, B's from {:?}", a.range, b.range));
    }
    Ok(())
}

impl Answers {
    pub(super) fn of(diff: &Diff, options: &Options, bundles: &Pair<Bundle>) -> Result<Self> {
        let ready = bundles.map(|bundle| options.untested(bundle, Goal::Throughput))?;
        let batch = ready.a.batch.min(ready.b.batch);
        let mut models = Pair { a: ready.a.model, b: ready.b.model };
        let mut pass = Pass::new(bundles);
        if diff.images.is_empty() {
            let images = recorded(&bundles.a)?;
            for images in images.axis_chunks_iter(Axis(0), batch) {
                pass.add(&mut models, &Pair { a: images, b: images })?;
            }
        } else {
            let specs = bundles.map(|bundle| Ok(options.image(bundle)))?;
            let inputs = Inputs::find(&diff.images)?;
            for items in inputs.pipeline(None, options)?.batches(batch) {
                let pictures: Vec<_> = items?.into_iter().map(|item| item.picture).collect();
                let images = specs.map(|spec| Ok(spec.batch(&pictures)?))?;
                pass.add(&mut models, &Pair { a: images.a.view(), b: images.b.view() })?;
            }
        }
        let engine = models.map(|model| Ok(model.backends().to_string()))?;
        Ok(pass.answers(engine, diff))
    }

    /// Whether both models give the same answers.
    pub(super) fn agree(&self, tolerance: f64) -> bool {
        self.not_compared.is_empty() && self.outputs.iter().all(|o| o.difference <= tolerance)
    }
}

/// The images among a bundle's golden vectors.
fn recorded(bundle: &Bundle) -> Result<Array4<f32>> {
    let image = bundle.golden()?.remove("image");
    let images = image.and_then(|image| image.into_dimensionality::<Ix4>().ok());
    let reason = "its golden vectors are damaged: there are no images [N, C, H, W]".to_owned();
    Ok(images.ok_or_else(|| Error::Bundle { path: bundle.source().into(), reason })?)
}

/// What was seen of the images so far.
struct Pass<'a> {
    bundles: &'a Pair<Bundle>,
    /// Every output of both models, with its place among A's and among B's.
    outputs: Vec<(String, [usize; 2], Difference)>,
    scores: Pair<Vec<Score>>,
}

impl<'a> Pass<'a> {
    fn new(bundles: &'a Pair<Bundle>) -> Self {
        let outputs = bundles.map(|bundle| Ok(signature(bundle))).expect("it cannot fail");
        let common = outputs.a.iter().enumerate().filter_map(|(place, output)| {
            let other = outputs.b.iter().position(|other| other == output)?;
            Some((output.0.clone(), [place, other], Difference::default()))
        });
        let scores = Pair { a: vec![], b: vec![] };
        Self { bundles, outputs: common.collect(), scores }
    }

    fn add(&mut self, models: &mut Pair<Model>, images: &Pair<ArrayView4<f32>>) -> Result<()> {
        let (a, a_scores) = run(&mut models.a, &self.bundles.a, images.a)?;
        let (b, b_scores) = run(&mut models.b, &self.bundles.b, images.b)?;
        for (_, [place, other], difference) in &mut self.outputs {
            difference.add(b[*other].view(), a[*place].view());
        }
        self.scores.a.extend(a_scores);
        self.scores.b.extend(b_scores);
        Ok(())
    }

    fn answers(self, engine: Pair<String>, diff: &Diff) -> Answers {
        let Self { bundles, outputs, scores } = self;
        let range = bundles.a.manifest.image.range;
        let psnr = |mse| compare::psnr(mse, f64::from(range[1]) - f64::from(range[0]));
        let mse =
            |scores: &[Score]| mean(&scores.iter().map(|score| score.mse).collect::<Vec<_>>());
        let (a, b) = (psnr(mse(&scores.a)), psnr(mse(&scores.b)));
        let (_, _, between) = outputs.last().expect("both models have a reconstruction");
        let psnr = Psnr { a, b, lost: a - b, between: psnr(between.mse()) };

        let mut decisions = vec![decision("mse", &scores, |score| Some(score.mse), diff)];
        if bundles.a.manifest.likelihood == bundles.b.manifest.likelihood {
            decisions.push(decision("nll", &scores, |score| score.nll, diff));
        }
        let names: Vec<_> = outputs.iter().map(|(name, ..)| name.clone()).collect();
        let output = |(output, _, difference): (String, _, Difference)| Output {
            difference: difference.largest_over(least_range(&bundles.a.manifest, &output)),
            mean_difference: difference.mean(),
            output,
        };
        Answers {
            engine,
            images: scores.a.len(),
            golden: diff.images.is_empty(),
            outputs: outputs.into_iter().map(output).collect(),
            not_compared: alone(bundles, &names),
            psnr,
            decisions: decisions.into_iter().flatten().collect(),
        }
    }
}

/// A model's outputs on images, in the order of [`signature`], and the images' scores.
fn run(
    model: &mut Model,
    bundle: &Bundle,
    images: ArrayView4<f32>,
) -> Result<(Vec<ArrayD<f32>>, Vec<Score>)> {
    let encoding = model.encode(images)?;
    let decoded = model.decode(encoding.posterior.mean.view(), &encoding.skips)?;
    let reconstruction = Reconstruction { images: decoded, posterior: encoding.posterior.clone() };
    let scores = score(bundle.manifest.likelihood, images, &reconstruction)?;
    let mut outputs = encoding.into_outputs();
    outputs.push(reconstruction.images.into_dyn());
    Ok((outputs, scores))
}

/// The names and shapes of a model's outputs; the last one is the reconstruction.
fn signature(bundle: &Bundle) -> Vec<(String, Vec<usize>)> {
    let specs = bundle.manifest.encoder.outputs.iter().chain(&bundle.manifest.decoder.outputs);
    specs.map(|spec| (spec.name.clone(), spec.shape.clone())).collect()
}

/// The outputs that are not among the common ones, each in words.
fn alone(bundles: &Pair<Bundle>, common: &[String]) -> Vec<String> {
    let (a, b) = (signature(&bundles.a), signature(&bundles.b));
    let mut words = vec![];
    for (name, shape) in a.iter().filter(|(name, _)| !common.contains(name)) {
        words.push(match b.iter().find(|(other, _)| other == name) {
            Some((_, other)) => format!("{name} is {shape:?} in A and {other:?} in B"),
            None => format!("{name} is an output of A alone"),
        });
    }
    let known = |name: &String| a.iter().any(|(known, _)| known == name);
    for (name, _) in b.iter().filter(|(name, _)| !known(name)) {
        words.push(format!("{name} is an output of B alone"));
    }
    words
}

/// What becomes of decisions by one score; nothing where a model lacks it.
fn decision(
    name: &'static str,
    scores: &Pair<Vec<Score>>,
    of: impl Fn(&Score) -> Option<f64>,
    diff: &Diff,
) -> Option<Decision> {
    let values = |scores: &[Score]| scores.iter().map(&of).collect::<Option<Vec<f64>>>();
    let (a, b) = (values(&scores.a)?, values(&scores.b)?);
    let needed = compare::images_for(diff.quantile).expect("the command line was checked");
    let threshold = compare::threshold(&a, diff.quantile).filter(|_| a.len() >= needed);
    Some(Decision {
        score: name,
        rank_correlation: compare::rank_correlation(&a, &b),
        quantile: diff.quantile,
        threshold,
        flips: threshold.map(|threshold| compare::flips(&a, &b, threshold)),
        needed,
    })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
