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
        let k = k.min(points.nrows() - 1);
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

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn factors(points: Array2<f64>, k: usize, rows: Array2<f64>) -> Vec<f64> {
        let local = LocalOutlierFactor::fit(points, k);
        local.nearest(rows.view()).iter().map(|near| local.factor(near)).collect()
    }

    /// scikit-learn 1.x: `-LocalOutlierFactor(k, novelty=True).fit(points).score_samples(rows)`.
    #[test]
    fn it_is_scikit_learns() {
        let points = array![[0.0, 0.0], [1.0, 0.1], [0.2, 1.0], [1.1, 1.3], [0.5, 0.4], [3.0, 3.0]];
        let rows = array![[0.5, 0.6], [2.0, 2.1], [10.0, 0.0], [0.0, 0.0]];
        let cases = [
            (2, [0.848_632_272, 1.531_622_802, 5.476_877_240, 0.909_283_669]),
            (3, [0.964_138_045, 1.716_130_180, 6.428_987_469, 0.964_138_045]),
            (9, [0.958_376_853, 0.958_376_853, 2.482_219_320, 0.958_376_853]),
        ];
        for (k, expected) in cases {
            let got = factors(points.clone(), k, rows.clone());
            let close = got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-8);
            assert!(close, "{k}: {got:?}, not {expected:?}");
        }
    }

    #[test]
    fn points_that_coincide_have_a_finite_density() {
        let points = array![[0.0], [0.0], [0.0], [1.0]];
        let [inside, outside] = factors(points, 2, array![[0.0], [2.0]])[..] else {
            panic!("two rows")
        };
        assert!((inside - 1.0).abs() < 1e-9, "{inside}");
        assert!(outside.is_finite() && outside > 1e9, "{outside}");
    }
}
