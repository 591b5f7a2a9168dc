use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ndarray::{Array4, ArrayView4, Axis};
use serde::{Deserialize, Serialize};
use vae_infer::anomaly::Method;
use vae_infer::{Bundle, EngineOptions};

use super::made::Kind;
use super::{Baselines, bundle, ranking, scores};
use crate::data::spread;
use crate::data::{self, DataConfig};
use crate::evaluation::Measured;
use crate::pca;
use crate::progress::Progress;
use crate::say::say;
use crate::split::{Part, Split};
use crate::trained::Trained;

/// The most validation images, where no limit is asked for.
const IMAGES: usize = 1000;
/// Fewer images than this say little.
const FEW: usize = 100;

/// What scores are compared on.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// A folder of real anomalies; without one they are made of the validation images.
    pub anomalies: Option<&'a Path>,
    /// Draws from the posterior, for the methods that draw.
    pub draws: usize,
    /// The most images of a kind, spread evenly over them; without a wish 1,000 validation images
    /// and all anomalies.
    pub limit: Option<usize>,
}

/// How well every score of a trained model tells anomalies from its validation images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The run's name.
    pub name: String,
    /// The epoch whose weights score, counted from 1; 0 before the end of the first.
    pub epoch: usize,
    /// The source of every random draw.
    pub seed: u64,
    /// SHA-256 of the content of the files that the validation images come from.
    pub source_sha256: String,
    /// Validation images that were scored, spread evenly over them: the normal ones.
    pub images: usize,
    /// Validation images that there are.
    pub images_in_part: usize,
    /// Draws from the posterior, for the methods that draw.
    pub draws: usize,
    /// The folder of the anomalies; null where they were made of the validation images.
    pub folder: Option<PathBuf>,
    /// The anomalies by kind.
    pub kinds: Vec<Anomalies>,
    /// The methods that the model can be scored by.
    pub methods: Vec<Row>,
    /// Scores that need no network, fitted to training images.
    pub baselines: Measured<Fitted>,
    /// The method with the largest mean.
    pub proposal: Method,
    /// What the reader should know, one sentence each.
    pub notes: Vec<String>,
}

/// Anomalies of a kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomalies {
    /// The kind: a [`Kind`] or the name of a sub-folder.
    pub name: String,
    /// How many there are.
    pub images: usize,
}

/// The baselines' figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// The training images that they were fitted to.
    pub images: usize,
    /// One for each.
    pub rows: Vec<Row>,
}

/// How well one score tells anomalies from normal images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The method or the baseline.
    pub name: String,
    /// The area under the ROC curve for each of the kinds.
    pub auroc: Vec<f64>,
    /// Its mean over the kinds.
    pub mean: f64,
}

/// Compares the scores of a trained model on its validation images, never on its test images, and
/// proposes one.
///
/// # Errors
///
/// Where the run has no validation images, where a folder cannot be read, and as [`bundle()`] and
/// [`scores()`].
pub fn compare(trained: &Trained, split: &Split, options: &Options<'_>) -> Result<Comparison> {
    let Split { train, validation, .. } = split;
    if validation.is_empty() {
        bail!(
            "the run has no validation images, and a score is chosen on those, never on test images \
             (hint: another run with train.validation)"
        );
    }
    let chosen = spread(validation.len(), options.limit.unwrap_or(IMAGES).max(1));
    let images = validation.images.read(&chosen)?;
    let kinds = match options.anomalies {
        Some(folder) => given(folder, trained, options.limit)?,
        None => made(images.view(), trained)?,
    };
    let bundle = bundle(trained, split)?;
    let engine = EngineOptions::default();
    let baselines = Baselines::fit(pca::fitted_on(&train.images)?.view());
    let mut work = Progress::stderr().work("scores", kinds.len() + 1);
    let mut score = |images: ArrayView4<f32>| -> Result<Scores> {
        let methods = scores(&bundle, &engine, images, options.draws)?;
        let methods = methods.into_iter().map(|(method, scores)| (method.to_string(), scores));
        let others = baselines.as_ref().map_or(vec![], |fitted| fitted.scores(images));
        let others = others.into_iter().map(|(name, scores)| (name.to_owned(), scores));
        work.add(1);
        Ok(methods.chain(others).collect())
    };
    let normal = score(images.view())?;
    let abnormal = kinds.iter().map(|(_, anomalies)| score(anomalies.view()));
    let mut methods = rows(&normal, &abnormal.collect::<Result<Vec<_>>>()?);
    let known = |row: &Row| row.name.parse().ok().map(|method: Method| (method, row.mean));
    let means: Vec<(Method, f64)> = methods.iter().filter_map(known).collect();
    let others = methods.split_off(means.len());
    let anomalies =
        |(name, images): (String, Array4<f32>)| Anomalies { name, images: images.len_of(Axis(0)) };
    Ok(Comparison {
        name: trained.config.name.clone(),
        epoch: trained.epoch,
        seed: trained.config.seed,
        source_sha256: trained.info.data_sha256.clone(),
        images: images.len_of(Axis(0)),
        images_in_part: validation.len(),
        draws: options.draws,
        folder: options.anomalies.map(Path::to_owned),
        kinds: kinds.into_iter().map(anomalies).collect(),
        methods,
        baselines: match baselines {
            Some(baselines) => Measured::Value(Fitted { images: baselines.images(), rows: others }),
            None => Measured::absent("the training images are too few, or all the same"),
        },
        proposal: proposal(means.into_iter(), options.draws).context("the model has no score")?,
        notes: notes(&bundle, options, images.len_of(Axis(0))),
    })
}

/// The scores of images by the methods and then by the baselines, each with its name.
type Scores = Vec<(String, Vec<f64>)>;

/// How well every score tells the abnormal images of each kind from the normal ones.
fn rows(normal: &Scores, abnormal: &[Scores]) -> Vec<Row> {
    let row = |(place, (name, normal)): (usize, &(String, Vec<f64>))| {
        let areas = abnormal.iter().map(|kind| ranking::auroc(normal, &kind[place].1));
        let auroc: Vec<f64> = areas.collect();
        let mean = auroc.iter().sum::<f64>() / auroc.len() as f64;
        Row { name: name.clone(), auroc, mean }
    };
    normal.iter().enumerate().map(row).collect()
}

/// The method with the largest mean, to three decimals; of several that which takes fewest passes
/// through the networks, and of those the first of [`Method::ALL`].
fn proposal(means: impl Iterator<Item = (Method, f64)>, draws: usize) -> Option<Method> {
    let passes = |method: Method| match method {
        _ if method.draws() => 2 + draws,
        _ if method.looks_inside() => 3,
        _ => 2,
    };
    let rank =
        |&(method, mean): &(Method, f64)| (Reverse((1000.0 * mean).round() as i64), passes(method));
    means.min_by_key(rank).map(|(method, _)| method)
}

/// Anomalies of every kind that some of the images can be made into.
fn made(images: ArrayView4<f32>, trained: &Trained) -> Result<Vec<(String, Array4<f32>)>> {
    let mut kinds = vec![];
    for kind in Kind::ALL {
        let made = kind.make(images, &trained.config.image, trained.config.seed)?;
        if made.len_of(Axis(0)) > 0 {
            kinds.push((kind.to_string(), made));
        }
    }
    if kinds.is_empty() {
        bail!("no anomaly can be made of the validation images (hint: --anomalies DIR)");
    }
    Ok(kinds)
}

/// The anomalies of a folder, by their sub-folder where there are any.
fn given(
    folder: &Path,
    trained: &Trained,
    limit: Option<usize>,
) -> Result<Vec<(String, Array4<f32>)>> {
    let loaded = data::load(&DataConfig::default(), Some(folder), &trained.config.image)
        .context("the anomalies")?;
    for note in &loaded.notes {
        say(format!("note: {note}"));
    }
    let classes = loaded.train.classes.clone();
    let parts = [Some(loaded.train), loaded.test].map(|part| part.map(Part::from));
    let parts: Vec<Part> = parts.into_iter().flatten().collect();
    let named = |name: &str, takes: &dyn Fn(&Part, usize) -> bool| {
        let taken = parts.iter().enumerate().flat_map(|(number, part)| {
            (0..part.len()).filter(move |&i| takes(part, i)).map(move |i| (number, i))
        });
        let taken: Vec<(usize, usize)> = taken.collect();
        let chosen = spread(taken.len(), limit.unwrap_or(usize::MAX));
        let read = |(number, part): (usize, &Part)| {
            let places = chosen.iter().map(|&i| taken[i]).filter(|(of, _)| *of == number);
            part.images.read(&places.map(|(_, i)| i).collect::<Vec<_>>())
        };
        let images = parts.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let views: Vec<_> = images.iter().map(|images| images.view()).collect();
        Ok((name.to_owned(), ndarray::concatenate(Axis(0), &views)?))
    };
    if classes.is_empty() {
        return Ok(vec![named("anomalies", &|_, _| true)?]);
    }
    let of_class = |(class, name): (usize, &String)| {
        named(name, &|part: &Part, i| part.labels.get(i) == Some(&class))
    };
    let kinds: Result<Vec<_>> = classes.iter().enumerate().map(of_class).collect();
    Ok(kinds?.into_iter().filter(|(_, images)| images.len_of(Axis(0)) > 0).collect())
}

fn notes(bundle: &Bundle, options: &Options<'_>, images: usize) -> Vec<String> {
    let refused = Method::ALL.into_iter().filter_map(|method| method.check(bundle).err());
    let mut notes: Vec<String> = refused.map(|error| error.to_string()).collect();
    if options.anomalies.is_none() {
        notes.push(
            "anomalies that are made are not those that will come: where you have some, compare on \
             them (--anomalies DIR)"
                .into(),
        );
    }
    if images < FEW {
        let error = (0.9 * 0.1 / images as f64).sqrt();
        notes.push(format!("few images, {images}: an AUROC of 0.9 may be off by {error:.2}"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_mean_is_proposed_and_of_equals_the_cheapest() {
        use Method::{Elbo, Gradient, Mse, Nap, Nll, Sap};
        let cases: [(&[(Method, f64)], Method); 5] = [
            (&[(Mse, 0.9), (Nap, 0.95), (Gradient, 0.8)], Nap),
            (&[(Elbo, 0.9502), (Sap, 0.9498), (Nap, 0.9501)], Sap),
            (&[(Elbo, 0.95), (Sap, 0.95), (Gradient, 0.95)], Gradient),
            (&[(Mse, 0.5), (Nll, 0.5)], Mse),
            (&[(Mse, 0.9494), (Elbo, 0.9496)], Elbo),
        ];
        for (means, expected) in cases {
            assert_eq!(proposal(means.iter().copied(), 16), Some(expected), "{means:?}");
        }
        // One draw is one more pass, as many as a second look at the layers takes.
        assert_eq!(proposal([(Elbo, 0.9), (Nap, 0.9)].into_iter(), 1), Some(Elbo));
    }
}
