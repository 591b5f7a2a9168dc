use ndarray::{Array, Array2, Array4, ArrayD, ArrayView, Axis, Dimension, RemoveAxis};

use crate::verify::Golden;
use crate::{Bundle, Error};

/// The inputs recorded in a bundle, repeated to a batch: real ones, since the time of a run may
/// depend on its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What goes into the encoder, `[B, C, H, W]`.
    pub images: Array4<f32>,
    /// What goes into the decoder, `[B, Z]`.
    pub latents: Array2<f32>,
    /// What goes into the decoder beside that, each `[B, …]`.
    pub skips: Vec<ArrayD<f32>>,
}

impl Batch {
    /// A batch of a size of at least 1.
    ///
    /// # Errors
    ///
    /// [`Error::Bundle`] for records that are missing or misshapen.
    pub fn recorded(bundle: &Bundle, size: usize) -> Result<Self, Error> {
        let tensors = bundle.golden()?;
        let golden = Golden { bundle, tensors: &tensors };
        let skips = golden.skips()?;
        Ok(Self {
            images: repeated(golden.images()?, size),
            latents: repeated(golden.latents()?, size),
            skips: skips.iter().map(|skip| repeated(skip.view(), size)).collect(),
        })
    }

    /// The bytes that a batch and its results take, where that is a number.
    pub fn bytes(bundle: &Bundle, size: usize) -> Option<usize> {
        let manifest = &bundle.manifest;
        let graphs = [&manifest.encoder, &manifest.decoder];
        let tensors = graphs.iter().flat_map(|graph| graph.inputs.iter().chain(&graph.outputs));
        let values = tensors.map(|tensor| {
            tensor.shape.iter().try_fold(size, |values, &axis| values.checked_mul(axis))
        });
        let values: Option<Vec<_>> = values.collect();
        let values = values?.into_iter().try_fold(0_usize, usize::checked_add);
        values?.checked_mul(size_of::<f32>())
    }

    /// The number of images in it.
    pub fn size(&self) -> usize {
        self.images.len_of(Axis(0))
    }
}

/// So many rows of a tensor, which has some, from the first one again behind the last.
fn repeated<D: Dimension + RemoveAxis>(tensor: ArrayView<f32, D>, rows: usize) -> Array<f32, D> {
    let recorded = tensor.len_of(Axis(0));
    let rows: Vec<_> = (0..rows).map(|row| row % recorded).collect();
    tensor.select(Axis(0), &rows)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_begin_again_behind_the_last() {
        let tensor = array![[1.0, 2.0], [3.0, 4.0]];
        assert_eq!(repeated(tensor.view(), 1), array![[1.0, 2.0]]);
        assert_eq!(repeated(tensor.view(), 3), array![[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]);
    }
}
