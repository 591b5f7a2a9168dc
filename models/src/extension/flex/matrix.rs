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

/// The tensor itself, or a copy, whose numbers lie row-major and are all of its storage. Taken by value: one that
/// nobody else has is then changed in place.
pub(super) fn whole(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// The numbers of a tensor from [`contiguous`].
pub(super) fn values(contiguous: &FlexTensor) -> &[f32] {
    contiguous.as_slice().unwrap_or(&[])
}

/// A matrix that is filled again and again.
pub(super) struct Matrix {
    room: FlexTensor,
    rows: usize,
    columns: usize,
}

impl Matrix {
    /// A matrix of zeros with room for `rows x columns` numbers.
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        Self { room: tensor(vec![0.0; rows * columns], [rows * columns]), rows, columns }
    }

    /// Its numbers, row-major, once it has so many columns, of which it has had as many before.
    pub(super) fn with_columns(&mut self, columns: usize) -> &mut [f32] {
        self.columns = columns;
        &mut self.room.storage_mut()[..self.rows * columns]
    }

    fn tensor(&self) -> FlexTensor {
        let layout = Layout::contiguous(Shape::new([self.rows, self.columns]));
        FlexTensor::from_arc(self.room.data_arc(), layout, DType::F32)
    }

    /// `left x self`
    pub(super) fn times(&self, left: &FlexTensor) -> FlexTensor {
        Flex::float_matmul(left.clone(), self.tensor())
    }

    /// `self x right^T`
    pub(super) fn times_transposed(&self, right: &Self) -> FlexTensor {
        Flex::float_matmul(self.tensor(), right.tensor().transpose(0, 1))
    }
}
