//! Batches of a data set: an index into one tensor on the device, or a copy where it is too large.

use burn::tensor::{Device, Int, Tensor, TensorData};
use ndarray::{Array4, Axis};

/// A data set, ready to be read in any order.
pub struct Batches {
    images: Source,
    count: usize,
    device: Device,
}

enum Source {
    /// `[N, C, H, W]` on the device.
    Resident(Tensor<4>),
    /// `[N, C, H, W]` on the host.
    Host(Array4<f32>),
}

/// One pass over a data set, in an order.
pub struct Pass<'a> {
    batches: &'a Batches,
    order: Vec<usize>,
    resident_order: Option<Tensor<1, Int>>,
    batch_size: usize,
}

impl Batches {
    /// Brings a data set to the device where it takes at most `resident_mib` MiB there.
    pub fn new(images: Array4<f32>, resident_mib: usize, device: &Device) -> Self {
        let count = images.len_of(Axis(0));
        let fits = (images.len() * size_of::<f32>()) >> 20 < resident_mib;
        let images =
            if fits { Source::Resident(tensor(images, device)) } else { Source::Host(images) };
        Self { images, count, device: device.clone() }
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the images are on the device.
    pub fn resident(&self) -> bool {
        matches!(self.images, Source::Resident(_))
    }

    /// A pass in an order of indices.
    pub fn pass(&self, order: Vec<usize>, batch_size: usize) -> Pass<'_> {
        let resident_order = self.resident().then(|| {
            let indices: Vec<i64> = order.iter().map(|&i| i as i64).collect();
            let count = indices.len();
            Tensor::from_data(TensorData::new(indices, [count]), &self.device)
        });
        Pass { batches: self, order, resident_order, batch_size }
    }

    /// A pass in the data set's own order.
    pub fn in_order(&self, batch_size: usize) -> Pass<'_> {
        self.pass((0..self.count).collect(), batch_size)
    }
}

impl Pass<'_> {
    /// The number of batches; the last one may be smaller.
    pub fn len(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    /// Whether there is no batch.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// A batch by its number.
    ///
    /// # Shapes
    ///
    /// output: `[B, C, H, W]`
    pub fn batch(&self, number: usize) -> Tensor<4> {
        let start = number * self.batch_size;
        let len = self.batch_size.min(self.order.len() - start);
        match (&self.batches.images, &self.resident_order) {
            (Source::Resident(images), Some(order)) => {
                images.clone().select(0, order.clone().narrow(0, start, len))
            }
            (Source::Host(images), _) => {
                let chosen = images.select(Axis(0), &self.order[start..start + len]);
                tensor(chosen, &self.batches.device)
            }
            (Source::Resident(_), None) => unreachable!("a pass brings its order to the device"),
        }
    }
}

/// Brings images to a device.
pub(crate) fn tensor(images: Array4<f32>, device: &Device) -> Tensor<4> {
    let shape = images.shape().to_vec();
    let images = match images.is_standard_layout() {
        true => images,
        false => images.as_standard_layout().into_owned(),
    };
    let (values, _) = images.into_raw_vec_and_offset();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_the_same_from_the_device_and_from_the_host() {
        let device = Device::flex();
        let images = Array4::from_shape_fn((5, 1, 2, 2), |(n, _, h, w)| (n * 4 + h * 2 + w) as f32);
        let order = vec![3, 0, 4, 1, 2];
        let resident = Batches::new(images.clone(), 1, &device);
        let host = Batches::new(images, 0, &device);
        assert!(resident.resident() && !host.resident());
        let (resident, host) = (resident.pass(order.clone(), 2), host.pass(order, 2));
        assert_eq!(resident.len(), 3);
        for number in 0..3 {
            let (a, b) = (resident.batch(number), host.batch(number));
            assert_eq!(a.dims()[0], if number == 2 { 1 } else { 2 });
            a.into_data().assert_eq(&b.into_data(), true);
        }
    }
}
