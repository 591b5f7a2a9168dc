//! The local outlier factor of Breunig, Kriegel, Ng and Sander (ACM SIGMOD 2000).

use ndarray::{Array2, ArrayView2};

use super::neighbours::{Neighbour, Neighbours};

/// Keeps the density of points that coincide finite, as scikit-learn does.
const LEAST_DISTANCE: f64 = 1e-10;

/// Points with their local densities, which others are held against.
pub(super) struct LocalOutlierFactor {
    neighbours: Neighbours,
    k: usize,
    /// Each point's distance to its k-th neighbour.
    reach: Vec<f64>,
    /// Each point's local reachability density, the paper's definition 6.
    density: Vec<f64>,
}

impl LocalOutlierFactor {
    /// Fits the densities of points, of which there are at least two, over `k` neighbours each, or
    /// over all others where there are fewer.
    ///
    /// # Shapes
    ///
    /// points: `[N, Z]`
    pub(super) fn fit(points: Array2<f64>, k: usize) -> Self {
        let neighbours = Neighbours::new(points);
        let nearest = neighbours.of_each_other(k);
        let farthest = |near: &Vec<Neighbour>| near.last().map_or(0.0, |&(distance, _)| distance);
        let reach: Vec<f64> = nearest.iter().map(farthest).collect();
        let density = nearest.iter().map(|near| density(near, &reach)).collect();
        Self { neighbours, k, reach, density }
    }

    /// The neighbours of rows among the points, the nearest first.
    ///
    /// # Shapes
    ///
    /// rows: `[M, Z]`
    pub(super) fn nearest(&self, rows: ArrayView2<f64>) -> Vec<Vec<Neighbour>> {
        self.neighbours.nearest(rows, self.k)
    }

    /// The factor of something that is none of the points, from its neighbours: about 1 where it
    /// lies as dense as they do, more where it lies apart.
    pub(super) fn factor(&self, near: &[Neighbour]) -> f64 {
        let densities: f64 = near.iter().map(|&(_, place)| self.density[place]).sum();
        densities / near.len() as f64 / density(near, &self.reach)
    }
}

/// One over the mean reachability distance from the neighbours.
fn density(near: &[Neighbour], reach: &[f64]) -> f64 {
    let distances = near.iter().map(|&(distance, place)| distance.max(reach[place]));
    1.0 / (distances.sum::<f64>() / near.len() as f64 + LEAST_DISTANCE)
}
