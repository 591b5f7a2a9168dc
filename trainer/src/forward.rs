//! Forward passes of a network over arrays on the host, batch by batch.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, Array4, ArrayView2, ArrayView4, Axis, Slice};
use vae_models::{Skips, Vae};

use crate::batches;
use crate::means::BATCH;

/// A network and where it is.
#[derive(Clone, Copy)]
pub struct Forward<'a> {
    /// The network.
    pub vae: &'a Vae,
    /// The device that holds its weights.
    pub device: &'a Device,
}

/// The posteriors of images: `[N, Z]` each.
#[derive(Debug, Clone)]
pub struct Codes {
    /// Means.
    pub mean: Array2<f32>,
    /// Logarithms of the variances; absent in a plain autoencoder.
    pub log_var: Option<Array2<f32>>,
}

impl Forward<'_> {
    /// The posteriors of images.
    ///
    /// # Shapes
    ///
    /// images: `[N, C, H, W]`
    pub fn encode(&self, images: ArrayView4<f32>) -> Codes {
        let mut batches = ranges(images.dim().0).map(|range| {
            let posterior = self.vae.encode(self.images(images, range)).posterior;
            (posterior.mean, posterior.log_var)
        });
        let (first_mean, first_log_var) = batches.next().expect("there is a first range");
        let (mut mean, mut log_var) = (matrix(first_mean), first_log_var.map(matrix));
        for (next_mean, next_log_var) in batches {
            append(&mut mean, matrix(next_mean));
            if let (Some(log_var), Some(next)) = (&mut log_var, next_log_var) {
                append(log_var, matrix(next));
            }
        }
        Codes { mean, log_var }
    }

    /// The images that a decoder without skips gives for latent vectors: the likelihood's means.
    ///
    /// # Shapes
    ///
    /// - latents: `[N, Z]`
    /// - output: `[N, C, H, W]`
    pub fn decode(&self, latents: ArrayView2<f32>) -> Array4<f32> {
        self.decoded(latents, |_| Skips::new())
    }

    /// The images that the decoder gives for latent vectors, each with the skips of an image.
    ///
    /// # Shapes
    ///
    /// - latents: `[N, Z]`
    /// - images and output: `[N, C, H, W]`
    pub fn decode_for(&self, latents: ArrayView2<f32>, images: ArrayView4<f32>) -> Array4<f32> {
        self.decoded(latents, |range| self.vae.encode(self.images(images, range)).skips)
    }

    /// Images by way of their posterior means.
    ///
    /// # Shapes
    ///
    /// input and output: `[N, C, H, W]`
    pub fn reconstruct(&self, images: ArrayView4<f32>) -> Array4<f32> {
        self.decode_for(self.encode(images).mean.view(), images)
    }

    fn decoded(&self, latents: ArrayView2<f32>, skips: impl Fn(Slice) -> Skips) -> Array4<f32> {
        let (mut values, mut shape) = (vec![], [0; 4]);
        for range in ranges(latents.nrows()) {
            let rows = latents.slice_axis(Axis(0), range).as_standard_layout().into_owned();
            let size = [rows.nrows(), rows.ncols()];
            let (rows, _) = rows.into_raw_vec_and_offset();
            let rows = Tensor::from_data(TensorData::new(rows, size), self.device);
            let decoded = self.vae.likelihood().mean(self.vae.decode(rows, skips(range)));
            let [count, channels, height, width] = decoded.dims();
            shape = [shape[0] + count, channels, height, width];
            values.extend(host(decoded));
        }
        Array4::from_shape_vec(shape, values).expect("the batches are whole")
    }

    fn images(&self, images: ArrayView4<f32>, range: Slice) -> Tensor<4> {
        batches::tensor(images.slice_axis(Axis(0), range).to_owned(), self.device)
    }
}

/// The batches of `count` rows; without rows, one that is empty.
fn ranges(count: usize) -> impl Iterator<Item = Slice> {
    let starts = (0..count.max(1)).step_by(BATCH);
    starts.map(move |start| Slice::from(start..count.min(start + BATCH)))
}

/// A tensor's values on the host, row-major.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_into_vec().expect("the data was asked for as f32")
}

fn matrix(tensor: Tensor<2>) -> Array2<f32> {
    let shape = tensor.dims();
    Array2::from_shape_vec(shape, host(tensor)).expect("the tensor is whole")
}

fn append(rows: &mut Array2<f32>, more: Array2<f32>) {
    rows.append(Axis(0), more.view()).expect("every batch has the same columns");
}
