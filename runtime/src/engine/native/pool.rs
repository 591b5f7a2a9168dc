//! Pooling over images.

use super::step::Pool;

/// Every output pixel from the part of its window that lies in the image.
pub(super) fn run(pool: &Pool, input: &[f32], output: &mut [f32]) {
    let (_, from, source) = pool.input;
    let (_, to, target) = pool.output;
    let [channels, height, width] = source.dims;
    let [_, rows, columns] = target.dims;
    let covered = |axis: usize, place: usize, size: usize| {
        let first = place * pool.strides[axis];
        let [begin, end] = [first, first + pool.kernel[axis]]
            .map(|at| at.saturating_sub(pool.before[axis]).min(size));
        begin..end
    };
    for row in 0..rows {
        let ys = covered(0, row, height);
        for column in 0..columns {
            let xs = covered(1, column, width);
            let place = to + row * target.strides[1] + column * target.strides[2];
            let count = (ys.len() * xs.len()) as f32;
            let (empty, scale) = if pool.mean { (0.0, 1.0 / count) } else { (f32::MIN, 1.0) };
            for channel in 0..channels {
                let mut result = empty;
                for y in ys.clone() {
                    let row = from + channel * source.strides[0] + y * source.strides[1];
                    for x in xs.clone() {
                        let value = input[row + x * source.strides[2]];
                        match pool.mean {
                            true => result += value,
                            false if value > result || value.is_nan() => result = value,
                            false => {}
                        }
                    }
                }
                output[place + channel * target.strides[0]] = result * scale;
            }
        }
    }
}
