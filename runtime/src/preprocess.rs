//! From a picture to the tensor that a network takes, and back.
//!
//! Training and inference both call [`ImageSpec::write`], so their inputs are equal by construction.

mod fit;

use std::borrow::Cow;

use image::{DynamicImage, GrayImage, RgbImage};
use ndarray::{Array3, Array4, ArrayView3, ArrayViewMut3, Axis, Zip};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::images::{Picture, Pixels, guarded};

/// The pictures that a network takes: `C` channels of `H` by `W` pixels, with values in a range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// 1 for grey, 3 for RGB.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// The values of black and of white in the tensor.
    #[serde(default = "unit_range")]
    pub range: [f32; 2],
    /// What happens to a picture of another size.
    #[serde(default)]
    pub resize: Resize,
    /// The threshold, in tensor values, at and above which a pixel becomes white and below which it
    /// becomes black; absent for grey values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binarize: Option<f32>,
}

/// What happens to a picture whose size is not the network's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Resize {
    /// It is refused.
    #[default]
    Refuse,
    /// It is scaled to the network's size, whatever its proportions.
    Stretch,
    /// It is scaled until it covers the network's size, and its centre is kept.
    Crop,
}

fn unit_range() -> [f32; 2] {
    [0.0, 1.0]
}

/// The largest side of an image that a network may take.
const MAX_SIDE: usize = 16_384;

impl ImageSpec {
    /// Pictures of this size with values from 0 to 1, refused at any other size.
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Self {
            channels,
            height,
            width,
            range: unit_range(),
            resize: Resize::Refuse,
            binarize: None,
        }
    }

    /// The tensor's shape without the batch axis, `[C, H, W]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Checks that such pictures can exist.
    ///
    /// # Errors
    ///
    /// One sentence that says which field is wrong.
    pub fn check(&self) -> Result<(), String> {
        let Self { channels, height, width, range: [black, white], .. } = *self;
        if !matches!(channels, 1 | 3) {
            return Err(format!("images have 1 or 3 channels, not {channels}"));
        }
        if !(1..=MAX_SIDE).contains(&height) || !(1..=MAX_SIDE).contains(&width) {
            return Err(format!(
                "images are 1 to {MAX_SIDE} pixels wide and high, not {width}x{height}"
            ));
        }
        if !(black.is_finite() && white.is_finite() && black < white) {
            return Err(format!("the range of pixel values is [{black}, {white}]"));
        }
        if let Some(threshold) = self.binarize.filter(|t| !(black..=white).contains(t)) {
            return Err(format!(
                "the threshold for binarization is {threshold}, and pixels are from {black} to {white}"
            ));
        }
        Ok(())
    }

    /// Turns a picture into the network's input.
    ///
    /// Grey and RGB are converted into each other (luma weights 0.2126, 0.7152, 0.0722), alpha is
    /// composited over black, 8 and 16 bit integers are scaled by their largest value, and colour
    /// profiles are ignored. A picture that is already a tensor of `f32` must have the
    /// network's size and values within its range.
    ///
    /// # Shapes
    ///
    /// output: `[C, H, W]`
    ///
    /// # Errors
    ///
    /// [`Error::ImageSize`] for another size under [`Resize::Refuse`], [`Error::Image`] for a
    /// tensor that is not of this kind.
    pub fn tensor(&self, picture: &Picture) -> Result<Array3<f32>, Error> {
        let mut tensor = Array3::zeros(self.shape());
        self.write(picture, tensor.view_mut())?;
        Ok(tensor)
    }

    /// Turns pictures into one batch, each as by [`ImageSpec::tensor`].
    ///
    /// # Shapes
    ///
    /// output: `[B, C, H, W]`
    ///
    /// # Errors
    ///
    /// As [`ImageSpec::tensor`], for the first picture that fails.
    pub fn batch<'a>(
        &self,
        pictures: impl IntoIterator<Item = &'a Picture, IntoIter: ExactSizeIterator>,
    ) -> Result<Array4<f32>, Error> {
        let pictures = pictures.into_iter();
        let mut batch = Array4::zeros((pictures.len(), self.channels, self.height, self.width));
        for (place, picture) in batch.axis_iter_mut(Axis(0)).zip(pictures) {
            self.write(picture, place)?;
        }
        Ok(batch)
    }

    /// The picture at the network's size and with its channels: its tensor stays what it was.
    ///
    /// # Errors
    ///
    /// As [`ImageSpec::tensor`], but for a picture that is a tensor already, which is left as it is.
    pub fn prepared(&self, picture: Picture) -> Result<Picture, Error> {
        let Picture { name, pixels } = picture;
        let pixels = match pixels {
            Pixels::Integer(image) => {
                let broken = |reason| Error::Image { name: name.clone(), reason };
                let fitted = match guarded(|| self.fitted(&name, &image), broken)? {
                    Cow::Borrowed(_) => None,
                    Cow::Owned(fitted) => Some(fitted),
                };
                Pixels::Integer(fitted.unwrap_or(image))
            }
            pixels @ Pixels::Float(_) => pixels,
        };
        Ok(Picture { name, pixels })
    }

    /// Writes a picture's tensor to a place, as by [`ImageSpec::tensor`].
    ///
    /// # Shapes
    ///
    /// place: `[C, H, W]`
    ///
    /// # Errors
    ///
    /// As [`ImageSpec::tensor`]; what is at the place then is not said.
    ///
    /// # Panics
    ///
    /// Where the place has another shape.
    pub fn write(&self, picture: &Picture, place: ArrayViewMut3<f32>) -> Result<(), Error> {
        assert_eq!(place.shape(), self.shape(), "a tensor's place has its shape");
        match &picture.pixels {
            Pixels::Integer(image) => {
                let of_bytes = || std::array::from_fn::<_, 256, _>(|v| self.value(v as u32, 255));
                let of_words = |v: u16| self.value(v.into(), 65_535);
                match &*self.fitted(&picture.name, image)? {
                    DynamicImage::ImageLuma8(grey) => fill(place, grey, by_byte(&of_bytes())),
                    DynamicImage::ImageRgb8(rgb) => fill(place, rgb, by_byte(&of_bytes())),
                    DynamicImage::ImageLuma16(grey) => fill(place, grey, of_words),
                    DynamicImage::ImageRgb16(rgb) => fill(place, rgb, of_words),
                    image => fill(place, &image.to_rgb16(), of_words),
                }
                Ok(())
            }
            Pixels::Float(values) => self.copy(&picture.name, values, place),
        }
    }

    /// The tensor's value of an integer.
    fn value(&self, v: u32, largest: u32) -> f32 {
        let [black, white] = self.range;
        self.binarized(black + (white - black) * (v as f32 / largest as f32))
    }

    fn binarized(&self, value: f32) -> f32 {
        let [black, white] = self.range;
        match self.binarize {
            Some(threshold) if value >= threshold => white,
            Some(_) => black,
            None => value,
        }
    }

    /// Copies a tensor that is the network's already.
    fn copy(
        &self,
        name: &str,
        values: &Array3<f32>,
        mut place: ArrayViewMut3<f32>,
    ) -> Result<(), Error> {
        let wrong = |reason| Error::Image { name: name.to_owned(), reason };
        let (height, width, channels) = values.dim();
        if (height, width) != (self.height, self.width) {
            return Err(self.wrong_size(name, width, height));
        }
        if channels != self.channels {
            return Err(wrong(format!(
                "it has {channels} channels, the model takes {}",
                self.channels
            )));
        }
        let [black, white] = self.range;
        if let Some(v) = values.iter().find(|v| !(black..=white).contains(*v)) {
            return Err(wrong(format!(
                "it holds {v}, the model takes values from {black} to {white}"
            )));
        }
        place.assign(&values.view().permuted_axes([2, 0, 1]));
        if self.binarize.is_some() {
            place.mapv_inplace(|value| self.binarized(value));
        }
        Ok(())
    }

    fn wrong_size(&self, name: &str, width: usize, height: usize) -> Error {
        Error::ImageSize {
            name: name.to_owned(),
            got: format!("{width}x{height}"),
            expected: format!("{}x{}", self.width, self.height),
        }
    }

    /// Turns a tensor of the network into an 8-bit picture, clamping to the range.
    ///
    /// # Shapes
    ///
    /// input: `[C, H, W]` with `C` 1 or 3
    pub fn picture(&self, tensor: ArrayView3<f32>) -> DynamicImage {
        let [black, white] = self.range;
        let (channels, height, width) = tensor.dim();
        let bytes = tensor
            .permuted_axes([1, 2, 0])
            .iter()
            .map(|v| (((v - black) / (white - black)).clamp(0.0, 1.0) * 255.0).round() as u8)
            .collect();
        let (width, height) = (width as u32, height as u32);
        let fits = "one byte for each value";
        match channels {
            1 => GrayImage::from_raw(width, height, bytes).expect(fits).into(),
            _ => RgbImage::from_raw(width, height, bytes).expect(fits).into(),
        }
    }
}

/// Fills `[C, H, W]` by the values of a picture's, `[H, W, C]`.
fn fill<T: Copy>(place: ArrayViewMut3<f32>, picture: &[T], value: impl Fn(T) -> f32) {
    let (channels, height, width) = place.dim();
    let picture = ArrayView3::from_shape((height, width, channels), picture).expect("it fits");
    let planes = picture.permuted_axes([2, 0, 1]);
    Zip::from(place).and(planes).for_each(|place, &v| *place = value(v));
}

fn by_byte(values: &[f32; 256]) -> impl Fn(u8) -> f32 {
    |byte| values[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use image::DynamicImage::{self as Of};
    use image::Rgba;

    use super::*;

    /// A picture of every kind, 7 by 5 pixels.
    fn kinds() -> Vec<DynamicImage> {
        let colours = image::ImageBuffer::from_fn(7, 5, |x, y| {
            Rgba([x * 9000, y * 13_000, (x + y) * 5000, 65_535 - x * 700].map(|v| v as u16))
        });
        let all = Of::ImageRgba16(colours);
        vec![
            all.to_luma8().into(),
            all.to_luma_alpha8().into(),
            all.to_rgb8().into(),
            all.to_rgba8().into(),
            all.to_luma16().into(),
            all.to_luma_alpha16().into(),
            all.to_rgb16().into(),
            all,
        ]
    }

    #[test]
    fn a_prepared_picture_keeps_its_tensor() {
        let sizes = [(Resize::Refuse, [5, 7]), (Resize::Stretch, [4, 4]), (Resize::Crop, [3, 3])];
        for ((resize, [height, width]), channels) in
            sizes.into_iter().flat_map(|size| [(size, 1), (size, 3)])
        {
            for binarize in [None, Some(0.3)] {
                let spec = ImageSpec::new(channels, height, width);
                let spec = ImageSpec { resize, binarize, range: [-1.0, 1.0], ..spec };
                for image in kinds() {
                    let kind = image.color();
                    let picture = Picture { name: "p".into(), pixels: Pixels::Integer(image) };
                    let expected = spec.tensor(&picture).expect("it fits");
                    let prepared = spec.prepared(picture).expect("it fits");
                    assert_eq!(prepared.size(), (width, height));
                    assert_eq!(spec.tensor(&prepared).expect("it fits"), expected, "{kind:?}");
                }
            }
        }
    }

    #[test]
    fn values_are_those_of_the_range_channel_by_channel() {
        let spec = ImageSpec { range: [-1.0, 1.0], ..ImageSpec::new(3, 1, 2) };
        let rgb = RgbImage::from_raw(2, 1, vec![0, 51, 255, 102, 153, 204]).expect("6 bytes");
        let picture = Picture { name: "p".into(), pixels: Pixels::Integer(rgb.into()) };
        let tensor = spec.tensor(&picture).expect("it fits");
        let expected = [0, 102, 51, 153, 255, 204].map(|v| -1.0 + 2.0 * (v as f32 / 255.0));
        assert_eq!(tensor.as_slice(), Some(&expected[..]));
        let white = ImageSpec { binarize: Some(0.2), ..spec };
        let tensor = white.tensor(&picture).expect("it fits");
        assert_eq!(tensor.as_slice(), Some(&[-1.0, -1.0, -1.0, 1.0, 1.0, 1.0][..]));
    }
}
