//! Rows of images with a name before each row.

use anyhow::Result;
use image::DynamicImage;
use ndarray::{Array4, Axis};
use plotters::style::text_anchor::{HPos, VPos};
use vae_infer::ImageSpec;

use super::page::{self, Page};
use super::theme;

/// Images side by side.
pub(super) struct Row {
    pub(super) name: String,
    /// `[N, C, H, W]`
    pub(super) images: Array4<f32>,
    /// Whether some room is left above the row.
    pub(super) apart: bool,
}

/// The least size of an image on the picture, the room between images, that before a row that
/// stands apart, and the margin, in pixels.
const LEAST: usize = 96;
const GAP: u32 = 6;
const APART: u32 = 20;
const MARGIN: u32 = 16;

impl Row {
    pub(super) fn new(name: impl Into<String>, images: Array4<f32>) -> Self {
        Self { name: name.into(), images, apart: false }
    }
}

/// The picture of some rows; images at the places in `after` have some room behind them.
pub(super) fn draw(spec: &ImageSpec, rows: &[Row], after: &[usize]) -> Result<DynamicImage> {
    let [_, height, width] = spec.shape();
    let factor = LEAST.div_ceil(height.max(width)).max(1);
    let (wide, high) = ((width * factor) as u32 + GAP, (height * factor) as u32 + GAP);
    let names = rows.iter().map(|row| page::width(&row.name)).collect::<Result<Vec<_>>>()?;
    let widest = names.into_iter().max().unwrap_or(0);
    let left = MARGIN + if widest > 0 { widest + MARGIN } else { 0 };
    let columns = rows.iter().map(|row| row.images.len_of(Axis(0)) as u32).max().unwrap_or(0);
    let apart = rows.iter().filter(|row| row.apart).count() as u32;
    let mut page = Page::new(
        left + columns * wide - GAP + after.len() as u32 * APART + MARGIN,
        rows.len() as u32 * high - GAP + apart * APART + 2 * MARGIN,
    );
    let mut y = MARGIN;
    for row in rows {
        y += if row.apart { APART } else { 0 };
        let middle = (y + (high - GAP) / 2) as i32;
        page.write(&row.name, ((left - MARGIN) as i32, middle), (HPos::Right, VPos::Center))?;
        let mut x = left;
        for (place, image) in row.images.axis_iter(Axis(0)).enumerate() {
            let image = theme::enlarge(&spec.picture(image), [height, width], LEAST);
            page.put(&image, x, y);
            page.frame(x, y, image.dimensions());
            x += wide + if after.contains(&place) { APART } else { 0 };
        }
        y += high;
    }
    Ok(page.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_their_images_beside_their_names() {
        let spec = ImageSpec::new(1, 2, 4);
        let rows = [0.0, 0.5].map(|grey| Row::new("grey", Array4::from_elem((3, 1, 2, 4), grey)));
        let picture = draw(&spec, &rows, &[1]).expect("it fits").to_rgb8();
        let left = MARGIN + page::width("grey").expect("a word") + MARGIN;
        assert_eq!(picture.width(), left + 3 * 96 + 2 * GAP + APART + MARGIN);
        assert_eq!(picture.height(), 2 * 48 + GAP + 2 * MARGIN);
        let at = |x: u32, y: u32| picture.get_pixel(left + x, MARGIN + y).0;
        assert_eq!((at(0, 0), at(98, 0), at(GAP + 96, 47)), ([0; 3], [255; 3], [0; 3]));
        assert_eq!(at(2 * (96 + GAP) + APART, 48 + GAP), [128; 3]);
        let dark = (0..left).filter(|&x| (0..60).any(|y| picture.get_pixel(x, y).0[0] < 128));
        assert!(dark.count() > 10, "there is no name");
    }
}
