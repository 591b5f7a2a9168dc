//! Results as pictures and as arrays.

use anyhow::{Result, bail};
use image::DynamicImage;
use image::codecs::png::PngEncoder;
use ndarray::{Array4, ArrayView4};
use vae_infer::ImageSpec;

/// The longest side of a picture that is drawn.
const MAX_SIDE: usize = 32_768;

/// The content of a PNG file.
pub(super) fn png(picture: &DynamicImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(PngEncoder::new(&mut bytes))?;
    Ok(bytes)
}

/// How images lie on one picture.
#[derive(Clone, Copy)]
pub(super) enum Sheet {
    /// In a grid, row by row, in nearly as many columns as rows.
    Grid,
    /// Side by side.
    Row,
}

impl Sheet {
    fn columns(self, images: usize) -> usize {
        match self {
            Self::Grid => (images as f64).sqrt().ceil() as usize,
            Self::Row => images,
        }
        .max(1)
    }

    /// Refuses so many images that the picture would be too large.
    pub(super) fn check(self, spec: &ImageSpec, images: usize) -> Result<()> {
        let columns = self.columns(images);
        let high = images.div_ceil(columns).saturating_mul(spec.height);
        let wide = columns.saturating_mul(spec.width);
        if high.max(wide) > MAX_SIDE {
            bail!("a picture of {wide}x{high} pixels is too large (hint: -o FILE.npy)");
        }
        Ok(())
    }

    /// The PNG file with all images, `[N, C, H, W]`.
    pub(super) fn png(self, spec: &ImageSpec, images: ArrayView4<f32>) -> Result<Vec<u8>> {
        let count = images.dim().0;
        self.check(spec, count)?;
        png(&spec.sheet(images, self.columns(count)))
    }
}

/// Images as `.npy` files have them, `[N, H, W, C]`: their values are clamped to the model's range, so that they can
/// be read as input again.
pub(super) fn channels_last(spec: &ImageSpec, images: ArrayView4<f32>) -> Array4<f32> {
    let [black, white] = spec.range;
    images.permuted_axes([0, 2, 3, 1]).as_standard_layout().mapv(|v| v.clamp(black, white))
}
