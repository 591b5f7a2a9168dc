use burn::backend::LibTorch;
use burn::backend::libtorch::TchTensor;
use burn::tensor::DType;

/// Zeros around images, in the order in which the images lie; Burn fills an image of zeros that lies channel by channel.
#[derive(Debug)]
pub(in super::super) struct Frame;

impl super::super::frame::Frame<LibTorch> for Frame {
    fn takes(&self, _: DType) -> bool {
        true
    }

    fn framed(&self, images: &TchTensor, [top, bottom, left, right]: [i64; 4]) -> TchTensor {
        TchTensor::new(images.tensor.constant_pad_nd([left, right, top, bottom]))
    }
}
