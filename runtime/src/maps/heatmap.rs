//! Pictures of a map, in colours of a fixed meaning.
//!
//! Every picture takes the map's value that is drawn in full as its scale, and not the map's own
//! largest: two pictures on one scale may be held side by side, and a normal image stays dark.

use image::{Rgb, RgbImage};
use ndarray::{ArrayView2, ArrayView3};

use super::checks;
use super::colours::{STEPS, palette};
use super::regions::Region;
use crate::Error;

/// How much of the image is covered where the map is at its scale or above.
const OPACITY: f64 = 0.8;

/// The weights of red, green and blue in grey, of Rec. 709.
const LUMA: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// The colour of boxes: cyan is none of the map's colours, and no grey.
const OUTLINE: Rgb<u8> = Rgb([0, 255, 255]);

/// A map in colours, from black for 0 and below to yellow for `scale` and above.
///
/// # Shapes
///
/// map: `[H, W]`
///
/// # Errors
///
/// [`Error::Setting`] for a scale that is not a number above 0, [`Error::NotFinite`] for a map with
/// a value that is not finite.
pub fn heatmap(map: ArrayView2<f32>, scale: f32) -> Result<RgbImage, Error> {
    check(map, scale)?;
    let colours = palette();
    Ok(picture(map, |at| colours[step(share(map[at], scale))]))
}

/// A map over its image in grey: what is normal shows the image, and the higher the value, the more
/// its colour covers.
///
/// # Shapes
///
/// image: `[C, H, W]` with `C` 1 or 3, clamped to the range; map: `[H, W]`
///
/// # Errors
///
/// As [`heatmap`], and [`Error::Shape`] for an image of another size or number of channels.
pub fn overlay(
    image: ArrayView3<f32>,
    [black, white]: [f32; 2],
    map: ArrayView2<f32>,
    scale: f32,
) -> Result<RgbImage, Error> {
    check(map, scale)?;
    let (height, width) = map.dim();
    let weights = match image.dim() {
        (1, h, w) if (h, w) == (height, width) => &[1.0][..],
        (3, h, w) if (h, w) == (height, width) => &LUMA,
        _ => {
            let (got, expected) = (image.shape().to_vec(), format!("[1 or 3, {height}, {width}]"));
            return Err(Error::Shape { what: "the image under a map", got, expected });
        }
    };
    let colours = palette();
    Ok(picture(map, |[y, x]| {
        let level = |(c, &weight): (usize, &f32)| weight * (image[[c, y, x]] - black);
        let grey = weights.iter().enumerate().map(level).sum::<f32>() / (white - black);
        let grey = f64::from(grey.clamp(0.0, 1.0)) * 255.0;
        let share = share(map[[y, x]], scale);
        let opacity = OPACITY * share;
        colours[step(share)]
            .map(|colour| ((1.0 - opacity) * grey + opacity * f64::from(colour)).round() as u8)
    }))
}

/// Draws the box of every region, one pixel wide and just outside of it where the picture has room.
pub fn outline(picture: &mut RgbImage, regions: &[Region]) {
    for region in regions {
        let (left, top) = (region.x.saturating_sub(1), region.y.saturating_sub(1));
        let right = (region.x + region.width).min((picture.width() as usize).saturating_sub(1));
        let bottom = (region.y + region.height).min((picture.height() as usize).saturating_sub(1));
        let mut draw = |x: usize, y: usize| {
            if let Some(pixel) = picture.get_pixel_mut_checked(x as u32, y as u32) {
                *pixel = OUTLINE;
            }
        };
        (left..=right).for_each(|x| [top, bottom].into_iter().for_each(|y| draw(x, y)));
        (top..=bottom).for_each(|y| [left, right].into_iter().for_each(|x| draw(x, y)));
    }
}

fn check(map: ArrayView2<f32>, scale: f32) -> Result<(), Error> {
    if !(scale.is_finite() && scale > 0.0) {
        let (got, expected) = (scale.to_string(), "a number above 0".into());
        return Err(Error::Setting { what: "the scale of a heat map", got, expected });
    }
    checks::finite(map)
}

/// A value over the scale, from 0 to 1.
fn share(value: f32, scale: f32) -> f64 {
    (f64::from(value) / f64::from(scale)).clamp(0.0, 1.0)
}

fn step(share: f64) -> usize {
    (share * (STEPS - 1) as f64).round() as usize
}

/// A picture of the map's size, from the colour of every place `[y, x]`.
fn picture(map: ArrayView2<f32>, colour: impl Fn([usize; 2]) -> [u8; 3]) -> RgbImage {
    let (height, width) = map.dim();
    RgbImage::from_fn(width as u32, height as u32, |x, y| Rgb(colour([y as usize, x as usize])))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3, array};

    use super::*;

    const UNIT: [f32; 2] = [0.0, 1.0];

    #[test]
    fn a_colour_says_the_same_in_every_picture() {
        let map = array![[-1.0, 0.0, 0.5], [1.0, 2.0, 1e30]];
        let picture = heatmap(map.view(), 2.0).expect("a finite map");
        assert_eq!(picture.dimensions(), (3, 2));
        let colours = palette();
        let expected = [0, 0, 64, 128, 255, 255].map(|i: usize| colours[i]);
        assert!(picture.pixels().map(|p| p.0).eq(expected));
        let alone = heatmap(array![[0.5]].view(), 2.0).expect("a finite map");
        assert_eq!(alone.get_pixel(0, 0), picture.get_pixel(2, 0));
    }

    #[test]
    fn an_overlay_shows_the_image_where_the_map_is_0_and_the_colour_where_it_is_not() {
        let image = array![[[1.0, -1.0, -1.0]], [[0.0, -1.0, -1.0]], [[-1.0, -1.0, -1.0]]];
        let map = array![[0.0, 0.0, 3.0]];
        let picture = overlay(image.view(), [-1.0, 1.0], map.view(), 2.0).expect("one size");
        // 255 (0.2126 + 0.7152 / 2) and, over black, four fifths of the last colour.
        let covered = palette()[255].map(|v| (0.8 * f64::from(v)).round() as u8);
        let expected = [[145; 3], [0; 3], covered];
        assert!(picture.pixels().map(|p| p.0).eq(expected), "{picture:?}");
        let grey = Array3::from_elem((1, 1, 1), 7.0);
        let picture = overlay(grey.view(), UNIT, array![[0.0]].view(), 1.0).expect("one size");
        assert_eq!(picture.get_pixel(0, 0).0, [255; 3], "clamped to the range");
    }

    #[test]
    fn a_box_lies_around_its_region_and_within_the_picture() {
        let region = |x, y, width, height| {
            let map = Array2::from_shape_fn((6, 7), |(v, u)| {
                f32::from((x..x + width).contains(&u) && (y..y + height).contains(&v))
            });
            crate::maps::regions::regions(map.view(), None, 0.5, 1).expect("a finite map")
        };
        let drawn = |regions: &[Region]| {
            let mut picture = RgbImage::new(7, 6);
            outline(&mut picture, regions);
            let row = |y| (0..7).map(move |x| (x, y));
            let mark = |picture: &RgbImage, (x, y)| match *picture.get_pixel(x, y) {
                OUTLINE => '#',
                _ => '.',
            };
            (0..6).map(|y| row(y).map(|at| mark(&picture, at)).collect()).collect::<Vec<String>>()
        };
        let within = [".......", ".####..", ".#..#..", ".####..", ".......", "......."];
        assert_eq!(drawn(&region(2, 2, 2, 1)), within);
        let corner = [".......", ".......", ".......", "....###", "....#.#", "....###"];
        assert_eq!(drawn(&region(5, 4, 2, 2)), corner);
        let whole = ["#######", "#.....#", "#.....#", "#.....#", "#.....#", "#######"];
        assert_eq!(drawn(&region(0, 0, 7, 6)), whole);
        assert_eq!(drawn(&[]), ["......."; 6]);
    }

    #[test]
    fn what_has_no_picture_is_refused() {
        let map = array![[0.0_f32, 1.0]];
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let refused = heatmap(map.view(), scale);
            assert!(matches!(refused, Err(Error::Setting { .. })), "{scale}");
        }
        let wrong = array![[f32::NAN]];
        assert!(matches!(heatmap(wrong.view(), 1.0), Err(Error::NotFinite { .. })));
        for shape in [(2, 1, 2), (1, 2, 1), (3, 1, 3)] {
            let refused = overlay(Array3::zeros(shape).view(), UNIT, map.view(), 1.0);
            assert!(matches!(refused, Err(Error::Shape { .. })), "{shape:?}");
        }
    }
}
