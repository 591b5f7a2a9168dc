//! The look of all figures: colours, letters, and the size of small images.

use std::sync::OnceLock;

use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, TextStyle, register_font};

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(51, 51, 51);
/// Lines behind the data.
pub(super) const GRID: RGBColor = RGBColor(225, 225, 225);
/// Around images.
pub(super) const FRAME: RGBColor = RGBColor(170, 170, 170);
/// What is of lesser weight.
pub(super) const GREY: RGBColor = RGBColor(130, 130, 130);
/// Training and validation.
pub(super) const PAIR: [RGBColor; 2] = [RGBColor(0x44, 0x77, 0xaa), RGBColor(0xee, 0x66, 0x77)];

/// Colours for classes, told apart by colour-blind people too: the nine of Paul Tol's scheme
/// "muted" (Technical Note SRON/EPS/TN/09-002, issue 3.2, 2021), and a dark grey.
pub(super) const CLASSES: [RGBColor; 10] = [
    RGBColor(0xcc, 0x66, 0x77),
    RGBColor(0x33, 0x22, 0x88),
    RGBColor(0xdd, 0xcc, 0x77),
    RGBColor(0x11, 0x77, 0x33),
    RGBColor(0x88, 0xcc, 0xee),
    RGBColor(0x88, 0x22, 0x55),
    RGBColor(0x44, 0xaa, 0x99),
    RGBColor(0x99, 0x99, 0x33),
    RGBColor(0xaa, 0x44, 0x99),
    RGBColor(0x55, 0x55, 0x55),
];

/// How much too high text stands on a picture of pixels where it is centred on a height, as a part of its
/// size: what is centred is the line, from above the accents.
pub(super) const RISE: f64 = 0.15;

/// Text of a size in pixels, in a typeface that the program brings along; an SVG names `sans-serif`.
pub(super) fn text(size: f64, color: &impl Color) -> TextStyle<'static> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        let typeface = epaint_default_fonts::UBUNTU_LIGHT;
        register_font("sans-serif", FontStyle::Normal, typeface).is_ok()
    });
    assert!(registered, "the typeface is read by the tests");
    ("sans-serif", size).into_font().color(color)
}

/// At most this many characters of a name.
pub(super) fn short(name: &str, length: usize) -> String {
    match name.chars().nth(length) {
        None => name.to_owned(),
        Some(_) => name.chars().take(length - 1).chain(['…']).collect(),
    }
}

/// Enlarges a picture by the smallest whole number that brings the larger side of its tiles to at least
/// `least` pixels, without smoothing.
pub(super) fn enlarge(picture: &DynamicImage, tile: [usize; 2], least: usize) -> RgbImage {
    let factor = least.div_ceil(tile[0].max(tile[1]).max(1)).max(1) as u32;
    let (width, height) = (picture.width() * factor, picture.height() * factor);
    imageops::resize(&picture.to_rgb8(), width, height, FilterType::Nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_grows_by_a_whole_number_and_keeps_its_pixels() {
        let mut picture = RgbImage::new(2, 1);
        picture.put_pixel(1, 0, image::Rgb([9, 8, 7]));
        let large = enlarge(&picture.into(), [1, 2], 5);
        assert_eq!(large.dimensions(), (6, 3));
        assert_eq!((large.get_pixel(2, 2).0, large.get_pixel(3, 0).0), ([0; 3], [9, 8, 7]));
        assert_eq!(enlarge(&large.into(), [3, 6], 5).dimensions(), (6, 3));
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(short("été", 3), "été");
        assert_eq!(short("horizontal", 5), "hori…");
    }
}
