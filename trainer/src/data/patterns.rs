//! Images of 4x4 pixels that need no file: a line, a diagonal or a corner, with noise.

use image::{DynamicImage, ImageBuffer, Luma};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use vae_infer::images::{Picture, Pixels};
use vae_infer::noise;

use super::Error;
use super::pictures::{Pictures, Split, Splits};

/// The side of an image in pixels.
pub const SIDE: usize = 4;
/// The names of the classes.
pub const CLASSES: [&str; 4] = ["horizontal", "vertical", "diagonal", "corner"];
/// The most images that are made.
const MAX_IMAGES: usize = 1 << 24;

/// How many images are made, and from what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Patterns {
    /// The number of training images.
    pub count: usize,
    /// The number of test images; with 0 there is no test split.
    pub test_count: usize,
    /// The standard deviation of the pixels' noise, where black is 0 and white is 1.
    pub noise: f32,
    /// The seed. Image `i` depends on the seed, the noise and `i` alone, on every platform.
    pub seed: u64,
}

impl Default for Patterns {
    fn default() -> Self {
        Self { count: 2_000, test_count: 500, noise: 0.05, seed: 0 }
    }
}

impl Patterns {
    /// Checks that such images can be made.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] that says which field is wrong.
    pub fn check(&self) -> Result<(), Error> {
        let reason = if !(1..=MAX_IMAGES).contains(&self.count) {
            format!("`count` is {}, it must be 1 to {MAX_IMAGES}", self.count)
        } else if self.test_count > MAX_IMAGES {
            format!("`test_count` is {}, it must be at most {MAX_IMAGES}", self.test_count)
        } else if !(self.noise.is_finite() && self.noise >= 0.0) {
            format!("`noise` is {}, it must be finite and at least 0", self.noise)
        } else {
            return Ok(());
        };
        Err(Error::Config { reason })
    }

    /// The training images, and the test images that follow them.
    pub(super) fn splits(&self) -> Result<Splits, Error> {
        self.check()?;
        let split = |first: usize, count: usize| {
            let images = (first..first + count).map(|i| self.image(i as u64));
            let (pictures, labels) = images.unzip();
            Split { pictures: Pictures::Memory(pictures), labels }
        };
        Ok(Splits {
            train: split(0, self.count),
            test: (self.test_count > 0).then(|| split(self.count, self.test_count)),
            classes: CLASSES.map(String::from).to_vec(),
            notes: Vec::new(),
        })
    }

    /// Image `i` and its class: 16-bit grey, so that it takes the same way as a file's.
    fn image(&self, i: u64) -> (Picture, usize) {
        // The noise of image `i` is stream `i` of the seed; shapes take the streams from the top.
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(u64::MAX - i);
        let mut quarter = || (generator.next_u32() >> 30) as usize;
        let (class, place) = (quarter(), quarter());

        let noise = noise::standard_normal(self.seed, i, 1, SIDE * SIDE);
        let pixel = |x: u32, y: u32| {
            let (x, y) = (x as usize, y as usize);
            let white = if is_white(class, place, x, y) { 1.0 } else { 0.0 };
            let value: f32 = white + self.noise * noise[[0, y * SIDE + x]];
            Luma([(value.clamp(0.0, 1.0) * 65_535.0).round() as u16])
        };
        let image = ImageBuffer::from_fn(SIDE as u32, SIDE as u32, pixel);
        let pixels = Pixels::Integer(DynamicImage::ImageLuma16(image));
        (Picture { name: format!("patterns[{i}]"), pixels }, class)
    }
}

/// Whether a pixel belongs to the shape of a class at one of its four places.
fn is_white(class: usize, place: usize, x: usize, y: usize) -> bool {
    match class {
        0 => y == place,
        1 => x == place,
        2 if place < 2 => x == y,
        2 => x + y == SIDE - 1,
        _ => (x / 2, y / 2) == (place % 2, place / 2),
    }
}
