use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use vae_infer::ImageSpec;

use super::bilinear::Bilinear;

/// What a feature network takes: the `[input]` table of a description. An image is resized,
/// converted between grey and RGB, and becomes `(white x - mean) / scale`, where x is 0 for black
/// and 1 for white.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputConfig {
    /// 1 for grey, 3 for colour.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// The value of white before `mean` and `scale`; that of black is 0.
    #[serde(default = "one")]
    pub white: f32,
    /// What is subtracted, for all channels or for each in their order.
    #[serde(default = "PerChannel::zero")]
    pub mean: PerChannel,
    /// What is then divided by, for all channels or for each in their order.
    #[serde(default = "PerChannel::one")]
    pub scale: PerChannel,
    /// The order of three channels.
    #[serde(default)]
    pub order: ChannelOrder,
}

/// One value for all channels, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerChannel {
    /// For all.
    All(f32),
    /// For each.
    Each(Vec<f32>),
}

/// The order of three channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelOrder {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first, as Caffe's networks take it.
    Bgr,
}

fn one() -> f32 {
    1.0
}

impl PerChannel {
    fn zero() -> Self {
        Self::All(0.0)
    }

    fn one() -> Self {
        Self::All(1.0)
    }

    fn values(&self, channels: usize) -> Option<Vec<f32>> {
        match self {
            Self::All(value) => Some(vec![*value; channels]),
            Self::Each(values) => (values.len() == channels).then(|| values.clone()),
        }
    }
}

impl InputConfig {
    /// An input of a shape `[C, H, W]` with values from 0 to 1.
    pub fn new([channels, height, width]: [usize; 3]) -> Self {
        let (mean, scale) = (PerChannel::zero(), PerChannel::one());
        Self { channels, height, width, white: one(), mean, scale, order: ChannelOrder::Rgb }
    }

    /// The input's shape without the batch axis, `[C, H, W]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }
}

/// The luma weights of red, green and blue (ITU-R BT.709), as in [`ImageSpec::tensor`].
const LUMA: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// The way from an autoencoder's images to the input of a feature network.
#[derive(Debug)]
pub(super) struct Adaptation {
    resize: Option<Bilinear>,
    /// `[1, 3, 1, 1]`, from RGB to grey.
    luma: Option<Tensor<4>>,
    /// How often the grey channel is repeated.
    repeat: usize,
    reverse: bool,
    /// Factor and summand of every channel, `[1, C, 1, 1]`.
    affine: Option<[Tensor<4>; 2]>,
}

impl Adaptation {
    /// # Errors
    ///
    /// Where the input cannot be, or where its values are not one for each channel.
    pub(super) fn new(input: &InputConfig, image: &ImageSpec, device: &Device) -> Result<Self> {
        let &InputConfig { channels, height, width, white, ref mean, ref scale, order } = input;
        ImageSpec::new(channels, height, width).check().map_err(anyhow::Error::msg)?;
        if !(white.is_finite() && white > 0.0) {
            bail!("white is {white}, it must be above 0");
        }
        let (Some(mean), Some(scale)) = (mean.values(channels), scale.values(channels)) else {
            bail!("mean and scale are one value, or one for each of the {channels} channels");
        };
        if scale.iter().any(|s| !s.is_normal()) || mean.iter().any(|m| !m.is_finite()) {
            bail!("mean and scale must be finite, and scale must not be 0");
        }
        let [low, high] = image.range;
        let factor = scale.iter().map(|s| white / (high - low) / s);
        let factor: Vec<f32> = factor.collect();
        let summand = factor.iter().zip(mean.iter().zip(&scale));
        let summand: Vec<f32> = summand.map(|(f, (m, s))| -low * f - m / s).collect();
        let identity = factor.iter().all(|f| *f == 1.0) && summand.iter().all(|s| *s == 0.0);
        let constant = |values: &[f32]| {
            Tensor::<1>::from_floats(values, device).reshape([1, values.len(), 1, 1])
        };
        let (from, to) = ([image.height, image.width], [height, width]);
        Ok(Self {
            resize: (from != to).then(|| Bilinear::new(from, to, device)),
            luma: (image.channels > channels).then(|| constant(&LUMA)),
            repeat: if image.channels < channels { channels } else { 1 },
            reverse: channels == 3 && order == ChannelOrder::Bgr,
            affine: (!identity).then(|| [constant(&factor), constant(&summand)]),
        })
    }

    /// # Shapes
    ///
    /// - images: `[B, C, H, W]` of the autoencoder
    /// - output: `[B, C', H', W']` of the feature network
    pub(super) fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let mut x = images;
        if let Some(luma) = &self.luma {
            x = (x * luma.clone()).sum_dim(1);
        }
        if let Some(resize) = &self.resize {
            x = resize.forward(x);
        }
        if self.repeat > 1 {
            x = Tensor::cat(vec![x; self.repeat], 1);
        }
        if self.reverse {
            x = x.flip([1]);
        }
        if let Some([factor, summand]) = &self.affine {
            x = x * factor.clone() + summand.clone();
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapt(input: &str, image: &ImageSpec, pixels: &[f32]) -> Vec<f32> {
        let device = Device::flex();
        let input: InputConfig = toml::from_str(input).expect("the test's own TOML");
        let adaptation = Adaptation::new(&input, image, &device).expect("it fits");
        let shape = [1, image.channels, image.height, image.width];
        let images = Tensor::<1>::from_floats(pixels, &device).reshape(shape);
        let adapted = adaptation.forward(images);
        assert_eq!(adapted.dims()[1..], input.shape());
        adapted.into_data_as::<f32>().try_into_vec().expect("asked for f32")
    }

    fn close(got: &[f32], expected: &[f32]) {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
        assert!(got.len() == expected.len() && got.iter().zip(expected).all(near), "{got:?}");
    }

    #[test]
    fn grey_becomes_what_caffe_takes() {
        let caffe = "channels = 3\nheight = 1\nwidth = 1\nwhite = 255.0\norder = \"bgr\"\n\
                     mean = [103.939, 116.779, 123.68]";
        let grey = adapt(caffe, &ImageSpec::new(1, 1, 1), &[0.5]);
        close(&grey, &[127.5 - 103.939, 127.5 - 116.779, 127.5 - 123.68]);
        let colour = adapt(caffe, &ImageSpec::new(3, 1, 1), &[1.0, 0.5, 0.0]);
        close(&colour, &[-103.939, 127.5 - 116.779, 255.0 - 123.68]);
    }

    #[test]
    fn colour_becomes_grey_and_the_range_is_undone() {
        let grey = "channels = 1\nheight = 1\nwidth = 1\nmean = 0.5\nscale = 2.0";
        let image = ImageSpec { range: [-1.0, 1.0], ..ImageSpec::new(3, 1, 1) };
        let luma = 0.2126 + 0.0722 / 2.0;
        close(&adapt(grey, &image, &[1.0, -1.0, 0.0]), &[(luma - 0.5) / 2.0]);
    }

    #[test]
    fn values_that_are_not_one_for_each_channel_are_refused() {
        for wrong in ["mean = [0.0]", "scale = 0.0", "white = -1.0"] {
            let input = format!("channels = 3\nheight = 2\nwidth = 2\n{wrong}");
            let input: InputConfig = toml::from_str(&input).expect("the test's own TOML");
            let result = Adaptation::new(&input, &ImageSpec::new(1, 2, 2), &Device::flex());
            assert!(result.is_err(), "{wrong} was accepted");
        }
    }
}
