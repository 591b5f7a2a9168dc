use burn::tensor::{Device, Tensor, TensorData};

/// Bilinear resizing as two matrix products, through which gradients flow on every backend. Pixel
/// centres lie at half-integers (PyTorch's `align_corners=False`), without antialiasing.
#[derive(Debug)]
pub(super) struct Bilinear {
    /// `[H, H']`
    rows: Tensor<2>,
    /// `[W, W']`
    columns: Tensor<2>,
}

impl Bilinear {
    /// From one size to another, each height by width.
    pub(super) fn new(from: [usize; 2], to: [usize; 2], device: &Device) -> Self {
        let matrix = |axis: usize| {
            let data = TensorData::new(weights(from[axis], to[axis]), [from[axis], to[axis]]);
            Tensor::from_data(data, device)
        };
        Self { rows: matrix(0), columns: matrix(1) }
    }

    /// # Shapes
    ///
    /// - images: `[B, C, H, W]`
    /// - output: `[B, C, H', W']`
    pub(super) fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let along = |x: Tensor<4>, matrix: &Tensor<2>| {
            let [b, c, other, side] = x.dims();
            let [_, new_side] = matrix.dims();
            let resized = x.reshape([b * c * other, side]).matmul(matrix.clone());
            resized.reshape([b, c, other, new_side]).swap_dims(2, 3)
        };
        along(along(images, &self.columns), &self.rows)
    }
}

/// What every old pixel (row) gives to every new one (column), row-major.
fn weights(from: usize, to: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; from * to];
    let step = from as f64 / to as f64;
    for new in 0..to {
        let place = ((new as f64 + 0.5) * step - 0.5).max(0.0);
        let first = (place as usize).min(from - 1);
        let second = (first + 1).min(from - 1);
        let part = place - first as f64;
        matrix[first * to + new] += (1.0 - part) as f32;
        matrix[second * to + new] += part as f32;
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_are_those_of_half_pixel_centres() {
        // torch.nn.functional.interpolate([a, b], size=4, mode="linear") is
        // [a, 0.75 a + 0.25 b, 0.25 a + 0.75 b, b]
        assert_eq!(weights(2, 4), [1.0, 0.75, 0.25, 0.0, 0.0, 0.25, 0.75, 1.0]);
        // and from four to two it is the mean of neighbours
        assert_eq!(weights(4, 2), [0.5, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.5]);
        assert_eq!(weights(3, 3), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(weights(1, 2), [1.0, 1.0]);
    }

    #[test]
    fn rows_and_columns_are_resized_each_by_their_own() {
        let device = Device::flex();
        let image = Tensor::<1>::from_floats([0.0, 4.0, 8.0, 12.0], &device).reshape([1, 1, 2, 2]);
        let resized = Bilinear::new([2, 2], [1, 4], &device).forward(image);
        assert_eq!(resized.dims(), [1, 1, 1, 4]);
        let values = resized.into_data_as::<f32>().try_into_vec::<f32>().expect("asked for f32");
        assert_eq!(values, [4.0, 5.0, 7.0, 8.0]);
    }
}
