//! Affine layers and the losses on the CPU, where a training step on Burn's `flex` backend spends its time.
//!
//! `flex` finds a weight's gradient of a convolution as one whose kernel is as large as the image, and goes
//! over every image several times to turn it round. Here a convolution and its transpose, forward and
//! backward, are the same three products of matrices, of `flex`'s own, with the activation on the way. So is a dense
//! layer, whose products are found in parts that the threads share, with all that `flex` does on one thread around
//! them.

mod convolution;
mod dense;
mod end;
mod exp;
mod likelihood;
mod matrix;
mod phases;
mod window;
mod work;

use super::Steps;
use super::end::End;
use super::layer::{Gradients, Layer, Wanted};
use super::loss::Loss;
use convolution::Convolution;
use window::Window;

pub(super) use dense::Dense;
pub(super) use likelihood::{Bernoulli, SquaredError};

/// A convolution or a transposed one, of an image and a weight of these shapes.
pub(super) fn convolution(
    Steps { stride, padding, transposed }: Steps,
    [_, _, height, width]: [usize; 4],
    [small_channels, channels, rows, columns]: [usize; 4],
    end: End,
) -> Convolution {
    let (image, kernel) = ([height, width], [rows, columns]);
    let other = |axis: usize| match transposed {
        Some(added) => {
            let whole = (image[axis] - 1) * stride[axis] + kernel[axis] + added[axis];
            whole - 2 * padding[axis]
        }
        None => (image[axis] + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1,
    };
    let other = [other(0), other(1)];
    let (large, small) = if transposed.is_some() { (other, image) } else { (image, other) };
    let window = Window { channels, large, small_channels, small, kernel, stride, padding };
    Convolution { window, transposed: transposed.is_some(), end }
}
