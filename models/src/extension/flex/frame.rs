use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::DType;
use rayon::prelude::*;

use super::numbers::{contiguous, tensor, values};

/// Zeros around images, which threads share; Burn makes an image of zeros and writes into it, on one thread.
#[derive(Debug)]
pub(in super::super) struct Frame;

impl super::super::frame::Frame<Flex> for Frame {
    fn takes(&self, dtype: DType) -> bool {
        dtype == DType::F32
    }

    fn framed(&self, images: &FlexTensor, [top, bottom, left, right]: [i64; 4]) -> FlexTensor {
        let [batch, channels, height, width] = images.layout().shape().dims();
        let (rows, columns) = (Side::new(height, top, bottom), Side::new(width, left, right));
        let images = contiguous(images);
        let mut framed = vec![0.0; batch * channels * rows.whole * columns.whole];
        let planes = framed.par_chunks_mut((rows.whole * columns.whole).max(1));
        planes.zip(values(&images).par_chunks((height * width).max(1))).for_each(
            |(framed, plane)| {
                let places = framed.chunks_mut(columns.whole.max(1)).skip(rows.to);
                let lines = plane.chunks(width).skip(rows.from).take(rows.len);
                for (place, line) in places.zip(lines) {
                    let line = &line[columns.from..][..columns.len];
                    place[columns.to..][..columns.len].copy_from_slice(line);
                }
            },
        );
        tensor(framed, [batch, channels, rows.whole, columns.whole])
    }
}

/// Rows or columns: what stays, and where.
struct Side {
    from: usize,
    to: usize,
    len: usize,
    whole: usize,
}

impl Side {
    fn new(size: usize, before: i64, behind: i64) -> Self {
        let grown = |size: usize, by: i64| size.saturating_add_signed(by as isize);
        let (from, to) = (grown(0, -before), grown(0, before));
        let whole = grown(grown(size, before), behind);
        Self { from, to, len: size.saturating_sub(from).min(whole.saturating_sub(to)), whole }
    }
}
