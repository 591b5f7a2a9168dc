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
                let &(distance, _) =
                    near.get(NEIGHBOUR - 1).or(near.last()).expect("there are two");
                distances.push(distance);
                factors.push(self.local.factor(&near));
            }
        }
        vec![("pca", errors), ("knn", distances), ("lof", factors)]
    }
}
