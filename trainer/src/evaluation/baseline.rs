//! What a PCA of the model's latent size makes of the same images.

use ndarray::{Array4, Axis};
use serde::{Deserialize, Serialize};

use super::Measured;
use super::fidelity::{self, Fidelity};
use crate::data::{self, Images};
use crate::means::BATCH;
use crate::pca::{Pca, places, rows};

/// A PCA fitted on training images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Its components: the model's latent size, or fewer where the images vary in fewer directions.
    pub components: usize,
    /// The training images that it was fitted on, spread evenly over them.
    pub fitted_on: usize,
    /// Its reconstructions of the images that the model was evaluated on, clamped to the range.
    #[serde(flatten)]
    pub fidelity: Fidelity,
}

/// Fits on training images, and reconstructs others.
///
/// # Shapes
///
/// train: `[N, C, H, W]`
///
/// # Errors
///
/// Where an image can no longer be read.
pub(super) fn baseline(
    train: &Array4<f32>,
    images: &Images,
    latent: usize,
    range: [f32; 2],
) -> Result<Measured<Baseline>, data::Error> {
    let (count, c, h, w) = train.dim();
    let pixels = c * h * w;
    let chosen = places(count, pixels);
    let directions = chosen.len().saturating_sub(1).min(pixels);
    if latent >= directions {
        return Ok(Measured::absent(format!(
            "not meaningful: {} images of {pixels} values vary in at most {directions} directions, \
             the latent size is {latent}",
            chosen.len()
        )));
    }
    let fitted = rows(train.select(Axis(0), &chosen).view());
    let Some(pca) = Pca::fit(fitted, latent) else {
        return Ok(Measured::absent("the eigenvalues of the training images do not converge"));
    };
    let mut sums = fidelity::Sums::new(h, w, range);
    for batch in images.chunks(BATCH) {
        let batch = batch?;
        let reconstructed = pca.reconstruct(&rows(batch.view()));
        let values = reconstructed.iter().map(|&v| v as f32).collect();
        let reconstructed =
            Array4::from_shape_vec(batch.raw_dim(), values).expect("a row has an image's pixels");
        sums.add(batch.view(), reconstructed.view());
    }
    Ok(Measured::Value(Baseline {
        components: pca.components(),
        fitted_on: chosen.len(),
        fidelity: sums.fidelity(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images that fade between two pictures: one direction, in which they vary.
    fn fades(count: usize) -> Array4<f32> {
        Array4::from_shape_fn((count, 1, 4, 4), |(n, _, h, w)| {
            let part = n as f32 / count as f32;
            part * (h as f32 / 4.0) + (1.0 - part) * (w as f32 / 4.0)
        })
    }

    #[test]
    fn one_component_redraws_images_of_one_direction() {
        let baseline = baseline(&fades(30), &fades(7).into(), 1, [0.0, 1.0]).expect("in memory");
        let baseline = baseline.value().expect("1 of 15 directions");
        assert_eq!((baseline.components, baseline.fitted_on), (1, 30));
        assert!(baseline.fidelity.psnr_pooled > 120.0, "{baseline:?}");
    }

    #[test]
    fn a_latent_vector_as_large_as_the_data_has_no_baseline() {
        for (count, latent) in [(5, 4), (100, 16), (0, 1)] {
            let baseline = baseline(&fades(count), &fades(7).into(), latent, [0.0, 1.0]);
            let baseline = baseline.expect("in memory");
            let Measured::Absent { reason } = baseline else { panic!("{count}, {latent}") };
            assert!(reason.contains("not meaningful"), "{reason}");
        }
    }
}
