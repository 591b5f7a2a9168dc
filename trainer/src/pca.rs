//! Principal component analysis: the best linear autoencoder (Baldi and Hornik, Neural Networks 2, 1989).

use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::{Array1, Array2, Array4, ArrayView1, ArrayView4, Axis, Slice};

use crate::data::spread;
use crate::data::{self, Images};

/// The most images of a fit.
const MAX_IMAGES: usize = 10_000;
/// The side of the largest matrix that is decomposed: some ten seconds.
const MAX_SIDE: usize = 2_048;
/// The most values of a fit: 1 GiB.
const MAX_VALUES: usize = 1 << 27;

/// The places of the images, spread evenly over `count` of them, that components of this many
/// pixels are fitted to.
pub fn places(count: usize, pixels: usize) -> Vec<usize> {
    let most = if pixels <= MAX_SIDE { MAX_IMAGES } else { MAX_SIDE };
    spread(count, most.min(MAX_VALUES / pixels))
}

/// The training images that a PCA is fitted on: those at [`places`].
///
/// # Shapes
///
/// output: `[N, C, H, W]`
///
/// # Errors
///
/// Where one can no longer be read.
pub fn fitted_on(train: &Images) -> Result<Array4<f32>, data::Error> {
    let (count, c, h, w) = train.dim();
    train.read(&places(count, c * h * w))
}

/// One row an image.
///
/// # Shapes
///
/// images: `[N, C, H, W]`, output: `[N, C * H * W]`
pub fn rows(images: ArrayView4<f32>) -> Array2<f64> {
    let (count, c, h, w) = images.dim();
    let values = images.iter().map(|&v| f64::from(v)).collect();
    Array2::from_shape_vec((count, c * h * w), values).expect("every pixel is in its row")
}

/// The directions in which rows vary most.
///
/// Letters: `N` rows, `D` values in a row, `Z` components.
#[derive(Debug, Clone)]
pub struct Pca {
    /// The rows' mean, `[D]`.
    mean: Array1<f64>,
    /// Orthonormal columns, `[D, Z]`, the largest variance first.
    components: Array2<f64>,
    /// The rows' variance along each component, `[Z]`.
    variances: Vec<f64>,
}

impl Pca {
    /// Fits a number of components, and fewer where the rows vary in fewer directions. Each points
    /// to where its largest weight is positive.
    ///
    /// The eigenvectors are those of the covariance, `[D, D]`, or of the Gram matrix, `[N, N]`,
    /// where that is the smaller one. None where there is no row, or where the decomposition does
    /// not converge.
    ///
    /// # Shapes
    ///
    /// rows: `[N, D]`
    pub fn fit(mut rows: Array2<f64>, components: usize) -> Option<Self> {
        let (n, d) = rows.dim();
        let mean = rows.mean_axis(Axis(0))?;
        rows -= &mean;
        let gram = n < d;
        let products = if gram { rows.dot(&rows.t()) } else { rows.t().dot(&rows) };
        let (values, vectors) = eigen(products)?;
        let largest = values.first().copied().unwrap_or_default();
        let noise = largest * n.max(d) as f64 * f64::EPSILON;
        let rank = values.iter().take_while(|&&value| value > noise).count();
        let kept = Slice::from(..components.min(rank));
        let kept = vectors.slice_axis(Axis(1), kept).into_owned();
        let mut components = if gram { rows.t().dot(&kept) } else { kept };
        for mut column in components.columns_mut() {
            let far = |a: f64, &b: &f64| if b.abs() > a.abs() { b } else { a };
            let norm = column.dot(&column).sqrt() * column.iter().fold(0.0, far).signum();
            column /= norm;
        }
        let variances = values[..components.ncols()].iter().map(|value| value / n as f64);
        Some(Self { mean, variances: variances.collect(), components })
    }

    /// The number of components.
    pub fn components(&self) -> usize {
        self.components.ncols()
    }

    /// The first of its components, at most this many.
    pub fn first(&self, components: usize) -> Self {
        let kept = components.min(self.components());
        Self {
            mean: self.mean.clone(),
            components: self.components.slice_axis(Axis(1), Slice::from(..kept)).into_owned(),
            variances: self.variances[..kept].to_vec(),
        }
    }

    /// The variance of the rows along each component, with N in its denominator.
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// The components, each `[D]` of length 1.
    pub fn axes(&self) -> impl Iterator<Item = ArrayView1<'_, f64>> {
        self.components.columns().into_iter()
    }

    /// The coordinates of rows on the components.
    ///
    /// # Shapes
    ///
    /// - rows: `[N, D]`
    /// - output: `[N, Z]`
    pub fn project(&self, rows: &Array2<f64>) -> Array2<f64> {
        (rows - &self.mean).dot(&self.components)
    }

    /// Projects rows onto the components and back.
    ///
    /// # Shapes
    ///
    /// rows and output: `[N, D]`
    pub fn reconstruct(&self, rows: &Array2<f64>) -> Array2<f64> {
        self.project(rows).dot(&self.components.t()) + &self.mean
    }
}

/// Eigenvalues of a symmetric matrix, the largest first, and their vectors as columns.
fn eigen(matrix: Array2<f64>) -> Option<(Vec<f64>, Array2<f64>)> {
    let size = matrix.nrows();
    let matrix = DMatrix::from_iterator(size, size, matrix.iter().copied());
    let most_iterations = 100 * size.max(1);
    let found = SymmetricEigen::try_new(matrix, f64::EPSILON, most_iterations)?;
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| found.eigenvalues[b].total_cmp(&found.eigenvalues[a]));
    let values = order.iter().map(|&i| found.eigenvalues[i]).collect();
    let vectors = &found.eigenvectors;
    Some((values, Array2::from_shape_fn((size, size), |(row, i)| vectors[(row, order[i])])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on a plane through `D` dimensions, off the origin.
    fn plane(n: usize, d: usize) -> Array2<f64> {
        Array2::from_shape_fn((n, d), |(i, j)| {
            let (a, b) = ((i as f64 * 0.7).sin(), (i as f64 * 1.9).cos());
            1.0 + 3.0 * a * (j as f64).cos() + b * (j as f64 * 2.3).sin()
        })
    }

    fn largest(difference: Array2<f64>) -> f64 {
        difference.iter().fold(0.0, |most, value| value.abs().max(most))
    }

    #[test]
    fn two_components_are_exact_on_a_plane_by_either_matrix() {
        for (n, d) in [(40, 6), (12, 30)] {
            let points = plane(n, d);
            let pca = Pca::fit(points.clone(), 2).expect("there are rows");
            assert!(largest(pca.reconstruct(&points) - &points) < 1e-10, "{n}x{d}");
            let unseen = plane(n + 20, d);
            assert!(largest(pca.reconstruct(&unseen) - &unseen) < 1e-10, "{n}x{d}, unseen");
            let squares = pca.components.t().dot(&pca.components) - Array2::<f64>::eye(2);
            assert!(largest(squares) < 1e-10, "{n}x{d}: the components are not orthonormal");
            let line = Pca::fit(points.clone(), 1).expect("there are rows");
            assert!(largest(line.reconstruct(&points) - &points) > 0.1, "{n}x{d}, one component");
        }
    }

    #[test]
    fn no_more_components_than_directions() {
        for (n, d) in [(40, 6), (12, 30)] {
            assert_eq!(Pca::fit(plane(n, d), 6).expect("there are rows").components(), 2);
        }
        let still = Array2::from_elem((5, 3), 0.25);
        let pca = Pca::fit(still.clone(), 2).expect("there are rows");
        assert_eq!((pca.components(), pca.reconstruct(&still)), (0, still));
        assert!(Pca::fit(Array2::zeros((0, 3)), 2).is_none());
    }
}
