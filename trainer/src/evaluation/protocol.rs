//! What a figure was measured on: most disagreements are protocols.

use std::fmt;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use vae_models::Likelihood;

use super::Options;
use crate::data::{self, Images};
use crate::means::BATCH;
use crate::split::{Part, Split};
use crate::trained::Trained;

/// A part of a run's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum PartName {
    /// The images that the source itself sets apart.
    Test,
    /// The images held out to choose the best epoch by.
    Validation,
    /// The images trained on.
    Train,
}

/// The values that a reconstruction is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Targets {
    /// Any value of the range.
    Grey,
    /// Black and white alone, as they were stored.
    Binary,
    /// Black and white, made by a threshold.
    Binarized,
}

/// What a figure was measured on, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// The run's name.
    pub name: String,
    /// The epoch evaluated, counted from 1; 0 before the end of the first.
    pub epoch: usize,
    /// The part evaluated.
    pub part: PartName,
    /// Images evaluated, spread evenly over the part.
    pub images: usize,
    /// Images in the part.
    pub images_in_part: usize,
    /// SHA-256 of the content of the files that the part comes from.
    pub source_sha256: String,
    /// The size of an image, `[C, H, W]`.
    pub image: [usize; 3],
    /// What a reconstruction is held against.
    pub targets: Targets,
    /// The threshold of binarised targets.
    pub threshold: Option<f32>,
    /// The likelihood of a pixel.
    pub likelihood: Likelihood,
    /// The weight of the KL term in the loss.
    pub beta: f64,
    /// The weight of the perceptual term in the loss, where there is one.
    pub perceptual_weight: Option<f64>,
    /// The latent size.
    pub latent: usize,
    /// Draws an image of the importance-sampled likelihood; 0 where it was not asked for.
    pub samples: usize,
    /// The source of every random draw.
    pub seed: u64,
    /// The peak of PSNR and SSIM: the width of the range of pixel values.
    pub peak: f64,
    /// The range to which reconstructions are clamped.
    pub clamp: [f32; 2],
    /// What the reader should know, one sentence each.
    pub notes: Vec<String>,
}

impl PartName {
    /// The images of this part.
    pub fn of(self, split: &Split) -> &Part {
        match self {
            Self::Test => &split.test,
            Self::Validation => &split.validation,
            Self::Train => &split.train,
        }
    }

    /// The part asked for; without a wish the test images, or the validation images where the
    /// source has none.
    pub(super) fn choose(asked: Option<Self>, split: &Split) -> Result<Self> {
        let default = if split.test.is_empty() { Self::Validation } else { Self::Test };
        let part = asked.unwrap_or(default);
        if !part.of(split).is_empty() {
            return Ok(part);
        }
        match asked {
            Some(part) => bail!("the run has no {part} images (hint: another --part)"),
            None => bail!("the run has neither test nor validation images (hint: --part train)"),
        }
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Test => "test",
            Self::Validation => "validation",
            Self::Train => "train",
        })
    }
}

impl Protocol {
    /// The protocol of some images of a part.
    pub(super) fn new(
        trained: &Trained,
        split: &Split,
        options: &Options,
        part: PartName,
        images: &Images,
    ) -> Result<Self> {
        let Trained { config, info, .. } = trained;
        let source = match part {
            PartName::Test => info.test_sha256.as_ref(),
            PartName::Validation | PartName::Train => Some(&info.data_sha256),
        };
        let [black, white] = config.image.range;
        let targets = match config.image.binarize {
            Some(_) => Targets::Binarized,
            None if of_two_values(images, [black, white])? => Targets::Binary,
            None => Targets::Grey,
        };
        let mut notes = vec![];
        if options.part.is_none() && part == PartName::Validation {
            notes.push("the source has no test part: these are the validation images".to_owned());
        }
        if config.model.likelihood == Likelihood::Bernoulli && targets == Targets::Grey {
            notes.push(
                "grey targets in a Bernoulli likelihood: these nats are not a likelihood of binary \
                 data, and compare only with their own kind"
                    .to_owned(),
            );
        }
        Ok(Self {
            name: config.name.clone(),
            epoch: trained.epoch,
            part,
            images: images.len(),
            images_in_part: part.of(split).len(),
            source_sha256: source.context("run.json lacks the hash of the test images")?.clone(),
            image: config.image.shape(),
            targets,
            threshold: config.image.binarize,
            likelihood: config.model.likelihood,
            beta: config.train.beta,
            perceptual_weight: config.train.perceptual.as_ref().map(|term| term.weight),
            latent: config.model.latent,
            samples: options.samples,
            seed: config.seed,
            peak: f64::from(white - black),
            clamp: config.image.range,
            notes,
        })
    }
}

/// Whether every value of the images is one of two.
fn of_two_values(images: &Images, values: [f32; 2]) -> Result<bool, data::Error> {
    for batch in images.chunks(BATCH) {
        if !batch?.iter().all(|value| values.contains(value)) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    fn part(count: usize) -> Part {
        Part { images: Array4::zeros((count, 1, 2, 2)).into(), labels: vec![] }
    }

    #[test]
    fn test_images_come_first_and_an_empty_part_is_refused() {
        use PartName::{Test, Train, Validation};
        let split = |validation, test| Split {
            train: part(3),
            validation: part(validation),
            test: part(test),
        };
        assert_eq!(PartName::choose(None, &split(2, 1)).expect("it has one"), Test);
        assert_eq!(PartName::choose(None, &split(2, 0)).expect("it has two"), Validation);
        assert_eq!(PartName::choose(Some(Train), &split(2, 1)).expect("it has three"), Train);
        for (asked, word) in [(Some(Test), "no test images"), (None, "--part train")] {
            let error = PartName::choose(asked, &split(0, 0)).expect_err("there is none");
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
