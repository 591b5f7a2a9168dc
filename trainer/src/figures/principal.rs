//! Principal components of latent vectors.

use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::{Array2, ArrayView2, Axis};

/// The first two principal components.
pub(super) struct Principal {
    /// The rows on the two components, `[N, 2]`.
    pub(super) points: Array2<f64>,
    /// The share of each component in the variance of all dimensions.
    pub(super) shares: [f64; 2],
}

/// The most dimensions that the components are made of: those with the largest variance.
pub(super) const MAX_DIMENSIONS: usize = 512;

/// The first two principal components of rows, from the eigenvectors of their covariance. Each
/// points to where its largest weight is positive.
///
/// # Shapes
///
/// rows: `[N, Z]` with `Z` at least 2
pub(super) fn principal(rows: ArrayView2<f32>) -> Principal {
    let rows = rows.mapv(f64::from);
    let rows = &rows - &rows.mean_axis(Axis(0)).expect("there are rows");
    let variances = rows.var_axis(Axis(0), 0.0);
    let mut dimensions: Vec<usize> = (0..rows.ncols()).collect();
    dimensions.sort_by(|&a, &b| variances[b].total_cmp(&variances[a]));
    dimensions.truncate(MAX_DIMENSIONS);
    dimensions.sort_unstable();
    let chosen = rows.select(Axis(1), &dimensions);
    let covariance = chosen.t().dot(&chosen) / rows.nrows() as f64;

    let size = dimensions.len();
    let eigen = SymmetricEigen::new(DMatrix::from_fn(size, size, |i, j| covariance[[i, j]]));
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let components = [order[0], order[1]].map(|place| {
        let vector: Vec<f64> = eigen.eigenvectors.column(place).iter().copied().collect();
        let largest =
            vector.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        vector.into_iter().map(|weight| weight * largest.signum()).collect::<Vec<_>>()
    });
    let directions = Array2::from_shape_fn((size, 2), |(i, axis)| components[axis][i]);
    let total = variances.sum();
    let share =
        |place: usize| if total > 0.0 { eigen.eigenvalues[place].max(0.0) / total } else { 0.0 };
    Principal { points: chosen.dot(&directions), shares: [order[0], order[1]].map(share) }
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
