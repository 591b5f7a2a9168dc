//! A plane of latent vectors, decoded: the quantiles of the prior along both axes, so that every image
//! stands for the same share of it (Kingma and Welling, arXiv:1312.6114, figure 4).

use anyhow::Result;
use image::DynamicImage;
use ndarray::Array2;
use plotters::style::text_anchor::{HPos, VPos};

use super::page::Page;
use super::{Figure, Subject, quantile, theme};

/// Images along each axis.
const SIDE: usize = 20;
/// The first and the last quantile.
const ENDS: [f64; 2] = [0.05, 0.95];
/// The least size of an image on the picture, the margins left and below, and those above and right.
const LEAST: usize = 56;
const MARGIN: u32 = 80;
const EDGE: u32 = 20;

pub(super) fn draw(subject: &Subject) -> Result<Figure> {
    let config = &subject.trained.config;
    if config.model.latent != 2 {
        return Ok(Figure::LeftOut("it is for two latent dimensions"));
    }
    if let Some(reason) = subject.no_prior() {
        return Ok(Figure::LeftOut(reason));
    }
    let images = subject.forward().decode(latents().view());
    let sheet = config.image.sheet(images.view(), SIDE);
    let [_, height, width] = config.image.shape();
    Figure::picture(&with_axes(&theme::enlarge(&sheet, [height, width], LEAST))?)
}

/// The latent vectors row by row from the top, `[20 20, 2]`: the first dimension grows to the right, the
/// second one upwards.
fn latents() -> Array2<f32> {
    Array2::from_shape_fn((SIDE * SIDE, 2), |(place, axis)| match axis {
        0 => value(place % SIDE),
        _ => value(SIDE - 1 - place / SIDE),
    })
}

/// The latent value at a place along an axis.
fn value(place: usize) -> f32 {
    let [first, last] = ENDS;
    quantile::standard_normal(first + (last - first) * place as f64 / (SIDE - 1) as f64) as f32
}

fn with_axes(sheet: &image::RgbImage) -> Result<DynamicImage> {
    let (width, height) = sheet.dimensions();
    let mut page = Page::new(MARGIN + width + EDGE, EDGE + height + MARGIN);
    page.put(sheet, MARGIN, EDGE);
    let (left, bottom) = (MARGIN as i32, (EDGE + height) as i32);
    for place in [0, 4, 9, 14, 19] {
        let label = format!("{:.2}", value(place));
        let middle = |length: u32| (length as usize * (2 * place + 1) / (2 * SIDE)) as i32;
        page.write(&label, (left + middle(width), bottom + 8), (HPos::Center, VPos::Top))?;
        page.write(&label, (left - 8, bottom - middle(height)), (HPos::Right, VPos::Center))?;
    }
    let (centre, middle) = (left + width as i32 * 3 / 5, bottom - height as i32 * 3 / 5);
    page.write("z1", (centre, bottom + 8), (HPos::Center, VPos::Top))?;
    page.write("z2", (left - 8, middle), (HPos::Right, VPos::Center))?;
    Ok(page.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plane_grows_to_the_right_and_upwards_and_is_symmetric() {
        let latents = latents();
        assert_eq!(latents.dim(), (400, 2));
        let (first, last) = (latents.row(0).to_vec(), latents.row(399).to_vec());
        assert!((first[0] + 1.644_853_6).abs() < 1e-5 && (first[1] - 1.644_853_6).abs() < 1e-5);
        assert!((last[0] + first[0]).abs() < 1e-5 && (last[1] + first[1]).abs() < 1e-5);
        assert!(latents[[1, 0]] > latents[[0, 0]] && latents[[20, 1]] < latents[[0, 1]]);
    }

    #[test]
    fn axes_stand_around_the_sheet() {
        let sheet = image::RgbImage::new(800, 400);
        let picture = with_axes(&sheet).expect("it fits").to_rgb8();
        assert_eq!(picture.dimensions(), (800 + MARGIN + EDGE, 400 + MARGIN + EDGE));
        let ink = |y: u32| (0..picture.width()).any(|x| picture.get_pixel(x, y).0[0] < 128);
        assert!((EDGE + 400..picture.height()).any(ink), "there is no label");
    }
}
