//! What an image and its reconstruction differ by, layer for layer of the encoder.

use ndarray::{Array2, ArrayView1, ArrayViewD, Axis, Slice};

/// The most values of a layer that are looked at one by one: a larger picture of activations is
/// averaged over cells first.
const MOST_VALUES: usize = 1024;

/// The differences h(x̂) − h(x) of layers of a batch, side by side (Kim et al., RaPP, ICLR 2020).
///
/// A layer that is a picture of more than 1,024 values is averaged over the cells of a square grid
/// until it has no more, or one a channel.
///
/// # Shapes
///
/// image, reconstruction: `[B, …]` for every layer, output: `[B, D]`
pub(super) fn differences(image: &[ArrayViewD<f32>], other: &[ArrayViewD<f32>]) -> Array2<f32> {
    let batch = image.first().map_or(0, |layer| layer.len_of(Axis(0)));
    let rows: Vec<Vec<f32>> = (0..batch)
        .map(|place| {
            let of = |layer: &ArrayViewD<f32>| layer.index_axis(Axis(0), place).to_owned();
            let pairs = image.iter().zip(other);
            pairs.flat_map(|(x, y)| reduced((of(y) - of(x)).view())).collect()
        })
        .collect();
    let width = rows.first().map_or(0, Vec::len);
    Array2::from_shape_vec((batch, width), rows.concat()).expect("all rows are of the same layers")
}

/// Values of a layer, averaged over cells where there are too many.
fn reduced(layer: ArrayViewD<f32>) -> Vec<f32> {
    let &[channels, height, width] = layer.shape() else { return layer.iter().copied().collect() };
    if layer.len() <= MOST_VALUES {
        return layer.iter().copied().collect();
    }
    let side = (1..).take_while(|side| channels * side * side <= MOST_VALUES).last().unwrap_or(1);
    let (rows, columns) = (side.min(height), side.min(width));
    let mut means = Vec::with_capacity(channels * rows * columns);
    for channel in layer.axis_iter(Axis(0)) {
        for row in 0..rows {
            let band = channel.slice_axis(Axis(0), cell(row, rows, height));
            for column in 0..columns {
                let cell = band.slice_axis(Axis(1), cell(column, columns, width));
                means.push(
                    (cell.iter().map(|&v| f64::from(v)).sum::<f64>() / cell.len() as f64) as f32,
                );
            }
        }
    }
    means
}

/// The pixels of one of `count` cells along an axis; every pixel is in at least one.
fn cell(place: usize, count: usize, size: usize) -> Slice {
    Slice::from(place * size / count..((place + 1) * size).div_ceil(count))
}

/// The squared length of a difference.
pub(super) fn squared(difference: ArrayView1<f32>) -> f64 {
    difference.iter().map(|&v| f64::from(v).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, ArrayD};

    use super::*;

    #[test]
    fn layers_stand_side_by_side() {
        let layer = |values: &[f32]| {
            Array::from_shape_vec((2, values.len() / 2), values.to_vec())
                .expect("two rows")
                .into_dyn()
        };
        let image = [layer(&[1.0, 2.0, 3.0, 4.0]), layer(&[5.0, 6.0])];
        let reconstruction = [layer(&[1.5, 2.0, 3.0, 5.0]), layer(&[5.0, 4.0])];
        let [image, reconstruction] =
            [&image, &reconstruction].map(|layers| layers.each_ref().map(|layer| layer.view()));
        let got = differences(&image, &reconstruction);
        assert_eq!(got, ndarray::array![[0.5, 0.0, 0.0], [0.0, 1.0, -2.0]]);
        assert_eq!(squared(got.row(1)), 5.0);
        assert_eq!(differences(&[], &[]).dim(), (0, 0));
    }

    #[test]
    fn a_large_picture_is_averaged_over_cells() {
        // 100 channels leave a grid of 3 x 3; every channel holds its number.
        let picture = ArrayD::from_shape_fn(vec![100, 7, 2], |place| place[0] as f32);
        let means = reduced(picture.view());
        assert_eq!(means.len(), 100 * 3 * 2);
        assert!(means.iter().enumerate().all(|(i, &mean)| mean == (i / 6) as f32));
        let row = ArrayD::from_shape_fn(vec![1, 64, 64], |place| place[1] as f32);
        let means = reduced(row.view());
        assert_eq!((means.len(), means[0], means[1023]), (1024, 0.5, 62.5));
        assert_eq!(reduced(ArrayD::zeros(vec![2000]).view()).len(), 2000, "no picture");
    }
}
