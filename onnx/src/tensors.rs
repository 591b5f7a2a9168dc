//! From Burn's tensors to `ndarray`'s, and back.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{ArrayD, Dimension};

/// A tensor's values, row-major.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_into_vec().expect("the data was asked for as f32")
}

pub(crate) fn to_array<const D: usize>(tensor: Tensor<D>) -> ArrayD<f32> {
    let dims = tensor.dims();
    ArrayD::from_shape_vec(&dims[..], values(tensor)).expect("a tensor holds its dimensions")
}

pub(crate) fn to_tensor<const D: usize, I: Dimension>(
    array: ndarray::ArrayView<f32, I>,
    device: &Device,
) -> Tensor<D> {
    let shape = array.shape().to_vec();
    Tensor::from_data(TensorData::new(array.iter().copied().collect(), shape), device)
}
