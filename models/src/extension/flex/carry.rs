use super::correlation::Correlation;
use super::tiles::LANES;

/// Sums that are found before they are put in their place, about: they stay in the cache until then.
const SUMS: usize = 32 * 1024;

/// What carries the planes of one image over to another image: the sums of every pixel of it, those of every phase by a
/// correlation of their own.
pub(super) struct Carry {
    channels: usize,
    rows: Side,
    columns: Side,
    /// Positions from a line of pixels to the next.
    pitch: usize,
    /// By rows, then columns.
    sums: Vec<Correlation>,
}

/// Room for what a carry has in between.
#[derive(Default)]
pub(super) struct Room {
    panel: Vec<f32>,
    /// `[R, N]` of every correlation.
    sums: Vec<f32>,
}

/// The rows or columns of an image, by their phases.
pub(super) struct Side {
    pub(super) stride: usize,
    pub(super) phases: Vec<Pixels>,
}

/// A pixel and those that follow it at the stride.
#[derive(Clone, Copy)]
pub(super) struct Pixels {
    pub(super) first: usize,
    pub(super) count: usize,
}

impl Side {
    fn len(&self) -> usize {
        self.phases.iter().map(|phase| phase.count).sum()
    }

    /// Pixels of a phase, the most there are.
    fn longest(&self) -> usize {
        self.phases.iter().map(|phase| phase.count).max().unwrap_or(0)
    }

    /// Fills a line with what is at the beginning of every `phase` numbers.
    #[inline(always)]
    fn put(&self, sums: &[f32], phase: usize, line: &mut [f32]) {
        match &self.phases[..] {
            [_] => line.copy_from_slice(&sums[..line.len()]),
            [left, right] => {
                let (left, right) = (&sums[..left.count], &sums[phase..][..right.count]);
                let [even, odd] =
                    if self.phases[0].first == 0 { [left, right] } else { [right, left] };
                let (pairs, rest) = line.as_chunks_mut::<2>();
                for ((pair, even), odd) in pairs.iter_mut().zip(even).zip(odd) {
                    *pair = [*even, *odd];
                }
                if let (Some(last), Some(sum)) = (rest.first_mut(), even.last()) {
                    *last = *sum;
                }
            }
            phases => {
                for (pixels, sums) in phases.iter().zip(sums.chunks(phase)) {
                    let places = line.iter_mut().skip(pixels.first).step_by(self.stride);
                    places.zip(&sums[..pixels.count]).for_each(|(place, sum)| *place = *sum);
                }
            }
        }
    }
}

impl Carry {
    pub(super) fn new(
        channels: usize,
        [rows, columns]: [Side; 2],
        pitch: usize,
        sums: Vec<Correlation>,
    ) -> Self {
        Self { channels, rows, columns, pitch, sums }
    }

    /// Fills an image, `[C, H, W]`. `finish` gets stretches of it, each with the number of its channel.
    #[inline(always)]
    pub(super) fn run(
        &self,
        planes: &[f32],
        room: &mut Room,
        image: &mut [f32],
        finish: impl Fn(usize, &mut [f32]),
    ) {
        let (height, width) = (self.rows.len(), self.columns.len());
        let lines = SUMS / (self.sums.len() * self.channels * self.pitch);
        let step = lines.clamp(1, self.rows.longest().max(1));
        let stretch = (step * self.pitch).next_multiple_of(LANES);
        let phase = self.channels * stretch;
        let Room { panel, sums: room } = room;
        room.resize(self.sums.len() * phase, 0.0);
        for first in (0..self.rows.longest()).step_by(step) {
            let lines = |rows: &Pixels| step.min(rows.count.saturating_sub(first));
            let phases = self.rows.phases.iter().flat_map(|rows| {
                self.columns.phases.iter().map(move |columns| (rows, columns.count))
            });
            for (((rows, count), sums), room) in
                phases.zip(&self.sums).zip(room.chunks_exact_mut(phase))
            {
                if let Some(whole) = lines(rows).checked_sub(1).filter(|_| count > 0) {
                    let planes = &planes[first * self.pitch..];
                    sums.run(planes, whole * self.pitch + count, panel, room);
                }
            }
            for (channel, image) in image.chunks_exact_mut(height * width).enumerate() {
                for (number, rows) in self.rows.phases.iter().enumerate() {
                    let of_phase =
                        &room[number * self.columns.stride * phase..][channel * stretch..];
                    for line in 0..lines(rows) {
                        let row = rows.first + (first + line) * self.rows.stride;
                        let sums = &of_phase[line * self.pitch..];
                        self.columns.put(sums, phase, &mut image[row * width..][..width]);
                    }
                }
                let stride = self.rows.stride;
                let (first, end) = (first * stride, height.min((first + step) * stride));
                finish(channel, &mut image[first * width..end * width]);
            }
        }
    }
}
