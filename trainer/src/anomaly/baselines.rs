use ndarray::{ArrayView4, Axis};

use super::lof::LocalOutlierFactor;
use crate::means::BATCH;
use crate::pca::{self, Pca};

/// The components that an image is reconstructed from.
const RECONSTRUCTION: usize = 20;
/// The components that neighbours are looked for on.
const COMPONENTS: usize = 50;
/// The neighbour whose distance is a score.
const NEIGHBOUR: usize = 5;
/// The neighbours whose densities an image's is held against.
const NEIGHBOURHOOD: usize = 20;

/// Scores that need no network: how far an image is from training images, as they are.
///
/// | name | score |
/// |---|---|
/// | `pca` | mean squared error of a pixel, reconstructed from 20 principal components |
/// | `knn` | distance to the 5th nearest training image, on 50 principal components |
/// | `lof` | local outlier factor among 20 neighbours, on the same components |
pub struct Baselines {
    narrow: Pca,
    wide: Pca,
    local: LocalOutlierFactor,
    images: usize,
}

impl Baselines {
    /// Fits them to training images, to [`pca::places`] of them. None where there are fewer than
    /// two, or where they do not vary.
    ///
    /// # Shapes
    ///
    /// train: `[N, C, H, W]`
    pub fn fit(train: ArrayView4<f32>) -> Option<Self> {
        let (count, c, h, w) = train.dim();
        let chosen = pca::places(count, c * h * w);
        let rows = pca::rows(train.select(Axis(0), &chosen).view());
        let wide = Pca::fit(rows.clone(), COMPONENTS).filter(|pca| pca.components() > 0)?;
        let narrow = wide.first(RECONSTRUCTION);
        let local = LocalOutlierFactor::fit(wide.project(&rows), NEIGHBOURHOOD);
        Some(Self { narrow, wide, local, images: chosen.len() })
    }

    /// The training images that they were fitted to.
    pub fn images(&self) -> usize {
        self.images
    }

    /// The scores of images by each of them, in the order of the table.
    ///
    /// # Shapes
    ///
    /// images: `[N, C, H, W]`, output: `N` scores by each
    pub fn scores(&self, images: ArrayView4<f32>) -> Vec<(&'static str, Vec<f64>)> {
        let (mut errors, mut distances, mut factors) = (vec![], vec![], vec![]);
        for batch in images.axis_chunks_iter(Axis(0), BATCH) {
            let rows = pca::rows(batch);
            let difference = &rows - &self.narrow.reconstruct(&rows);
            errors.extend(difference.outer_iter().map(|row| row.dot(&row) / row.len() as f64));
            for near in self.local.nearest(self.wide.project(&rows).view()) {
                let &(distance, _) = near.get(NEIGHBOUR - 1).or(near.last()).expect("there is one");
                distances.push(distance);
                factors.push(self.local.factor(&near));
            }
        }
        vec![("pca", errors), ("knn", distances), ("lof", factors)]
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    /// Images that fade from one picture to another and, for a part above 1, beyond it; with a pixel
    /// that is `odd` and in none of both.
    fn fades(count: usize, parts: [f32; 2], odd: f32) -> Array4<f32> {
        Array4::from_shape_fn((count, 1, 4, 4), |(n, _, h, w)| {
            let part = parts[0] + (parts[1] - parts[0]) * n as f32 / count as f32;
            let odd = if (h, w) == (1, 2) { odd } else { 0.0 };
            part * (h as f32 / 4.0) + (1.0 - part) * (w as f32 / 4.0) + odd
        })
    }

    #[test]
    fn what_training_images_lack_scores_higher() {
        let baselines = Baselines::fit(fades(60, [0.0, 1.0], 0.0).view()).expect("they vary");
        assert_eq!(baselines.images(), 60);
        let scores = |parts, odd| baselines.scores(fades(45, parts, odd).view());
        let normal = scores([0.0, 1.0], 0.0);
        // Beyond the second picture nothing is near, but the one direction still reconstructs it.
        let (odd, beyond) = (scores([0.0, 1.0], 0.5), scores([2.0, 3.0], 0.0));
        for (place, (name, abnormal)) in
            [("pca", odd), ("knn", beyond.clone()), ("lof", beyond)].into_iter().enumerate()
        {
            let ((of_normal, normal), (of_abnormal, abnormal)) = (&normal[place], &abnormal[place]);
            assert_eq!([*of_normal, *of_abnormal], [name; 2]);
            let largest = normal.iter().fold(0.0_f64, |most, &v| most.max(v));
            assert!(abnormal.iter().all(|&v| v > 2.0 * largest), "{name}: {largest}, {abnormal:?}");
            assert_eq!((normal.len(), abnormal.len()), (45, 45), "{name}");
        }
    }

    #[test]
    fn a_score_depends_on_no_other_image() {
        let baselines = Baselines::fit(fades(60, [0.0, 1.0], 0.0).view()).expect("they vary");
        let images = fades(300, [0.0, 1.0], 0.1);
        let together = baselines.scores(images.view());
        for place in [0, 1, 255, 256, 299] {
            let alone = images.slice_axis(Axis(0), (place..=place).into());
            for ((name, all), (_, one)) in together.iter().zip(baselines.scores(alone)) {
                assert_eq!([all[place]], one[..], "{name}, {place}");
            }
        }
    }

    #[test]
    fn images_that_do_not_vary_have_none() {
        for images in [1, 0].map(|count| fades(count, [0.0, 1.0], 0.0)) {
            assert!(Baselines::fit(images.view()).is_none());
        }
        assert!(Baselines::fit(Array4::ones((30, 1, 4, 4)).view()).is_none());
        let two = Baselines::fit(fades(2, [0.0, 1.0], 0.0).view()).expect("they vary");
        let scores = two.scores(fades(3, [0.0, 1.0], 0.2).view());
        assert!(scores.iter().all(|(_, s)| s.len() == 3 && s.iter().all(|v| v.is_finite())));
    }
}
