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

/// The PNG file with all images in a grid, row by row, in nearly as many columns as rows.
pub(super) fn grid_png(spec: &ImageSpec, images: ArrayView4<f32>) -> Result<Vec<u8>> {
    let columns = (images.dim().0 as f64).sqrt().ceil() as usize;
    tiled_png(spec, images, columns)
}

/// The PNG file with all images side by side.
pub(super) fn row_png(spec: &ImageSpec, images: ArrayView4<f32>) -> Result<Vec<u8>> {
    tiled_png(spec, images, images.dim().0)
}

fn tiled_png(spec: &ImageSpec, images: ArrayView4<f32>, columns: usize) -> Result<Vec<u8>> {
    let (count, _, height, width) = images.dim();
    let columns = columns.max(1);
    let (rows_high, columns_wide) = (count.div_ceil(columns) * height, columns * width);
    if rows_high.max(columns_wide) > MAX_SIDE {
        bail!("a picture of {columns_wide}x{rows_high} pixels is too large (hint: -o FILE.npy)");
    }
    png(&spec.sheet(images, columns))
}

/// Images as `.npy` files have them, `[N, H, W, C]`: their values are clamped to the model's range, so that they can
/// be read as input again.
pub(super) fn channels_last(spec: &ImageSpec, images: ArrayView4<f32>) -> Array4<f32> {
    let [black, white] = spec.range;
    images.permuted_axes([0, 2, 3, 1]).as_standard_layout().mapv(|v| v.clamp(black, white))
}
