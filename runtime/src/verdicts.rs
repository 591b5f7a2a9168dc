//! Recorded verdicts: whether an image is abnormal, here and where the model was trained.
//!
//! A difference between engines that no tensor shows as large can still move an image over a
//! threshold. The golden images, under noise of growing strength, give scores on both sides of it.

use std::collections::BTreeMap;

use ndarray::{Array4, ArrayD, ArrayView4, Axis, Ix1, Ix4};

use crate::model::Model;
use crate::{Bundle, Error, ImageSpec, noise};

/// The strengths of the noise, as shares of the pixels' range.
const STRENGTHS: [f32; 8] = [0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5];
/// The seed of the noise.
const SEED: u64 = 4;
/// The name under which a bundle's golden vectors hold the scores.
pub const SCORE: &str = "score";

/// How replayed verdicts stand to the recorded ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// Number of verdicts.
    pub count: usize,
    /// Those that differ from the record.
    pub flips: usize,
    /// Those that differed on the machine that exported the bundle.
    pub accepted: usize,
}

/// The images whose scores are recorded: all golden images under the weakest noise, then all
/// under the next. The same everywhere, to the bit.
///
/// # Shapes
///
/// images: `[N, C, H, W]`, as is every item
pub fn graded<'a>(
    images: ArrayView4<'a, f32>,
    spec: &ImageSpec,
) -> impl Iterator<Item = Array4<f32>> + use<'a> {
    let [black, white] = spec.range;
    let count = images.len_of(Axis(0));
    let drawn = noise::standard_normal(SEED, 0, count, images.len() / count.max(1));
    let drawn = drawn.into_shape_with_order(images.raw_dim()).expect("as many values as pixels");
    STRENGTHS.into_iter().map(move |strength| {
        let noisy = &images + &drawn * (strength * (white - black));
        noisy.mapv_into(|v| v.clamp(black, white))
    })
}

/// Scores the [`graded`] golden images and compares their verdicts with the recorded ones; nothing
/// where the bundle records none.
///
/// # Errors
///
/// [`Error::Bundle`] for records that are missing or misshapen, and those of running the model.
pub fn replay(
    model: &mut Model,
    bundle: &Bundle,
    recorded: &BTreeMap<String, ArrayD<f32>>,
) -> Result<Option<Replayed>, Error> {
    let Some(verdicts) = bundle.manifest.verdicts else { return Ok(None) };
    let array = |name: &str| {
        let reason = format!("its golden vectors are damaged: there is no `{name}`");
        let missing = || Error::Bundle { path: bundle.source().into(), reason };
        recorded.get(name).ok_or_else(missing)
    };
    let misshapen = |_| {
        let reason = "its golden vectors are damaged: a shape is not the declared one".into();
        Error::Bundle { path: bundle.source().into(), reason }
    };
    let images = array("image")?.view().into_dimensionality::<Ix4>().map_err(misshapen)?;
    let expected = array(SCORE)?.view().into_dimensionality::<Ix1>().map_err(misshapen)?;
    let mut scores = Vec::with_capacity(expected.len());
    for images in graded(images, &bundle.manifest.image) {
        scores.extend(model.score(images.view())?);
    }
    if scores.len() != expected.len() {
        let reason = format!("it records {} scores, not {}", expected.len(), scores.len());
        return Err(Error::Bundle { path: bundle.source().into(), reason });
    }
    let abnormal = |mse: f64| mse > verdicts.threshold;
    let pairs = scores.iter().zip(expected);
    let flips = pairs.filter(|(s, e)| abnormal(s.mse) != abnormal(f64::from(**e))).count();
    Ok(Some(Replayed { count: scores.len(), flips, accepted: verdicts.golden_flips }))
}
