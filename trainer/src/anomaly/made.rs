//! Anomalies made of normal images, to choose a score by where no real ones are at hand.

use std::fmt;

use ndarray::{Array3, Array4, ArrayView3, ArrayView4, Axis, stack};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use vae_infer::{Error, ImageSpec, maps, noise};

use super::area::Area;
use super::scratch::scratch;
use crate::draws::{self, Purpose};

/// What is done to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A rectangle of one colour.
    Block,
    /// A rectangle of another image's pixels in another place (CutPaste: Li et al., CVPR 2021).
    Patch,
    /// A straight line, black or white, whichever is farther from the image's mean.
    Scratch,
    /// A rectangle in which half of the pixels are black or white.
    Specks,
    /// Gaussian noise on every pixel.
    Noise,
    /// A Gaussian blur.
    Blur,
    /// Half the contrast.
    Contrast,
    /// Left and right exchanged.
    Mirror,
    /// A quarter turn, or half a turn where the image is not square.
    Turn,
}

/// The smallest and the largest side of a rectangle, as a share of the image's.
const SIDES: [f64; 2] = [0.2, 0.4];
/// The standard deviation of the noise, as a share of the range.
const NOISE: f32 = 0.15;
/// The standard deviation of the blur and the width of a scratch, as a share of the shorter side;
/// a pixel at least.
const FINE: f64 = 1.0 / 28.0;
/// What is left of the contrast.
const CONTRAST: f32 = 0.5;
/// The least change, root mean square as a share of the range, that makes an image abnormal: some
/// pictures are as they are in a mirror.
const LEAST_CHANGE: f64 = 0.02;

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Block,
        Self::Patch,
        Self::Scratch,
        Self::Specks,
        Self::Noise,
        Self::Blur,
        Self::Contrast,
        Self::Mirror,
        Self::Turn,
    ];

    /// Makes an anomaly of every image, but of those that it would leave nearly as they are. The
    /// seed and the place among the images decide what is drawn.
    ///
    /// # Shapes
    ///
    /// images: `[N, C, H, W]`, preprocessed as `spec` says, output: the same with `N` or less
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] for pixels that are not numbers.
    pub fn make(
        self,
        images: ArrayView4<f32>,
        spec: &ImageSpec,
        seed: u64,
    ) -> Result<Array4<f32>, Error> {
        let [black, white] = spec.range;
        let mut made = vec![];
        for (place, image) in images.outer_iter().enumerate() {
            let seed = draws::seed(seed, Purpose::Anomalies, (self as u64) << 32 | place as u64);
            let mut changed = self.change(image, place, images, spec.range, seed)?;
            changed.mapv_inplace(|v| match spec.binarize {
                Some(threshold) if v >= threshold => white,
                Some(_) => black,
                None => v.clamp(black, white),
            });
            let squares = changed.iter().zip(image).map(|(a, b)| f64::from(a - b).powi(2));
            let change = (squares.sum::<f64>() / image.len() as f64).sqrt();
            if change >= LEAST_CHANGE * f64::from(white - black) {
                made.push(changed);
            }
        }
        let views: Vec<_> = made.iter().map(|image| image.view()).collect();
        let (_, c, h, w) = images.dim();
        Ok(stack(Axis(0), &views).unwrap_or_else(|_| Array4::zeros((0, c, h, w))))
    }

    fn change(
        self,
        image: ArrayView3<f32>,
        place: usize,
        images: ArrayView4<f32>,
        range: [f32; 2],
        seed: u64,
    ) -> Result<Array3<f32>, Error> {
        let (channels, height, width) = image.dim();
        let [black, white] = range;
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let fine = (height.min(width) as f64 * FINE).max(1.0);
        let mut changed = image.to_owned();
        match self {
            Self::Block => {
                let area = Area::draw(&mut generator, (height, width), SIDES);
                for mut channel in changed.outer_iter_mut() {
                    area.of_mut(&mut channel).fill(generator.random_range(black..=white));
                }
            }
            Self::Patch => {
                let to = Area::draw(&mut generator, (height, width), SIDES);
                let from = to.moved(&mut generator, (height, width));
                let step = generator.random_range(0..images.len_of(Axis(0)).max(2) - 1);
                let other = (place + 1 + step) % images.len_of(Axis(0));
                let others = images.index_axis(Axis(0), other);
                for (mut channel, other) in changed.outer_iter_mut().zip(others.outer_iter()) {
                    to.of_mut(&mut channel).assign(&from.of(&other));
                }
            }
            Self::Scratch => {
                let mean = image.mean().unwrap_or(black);
                let value = if mean - black > white - mean { black } else { white };
                let line = scratch(&mut generator, (height, width), fine.round() as usize);
                for mut channel in changed.outer_iter_mut() {
                    line.iter().for_each(|&at| channel[at] = value);
                }
            }
            Self::Specks => {
                let area = Area::draw(&mut generator, (height, width), SIDES);
                for at in area.places() {
                    let value = match generator.random_range(0..4) {
                        0 => black,
                        1 => white,
                        _ => continue,
                    };
                    changed.outer_iter_mut().for_each(|mut channel| channel[at] = value);
                }
            }
            Self::Noise => {
                let noise = noise::standard_normal(seed, 0, channels, height * width);
                let spread = NOISE * (white - black);
                changed.iter_mut().zip(&noise).for_each(|(value, noise)| *value += spread * noise);
            }
            Self::Blur => {
                for (mut channel, sharp) in changed.outer_iter_mut().zip(image.outer_iter()) {
                    channel.assign(&maps::gaussian::smooth(sharp, fine)?);
                }
            }
            Self::Contrast => {
                let mean = image.mean().unwrap_or(black);
                changed.mapv_inplace(|value| mean + CONTRAST * (value - mean));
            }
            Self::Mirror => changed.invert_axis(Axis(2)),
            Self::Turn => {
                changed.invert_axis(Axis(1));
                match height == width {
                    true => changed.swap_axes(1, 2),
                    false => changed.invert_axis(Axis(2)),
                }
            }
        }
        Ok(changed)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Block => "block",
            Self::Patch => "patch",
            Self::Scratch => "scratch",
            Self::Specks => "specks",
            Self::Noise => "noise",
            Self::Blur => "blur",
            Self::Contrast => "contrast",
            Self::Mirror => "mirror",
            Self::Turn => "turn",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures with no symmetry, in a range.
    fn pictures(shape: (usize, usize, usize, usize), [black, white]: [f32; 2]) -> Array4<f32> {
        Array4::from_shape_fn(shape, |(n, c, h, w)| {
            let wave = ((n + 2 * c) as f32 + 0.9 * h as f32 + 0.3 * (w * w) as f32).sin();
            black + (white - black) * (0.5 + 0.4 * wave)
        })
    }

    fn spec(height: usize, width: usize, range: [f32; 2]) -> ImageSpec {
        ImageSpec { range, ..ImageSpec::new(1, height, width) }
    }

    fn make(kind: Kind, images: &Array4<f32>, spec: &ImageSpec, seed: u64) -> Array4<f32> {
        kind.make(images.view(), spec, seed).expect("finite")
    }

    #[test]
    fn every_kind_changes_images_within_the_range_and_as_the_seed_says() {
        for (shape, range) in [((6, 1, 28, 28), [0.0, 1.0]), ((6, 3, 20, 33), [-1.0, 1.0])] {
            let images = pictures(shape, range);
            let spec = spec(shape.2, shape.3, range);
            for kind in Kind::ALL {
                let made = make(kind, &images, &spec, 1);
                assert_eq!(made.dim(), images.dim(), "{kind}");
                let [black, white] = range;
                assert!(made.iter().all(|v| (black..=white).contains(v)), "{kind}");
                assert_eq!(made, make(kind, &images, &spec, 1), "{kind}");
                let drawn =
                    !matches!(kind, Kind::Blur | Kind::Contrast | Kind::Mirror | Kind::Turn);
                assert_eq!(drawn, made != make(kind, &images, &spec, 2), "{kind}");
                let halves = images.axis_chunks_iter(Axis(0), 3);
                let first = halves.take(1).map(|half| make(kind, &half.to_owned(), &spec, 1));
                let same = first.eq([made.slice_axis(Axis(0), (..3).into()).to_owned()]);
                assert!(same || kind == Kind::Patch, "{kind}: other images take part");
            }
        }
    }

    #[test]
    fn rectangles_and_lines_leave_the_rest_as_it_was() {
        let images = pictures((20, 1, 28, 28), [0.0, 1.0]);
        for (kind, most) in
            [(Kind::Block, 121), (Kind::Patch, 121), (Kind::Specks, 121), (Kind::Scratch, 40)]
        {
            let made = make(kind, &images, &spec(28, 28, [0.0, 1.0]), 5);
            for (image, made) in images.outer_iter().zip(made.outer_iter()) {
                let changed = image.iter().zip(&made).filter(|(a, b)| a != b).count();
                assert!((5..=most).contains(&changed), "{kind}: {changed} pixels");
            }
        }
    }

    #[test]
    fn a_turn_is_a_quarter_where_the_image_is_square() {
        let corner = |height: usize, width: usize| {
            let mut image = Array4::zeros((1, 1, height, width));
            image[[0, 0, 0, 1]] = 1.0_f32;
            make(Kind::Turn, &image, &spec(height, width, [0.0, 1.0]), 0)
        };
        assert_eq!(corner(4, 4)[[0, 0, 1, 3]], 1.0);
        assert_eq!(corner(4, 6)[[0, 0, 3, 4]], 1.0);
        let mut image = Array4::zeros((1, 1, 4, 6));
        image[[0, 0, 2, 0]] = 1.0_f32;
        assert_eq!(make(Kind::Mirror, &image, &spec(4, 6, [0.0, 1.0]), 0)[[0, 0, 2, 5]], 1.0);
    }

    #[test]
    fn what_stays_as_it_is_is_no_anomaly_and_binary_images_stay_binary() {
        let flat = Array4::from_elem((3, 1, 9, 9), 0.5);
        let gray = spec(9, 9, [0.0, 1.0]);
        for kind in [Kind::Blur, Kind::Contrast, Kind::Mirror, Kind::Turn, Kind::Patch] {
            assert_eq!(make(kind, &flat, &gray, 3).dim(), (0, 1, 9, 9), "{kind}");
        }
        let binary = ImageSpec { binarize: Some(0.5), ..spec(28, 28, [0.0, 1.0]) };
        let images = pictures((4, 1, 28, 28), [0.0, 1.0]).mapv(|v| f32::from(v >= 0.5));
        for kind in Kind::ALL {
            let made = make(kind, &images, &binary, 3);
            assert!(made.iter().all(|&v| v == 0.0 || v == 1.0), "{kind}");
        }
        let empty = Array4::zeros((0, 1, 9, 9));
        let tiny = Array4::from_shape_fn((2, 1, 1, 1), |(n, ..)| n as f32);
        for kind in Kind::ALL {
            assert_eq!(make(kind, &empty, &gray, 3).len(), 0, "{kind}");
            assert!(make(kind, &tiny, &spec(1, 1, [0.0, 1.0]), 3).len() <= 2, "{kind}");
        }
    }
}
