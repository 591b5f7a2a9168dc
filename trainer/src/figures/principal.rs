//! Principal components of latent vectors.

use ndarray::{Array2, ArrayView2, Axis, Slice};

use crate::pca::Pca;

/// The first two principal components.
pub(super) struct Principal {
    /// The rows on the two components, `[N, 2]`.
    pub(super) points: Array2<f64>,
    /// The share of each component in the variance of all dimensions.
    pub(super) shares: [f64; 2],
}

/// The most dimensions that the components are made of: those with the largest variance.
pub(super) const MAX_DIMENSIONS: usize = 512;

/// The first two principal components of rows.
///
/// # Shapes
///
/// rows: `[N, Z]` with `Z` at least 2
pub(super) fn principal(rows: ArrayView2<f32>) -> Principal {
    let rows = rows.mapv(f64::from);
    let variances = rows.var_axis(Axis(0), 0.0);
    let mut dimensions: Vec<usize> = (0..rows.ncols()).collect();
    dimensions.sort_by(|&a, &b| variances[b].total_cmp(&variances[a]));
    dimensions.truncate(MAX_DIMENSIONS);
    dimensions.sort_unstable();
    let chosen = rows.select(Axis(1), &dimensions);

    let mut points = Array2::zeros((rows.nrows(), 2));
    let mut shares = [0.0; 2];
    if let Some(pca) = Pca::fit(chosen.clone(), 2) {
        // Latent vectors that do not vary have no component.
        points
            .slice_axis_mut(Axis(1), Slice::from(..pca.components()))
            .assign(&pca.project(&chosen));
        for (share, variance) in shares.iter_mut().zip(pca.variances()) {
            *share = variance / variances.sum();
        }
    }
    Principal { points, shares }
}

#[cfg(test)]
mod tests {
    use vae_infer::noise;

    use super::*;

    #[test]
    fn a_cloud_is_turned_to_its_axes() {
        // Standard deviations 4, 2 and 0.5, the first two turned by 30 degrees.
        let draws = noise::standard_normal(1, 0, 20_000, 3);
        let (sin, cos) = 30.0_f32.to_radians().sin_cos();
        let rows = Array2::from_shape_fn((20_000, 3), |(n, z)| {
            let (a, b, c) = (4.0 * draws[[n, 0]], 2.0 * draws[[n, 1]], 0.5 * draws[[n, 2]]);
            [cos * a - sin * b + 7.0, sin * a + cos * b, c][z]
        });
        let Principal { points, shares } = principal(rows.view());
        let [first, second] = [16.0 / 20.25, 4.0 / 20.25];
        assert!(
            (shares[0] - first).abs() < 0.01 && (shares[1] - second).abs() < 0.01,
            "{shares:?}"
        );
        let differences = points.outer_iter().zip(draws.outer_iter()).take(100).map(|(p, d)| {
            (p[0] - 4.0 * f64::from(d[0])).abs().max((p[1] - 2.0 * f64::from(d[1])).abs())
        });
        assert!(differences.fold(0.0, f64::max) < 0.3);
    }

    #[test]
    fn of_many_dimensions_those_with_the_largest_variance_count() {
        let rows = Array2::from_shape_fn((50, MAX_DIMENSIONS + 100), |(n, z)| match z {
            605 => 10.0 * (n as f32).sin(),
            610 => 5.0 * (n as f32 * 1.7).cos(),
            _ => 0.0,
        });
        let Principal { points, shares } = principal(rows.view());
        assert_eq!(points.dim(), (50, 2));
        assert!(shares[0] + shares[1] > 0.999, "{shares:?}");
        let collapsed = principal(Array2::zeros((5, 3)).view());
        assert_eq!((collapsed.shares, collapsed.points.sum()), ([0.0; 2], 0.0));
    }
}
