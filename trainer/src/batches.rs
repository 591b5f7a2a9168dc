//! Batches of a data set: an index into one tensor on the device, or read ahead of the loop where it is
//! too large.

use std::ops::Range;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use burn::tensor::{Device, Int, Tensor, TensorData};
use crossbeam_channel::{Receiver, bounded};
use ndarray::Array4;

use crate::data::{self, Images, within};
use crate::device::channels_last;

/// Batches that wait for the loop, beside the one that it has and the one that is being read.
const AHEAD: usize = 2;

/// A data set, ready to be read in any order.
pub struct Batches {
    images: Source,
    count: usize,
    device: Device,
}

enum Source {
    /// On the device.
    Resident(Box<Laid>),
    /// In memory, or in files.
    Host(Arc<Images>),
}

/// Images on a device, in the order in which its convolutions take them.
struct Laid {
    /// `[N, C, H, W]`, or `[N, H, W, C]`.
    images: Tensor<4>,
    channels_last: bool,
}

impl Laid {
    fn new(images: Array4<f32>, channels_last: bool, device: &Device) -> Self {
        let images = if channels_last { images.permuted_axes([0, 2, 3, 1]) } else { images };
        let shape = images.shape().to_vec();
        let images = match images.is_standard_layout() {
            true => images,
            false => images.as_standard_layout().into_owned(),
        };
        let (values, _) = images.into_raw_vec_and_offset();
        let images = Tensor::from_data(TensorData::new(values, shape), device);
        Self { images, channels_last }
    }

    /// `[B, C, H, W]`
    fn select(&self, chosen: Tensor<1, Int>) -> Tensor<4> {
        self.images(self.images.clone().select(0, chosen))
    }

    fn images(&self, images: Tensor<4>) -> Tensor<4> {
        if self.channels_last { images.permute([0, 3, 1, 2]) } else { images }
    }
}

/// One pass over a data set in an order: its batches, one after the other.
pub struct Pass<'a> {
    reading: Reading<'a>,
    device: &'a Device,
    images: usize,
    batch_size: usize,
    next: usize,
}

enum Reading<'a> {
    /// Images and their order, both on the device.
    Resident(&'a Laid, Box<Tensor<1, Int>>),
    /// What a thread reads.
    Ahead(Receiver<Result<Array4<f32>, data::Error>>),
}

impl Batches {
    /// Brings a data set in memory to the device where it takes at most `resident_mib` MiB there.
    pub fn new(images: impl Into<Images>, resident_mib: usize, device: &Device) -> Self {
        let images = images.into();
        let count = images.len();
        let fits = |images: &Array4<f32>| within(images.len() * size_of::<f32>(), resident_mib);
        let images = match images {
            Images::Decoded(images) if fits(&images) => {
                Source::Resident(Box::new(Laid::new(images, channels_last(device), device)))
            }
            images => Source::Host(Arc::new(images)),
        };
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

    /// Where the images are, for people.
    pub fn place(&self) -> &'static str {
        match &self.images {
            Source::Resident(_) => "on the device",
            Source::Host(images) => match **images {
                Images::Decoded(_) => "copied batch by batch",
                Images::Stored(_) => "read batch by batch",
            },
        }
    }

    /// A pass in an order of indices, from the batch of a number on.
    pub fn pass(&self, order: Vec<usize>, batch_size: usize, first: usize) -> Pass<'_> {
        let images = order.len();
        let reading = match &self.images {
            Source::Resident(images) => {
                let indices: Vec<i64> = order.iter().map(|&i| i as i64).collect();
                let count = indices.len();
                let order = Tensor::from_data(TensorData::new(indices, [count]), &self.device);
                Reading::Resident(images, Box::new(order))
            }
            Source::Host(images) => {
                let images = Arc::clone(images);
                let read = move |chosen: &[usize]| images.read(chosen);
                Reading::Ahead(read_ahead(read, order, batch_size, first))
            }
        };
        Pass { reading, device: &self.device, images, batch_size, next: first }
    }

    /// A pass in the data set's own order.
    pub fn in_order(&self, batch_size: usize) -> Pass<'_> {
        self.pass((0..self.count).collect(), batch_size, 0)
    }
}

impl Pass<'_> {
    /// The number of batches with those before the first; the last one may be smaller.
    pub fn batches(&self) -> usize {
        self.images.div_ceil(self.batch_size)
    }

    fn read(&self, Range { start, end }: Range<usize>) -> Result<Tensor<4>> {
        match &self.reading {
            Reading::Resident(images, order) => {
                let order = order.as_ref().clone().narrow(0, start, end - start);
                Ok(images.select(order))
            }
            Reading::Ahead(batches) => {
                let batch = batches.recv().context("the thread that reads images broke down")?;
                Ok(tensor(batch?, self.device))
            }
        }
    }
}

impl Iterator for Pass<'_> {
    /// `[B, C, H, W]` on the device.
    type Item = Result<Tensor<4>>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next * self.batch_size;
        let end = self.images.min(start + self.batch_size);
        self.next += 1;
        (start < end).then(|| self.read(start..end))
    }
}

/// Reads batches on a thread of its own, until nobody takes them any more.
fn read_ahead(
    read: impl Fn(&[usize]) -> Result<Array4<f32>, data::Error> + Send + 'static,
    order: Vec<usize>,
    batch_size: usize,
    first: usize,
) -> Receiver<Result<Array4<f32>, data::Error>> {
    let (batches, taken) = bounded(AHEAD);
    thread::spawn(move || {
        for chosen in order.chunks(batch_size).skip(first) {
            let batch = read(chosen);
            let broken = batch.is_err();
            if batches.send(batch).is_err() || broken {
                return;
            }
        }
    });
    taken
}

/// Brings images to a device: `[N, C, H, W]`.
pub(crate) fn tensor(images: Array4<f32>, device: &Device) -> Tensor<4> {
    let laid = Laid::new(images, channels_last(device), device);
    laid.images(laid.images.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_batch_is_the_same_from_the_device_and_from_the_host() {
        let device = Device::flex();
        let images =
            Array4::from_shape_fn((11, 1, 2, 2), |(n, _, h, w)| (n * 4 + h * 2 + w) as f32);
        let order = vec![3, 0, 10, 4, 1, 2, 9, 8, 6, 7, 5];
        let resident = Batches::new(images.clone(), 1, &device);
        let host = Batches::new(images, 0, &device);
        assert_ne!(resident.place(), host.place());
        for first in [0, 2, 5, 6] {
            let pass = |batches: &Batches| -> Vec<TensorData> {
                let pass = batches.pass(order.clone(), 2, first);
                assert_eq!(pass.batches(), 6);
                pass.map(|batch| batch.expect("it is in memory").into_data()).collect()
            };
            let (resident, host) = (pass(&resident), pass(&host));
            assert_eq!((resident.len(), host.len()), (6 - first, 6 - first));
            for (place, (a, b)) in resident.iter().zip(&host).enumerate() {
                assert_eq!(a.shape()[0], if first + place == 5 { 1 } else { 2 });
                a.assert_eq(b, true);
            }
        }
    }

    #[test]
    fn images_that_lie_channels_last_are_the_same() {
        let device = Device::flex();
        let images = Array4::from_shape_fn((5, 3, 2, 4), |(n, c, h, w)| {
            (n * 1000 + c * 100 + h * 10 + w) as f32
        });
        let [one, other] = [false, true].map(|last| Laid::new(images.clone(), last, &device));
        let chosen = Tensor::<1, Int>::from_ints([3, 0, 4], &device);
        let expected = one.select(chosen.clone());
        assert_eq!(expected.dims(), [3, 3, 2, 4]);
        expected.into_data().assert_eq(&other.select(chosen).into_data(), true);
        other.images(other.images.clone()).into_data().assert_eq(&one.images.into_data(), true);
    }

    #[test]
    fn a_set_that_takes_as_much_as_it_may_is_on_the_device() {
        for (images, place) in [(256, "on the device"), (257, "copied batch by batch")] {
            let images = Array4::zeros((images, 1, 32, 32)); // 4 KiB each
            assert_eq!(Batches::new(images, 1, &Device::flex()).place(), place);
        }
    }

    #[test]
    fn two_batches_wait_and_a_fourth_is_read_while_the_loop_has_one() {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let read = move |_: &[usize]| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(Array4::zeros((1, 1, 1, 1)))
        };
        let batches = read_ahead(read, (0..100).collect(), 1, 0);
        batches.recv().expect("there are 100").expect("all can be read");
        let still = || {
            let before = begun.load(Ordering::SeqCst);
            thread::sleep(Duration::from_millis(50));
            (begun.load(Ordering::SeqCst) == before && before >= 4).then_some(before)
        };
        let begun = std::iter::repeat_with(still).take(200).flatten().next();
        assert_eq!(begun, Some(4));
        assert_eq!(batches.iter().count(), 99);
    }

    #[test]
    fn a_pass_may_be_left() {
        let device = Device::flex();
        let host = Batches::new(Array4::zeros((100, 1, 1, 1)), 0, &device);
        let mut pass = host.in_order(1);
        assert!(pass.next().is_some_and(|batch| batch.is_ok()));
        drop(pass);
        assert_eq!(host.in_order(7).count(), 15);
    }
}
