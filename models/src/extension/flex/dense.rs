use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use pulp::Arch;
use rayon::prelude::*;

use super::numbers::{contiguous, tensor, values, whole};
use super::work::{SHARE, add};
use super::{End, Gradients, Layer, Wanted};

/// Columns of a product that a thread finds at once, as wide as the widest kernel of `flex`'s products.
const COLUMNS: usize = 64;

/// A dense layer and its end.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Dense(pub(in super::super) End);

impl Layer<Flex> for Dense {
    fn takes(&self, dtype: DType) -> bool {
        dtype == DType::F32
    }

    /// # Shapes
    ///
    /// - input: `[B, F]`
    /// - weight: `[F, F']`
    /// - bias: `[F']`
    /// - output: `[B, F']`
    fn forward(&self, input: &FlexTensor, weight: &FlexTensor, bias: &FlexTensor) -> FlexTensor {
        let (input, bias) = (contiguous(input), contiguous(bias));
        let bias = values(&bias);
        product(&input, weight, |first, row| {
            add(row, &bias[first..][..row.len()]);
            Arch::new().dispatch(|| self.0.finish(row));
        })
    }

    fn backward(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output: &FlexTensor,
        gradient: FlexTensor,
        wanted: Wanted,
    ) -> Gradients<Flex> {
        let mut gradient = whole(gradient);
        if self.0 != End::Nothing {
            let output = contiguous(output);
            let outputs = values(&output).par_chunks(SHARE);
            let gradients = gradient.storage_mut::<f32>().par_chunks_mut(SHARE);
            gradients.zip(outputs).for_each(|(gradients, outputs)| {
                Arch::new().dispatch(|| self.0.turn(gradients, outputs));
            });
        }
        let of_input =
            || wanted.input.then(|| product(&gradient, &weight.transpose(0, 1), |_, _| ()));
        let of_weights = || {
            let [_, units] = gradient.layout().shape().dims();
            let bias = wanted.bias.then(|| {
                let mut bias = vec![0.0; units];
                values(&gradient).chunks_exact(units).for_each(|row| add(&mut bias, row));
                tensor(bias, [units])
            });
            let weight =
                wanted.weight.then(|| product(&input.transpose(0, 1), &gradient, |_, _| ()));
            (weight, bias)
        };
        let (input, (weight, bias)) = rayon::join(of_input, of_weights);
        Gradients { input, weight, bias }
    }
}

/// `left x right`, where `finish` gets every row in pieces, each with the number of its first column.
///
/// # Shapes
///
/// `[M, K] x [K, N]` to `[M, N]`
fn product(
    left: &FlexTensor,
    right: &FlexTensor,
    finish: impl Fn(usize, &mut [f32]) + Sync,
) -> FlexTensor {
    let ([rows, _], [_, columns]) = (left.layout().shape().dims(), right.layout().shape().dims());
    let mut output = vec![0.0; rows * columns];
    let mut parts: Vec<_> = (0..columns)
        .step_by(COLUMNS)
        .map(|first| (first, COLUMNS.min(columns - first), Vec::with_capacity(rows)))
        .collect();
    for row in output.chunks_mut(columns) {
        let places = row.chunks_mut(COLUMNS).zip(&mut parts);
        places.for_each(|(place, (.., places))| places.push(place));
    }
    parts.into_par_iter().for_each(|(first, width, places)| {
        let found = Flex::float_matmul(left.clone(), right.narrow(1, first, width));
        for (place, found) in places.into_iter().zip(values(&found).chunks_exact(width)) {
            place.copy_from_slice(found);
            finish(first, place);
        }
    });
    tensor(output, [rows, columns])
}
