//! White paper for pictures of pixels: text and images at places in pixels.

use anyhow::{Result, anyhow};
use image::{DynamicImage, Rgb, RgbImage, imageops};
use plotters::backend::BitMapBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::theme::{self, INK};

/// The height of text in pixels.
pub(super) const TEXT: f64 = 24.0;

/// A white picture.
pub(super) struct Page(RgbImage);

impl Page {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self(RgbImage::from_pixel(width, height, Rgb([255; 3])))
    }

    /// Puts an image with its upper left corner at a place.
    pub(super) fn put(&mut self, image: &RgbImage, x: u32, y: u32) {
        imageops::replace(&mut self.0, image, x.into(), y.into());
    }

    /// Draws a thin frame around what is at a place.
    pub(super) fn frame(&mut self, x: u32, y: u32, (width, height): (u32, u32)) {
        let RGBColor(red, green, blue) = theme::FRAME;
        for (left, top) in (x - 1..=x + width).flat_map(|left| [(left, y - 1), (left, y + height)])
        {
            self.0.put_pixel(left, top, Rgb([red, green, blue]));
        }
        for (left, top) in (y..y + height).flat_map(|top| [(x - 1, top), (x + width, top)]) {
            self.0.put_pixel(left, top, Rgb([red, green, blue]));
        }
    }

    /// Writes a line beside, under or around a place.
    pub(super) fn write(
        &mut self,
        text: &str,
        place: (i32, i32),
        anchor: (HPos, VPos),
    ) -> Result<()> {
        let size = self.0.dimensions();
        let style = theme::text(TEXT, &INK).pos(Pos::new(anchor.0, anchor.1));
        let area = BitMapBackend::with_buffer(&mut self.0, size).into_drawing_area();
        let drop = if matches!(anchor.1, VPos::Center) { TEXT * theme::RISE } else { 0.0 };
        area.draw_text(text, &style, (place.0, place.1 + drop as i32)).map_err(|e| anyhow!("{e}"))
    }

    pub(super) fn finish(self) -> DynamicImage {
        self.0.into()
    }
}

/// The width of a line in pixels.
pub(super) fn width(text: &str) -> Result<u32> {
    let (width, _) = theme::text(TEXT, &INK).font.box_size(text)?;
    Ok(width)
}
