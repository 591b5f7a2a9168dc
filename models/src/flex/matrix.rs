use burn::backend::Flex;
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Bytes, DType, Shape};

/// A tensor of the given numbers, row-major.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::new(shape)), DType::F32)
}

/// The tensor itself, or a copy whose numbers lie row-major.
pub(super) fn contiguous(tensor: &FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor.clone() } else { tensor.to_contiguous() }
}

/// The numbers of a tensor from [`contiguous`].
pub(super) fn values(contiguous: &FlexTensor) -> &[f32] {
    contiguous.as_slice().unwrap_or(&[])
}

/// The product of two matrices, as `flex` finds it.
pub(super) fn product(left: FlexTensor, right: FlexTensor) -> FlexTensor {
    Flex::float_matmul(left, right)
}

/// Room for a matrix that is filled again and again.
pub(super) struct Room(FlexTensor);

impl Room {
    pub(super) fn new(len: usize) -> Self {
        Self(tensor(vec![0.0; len], [len]))
    }

    /// Room for some numbers, once no view of the last ones is left.
    pub(super) fn at_least(&mut self, len: usize) -> &mut [f32] {
        if self.0.layout().num_elements() < len {
            *self = Self::new(len);
        }
        self.0.storage_mut()
    }

    /// The matrix that the first numbers are.
    pub(super) fn matrix(&self, rows: usize, columns: usize) -> FlexTensor {
        let layout = Layout::contiguous(Shape::new([rows, columns]));
        FlexTensor::from_arc(self.0.data_arc(), layout, DType::F32)
    }
}
