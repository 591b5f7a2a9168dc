use ndarray::{Array2, ArrayView2};

use super::super::gaussian;

/// The window's side in the paper.
pub(crate) const SIDE: usize = 11;
/// The window's standard deviation in pixels.
const SIGMA: f64 = 1.5;
/// A Gaussian window, normalised to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Its weights along one axis.
    weights: Vec<f64>,
}

impl Window {
    /// The paper's window of 11 pixels, or the largest odd one that an image has room for.
    pub fn fitting(height: usize, width: usize) -> Self {
        let room = height.min(width).clamp(1, SIDE);
        Self { weights: gaussian::weights(SIGMA, (room - 1) / 2) }
    }

    /// Its side in pixels.
    pub fn side(&self) -> usize {
        self.weights.len()
    }

    /// The weighted means over the places where the window lies within the plane, `[H, W]` values
    /// row by row.
    pub(super) fn means(&self, plane: &[f64], height: usize, width: usize) -> Vec<f64> {
        let margin = self.side() - 1;
        let columns = width - margin;
        let mut along_rows = vec![0.0; height * columns];
        for (row, means) in plane.chunks_exact(width).zip(along_rows.chunks_exact_mut(columns)) {
            for (weight, values) in self.weights.iter().zip(row.windows(columns)) {
                means.iter_mut().zip(values).for_each(|(mean, value)| *mean += weight * value);
            }
        }
        let mut means = vec![0.0; (height - margin) * columns];
        for (row, means) in means.chunks_exact_mut(columns).enumerate() {
            for (weight, values) in
                self.weights.iter().zip(along_rows.chunks_exact(columns).skip(row))
            {
                means.iter_mut().zip(values).for_each(|(mean, value)| *mean += weight * value);
            }
        }
        means
    }

    /// The weighted means around every place; at a border over the part of the window within the
    /// plane.
    pub(super) fn means_to_the_border(&self, plane: ArrayView2<f64>) -> Array2<f64> {
        gaussian::means(plane, &self.weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_fits_the_image() {
        let sides = [(4, 4, 3), (28, 28, 11), (1, 9, 1), (10, 12, 9)];
        for (height, width, side) in sides {
            assert_eq!(Window::fitting(height, width).side(), side, "{height}x{width}");
        }
    }
}
