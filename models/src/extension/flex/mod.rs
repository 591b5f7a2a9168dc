//! Affine layers, the losses, and frames and joins of images on the CPU, where a training step on Burn's `flex` backend
//! spends its time.
//!
//! `flex` lays every window of an image out as a column, multiplies matrices, and finds a weight's gradient as a
//! convolution whose kernel is as large as the image. Here images are taken apart into [planes], in which what a weight
//! meets lies side by side, so that a convolution and its transpose, forward and to the input's gradient, are the same
//! [sums](correlation) over those planes, which a [carry] puts in their place, and the weight's gradient is a sum of
//! [products]; all of them in [tiles] that stay in registers, with the activation on the way. A dense layer is found in
//! parts that the threads share, each a product of `flex`'s own, with all that `flex` does on one thread around them.

mod carry;
mod convolution;
mod correlation;
mod dense;
mod end;
mod exp;
mod frame;
mod join;
mod likelihood;
mod numbers;
mod planes;
mod products;
mod tiles;
mod window;
mod work;

use super::Steps;
use super::end::End;
use super::layer::{Gradients, Layer, Wanted};
use super::loss::Loss;
use convolution::Convolution;
use window::Window;

pub(super) use dense::Dense;
pub(super) use frame::Frame;
pub(super) use join::join;
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
