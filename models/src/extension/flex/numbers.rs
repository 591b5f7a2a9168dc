use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

/// A tensor of the given numbers, row-major.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::new(shape)), DType::F32)
}

/// The tensor itself, or a copy whose numbers lie row-major.
pub(super) fn contiguous(tensor: &FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor.clone() } else { tensor.to_contiguous() }
}

/// The tensor itself, or a copy, whose numbers lie row-major and are all of its storage. Taken by value: one that
/// nobody else has is then changed in place.
pub(super) fn whole(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// The numbers of a tensor from [`contiguous`].
pub(super) fn values(contiguous: &FlexTensor) -> &[f32] {
    contiguous.as_slice().unwrap_or(&[])
}
