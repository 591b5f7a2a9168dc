use ndarray::{ArrayView2, ArrayViewMut2, Slice};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A rectangle within an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Area {
    /// Draws one somewhere in an image of a height and a width, whose sides are between two shares
    /// of the image's; a pixel at least.
    pub(super) fn draw(
        generator: &mut ChaCha8Rng,
        (height, width): (usize, usize),
        [least, most]: [f64; 2],
    ) -> Self {
        let mut side = |size: usize| {
            let [least, most] = [least, most].map(|share| (share * size as f64) as usize);
            generator.random_range(least.max(1)..=most.max(1))
        };
        let area = Self { top: 0, left: 0, height: side(height), width: side(width) };
        area.moved(generator, (height, width))
    }

    /// The same somewhere else in the image.
    pub(super) fn moved(self, generator: &mut ChaCha8Rng, (height, width): (usize, usize)) -> Self {
        let top = generator.random_range(0..=height - self.height);
        let left = generator.random_range(0..=width - self.width);
        Self { top, left, ..self }
    }

    /// Its pixels, row by row.
    pub(super) fn places(self) -> impl Iterator<Item = [usize; 2]> {
        let Self { top, left, height, width } = self;
        let row = move |y| (left..left + width).map(move |x| [y, x]);
        (top..top + height).flat_map(row)
    }

    /// Its part of a channel.
    pub(super) fn of<'a>(self, channel: &'a ArrayView2<f32>) -> ArrayView2<'a, f32> {
        channel.slice_each_axis(|axis| self.slice(axis.axis.0))
    }

    /// Its part of a channel, to change.
    pub(super) fn of_mut<'a>(self, channel: &'a mut ArrayViewMut2<f32>) -> ArrayViewMut2<'a, f32> {
        channel.slice_each_axis_mut(|axis| self.slice(axis.axis.0))
    }

    fn slice(self, axis: usize) -> Slice {
        let Self { top, left, height, width } = self;
        match axis {
            0 => Slice::from(top..top + height),
            _ => Slice::from(left..left + width),
        }
    }
}
