use super::window::Window;

/// Large images taken apart into their *phases*, one for every remainder of a row's and a column's
/// number by the stride, with the padding around them.
///
/// In a phase, the pixels that one weight meets at consecutive windows lie side by side, so that the
/// matrix of all windows, a row for every weight, consists of stretches of the phases. Such a row is as wide as a
/// phase where the small image's is not; what is between them is slack.
pub(super) struct Phases {
    window: Window,
    /// Numbers in the phases of an image.
    pub(super) len: usize,
    /// From a row of a phase to the next.
    pub(super) pitch: usize,
    /// From a channel to the next.
    channel: usize,
    /// Where every row of the large image begins in a channel.
    rows: Vec<usize>,
    /// The columns of every phase, as long as there are some.
    columns: Vec<Columns>,
    /// Where the windows' row of every weight begins.
    pub(super) stretches: Vec<usize>,
}

/// The columns of the large image that lie in one phase: `first` and those that follow it at the stride.
struct Columns {
    first: usize,
    /// Where they lie, from the row's beginning on.
    place: usize,
    count: usize,
}

impl Phases {
    pub(super) fn new(window: Window) -> Self {
        let Window { channels, large, small, kernel, stride, padding, .. } = window;
        let side = |axis: usize| {
            let windows = small[axis] + (kernel[axis] - 1) / stride[axis];
            windows.max((large[axis] + padding[axis]).div_ceil(stride[axis]))
        };
        let (height, pitch) = (side(0), side(1));
        let row = move |row: usize| {
            row % stride[0] * stride[1] * height * pitch + row / stride[0] * pitch
        };
        let column = move |column: usize| column % stride[1] * height * pitch + column / stride[1];
        let channel = stride[0] * stride[1] * height * pitch;
        let rows = (0..large[0]).map(|y| row(y + padding[0])).collect();
        let columns = (0..stride[1].min(large[1])).map(|first| Columns {
            first,
            place: column(first + padding[1]),
            count: (large[1] - first).div_ceil(stride[1]),
        });
        let columns = columns.collect();
        let kernel = (0..kernel[0]).flat_map(|y| (0..kernel[1]).map(move |x| row(y) + column(x)));
        let kernel: Vec<usize> = kernel.collect();
        let stretches = (0..channels).flat_map(|c| kernel.iter().map(move |k| c * channel + k));
        let stretches = stretches.collect();
        Self { window, len: channels * channel, pitch, channel, rows, columns, stretches }
    }

    /// Columns of the matrix of windows for some rows of the small image.
    pub(super) fn width(&self, rows: usize) -> usize {
        (rows - 1) * self.pitch + self.window.small[1]
    }

    /// Takes a large image, `[C, H, W]`, apart. What is around it in the phases stays as it is.
    #[inline(always)]
    pub(super) fn split(&self, image: &[f32], phases: &mut [f32]) {
        let [height, width] = self.window.large;
        let channels =
            image.chunks_exact(height * width).zip(phases.chunks_exact_mut(self.channel));
        for (image, phases) in channels {
            for (image, row) in image.chunks_exact(width).zip(&self.rows) {
                for columns in &self.columns {
                    let to = &mut phases[row + columns.place..][..columns.count];
                    let from = &image[columns.first..];
                    match self.window.stride[1] {
                        1 => to.copy_from_slice(from),
                        2 => take::<2>(from, to),
                        stride => {
                            let from = from.iter().step_by(stride);
                            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                        }
                    }
                }
            }
        }
    }

    /// Puts a large image together; `finish` gets every channel of it with its number.
    #[inline(always)]
    pub(super) fn join(
        &self,
        phases: &[f32],
        image: &mut [f32],
        finish: impl Fn(usize, &mut [f32]),
    ) {
        let [height, width] = self.window.large;
        let channels =
            image.chunks_exact_mut(height * width).zip(phases.chunks_exact(self.channel));
        for (channel, (image, phases)) in channels.enumerate() {
            for (line, row) in image.chunks_exact_mut(width).zip(&self.rows) {
                for columns in &self.columns {
                    let from = &phases[row + columns.place..][..columns.count];
                    let to = line[columns.first..].iter_mut().step_by(self.window.stride[1]);
                    to.zip(from).for_each(|(to, from)| *to = *from);
                }
            }
            finish(channel, image);
        }
    }
}

/// Every `N`th number from the first on.
#[inline(always)]
fn take<const N: usize>(from: &[f32], to: &mut [f32]) {
    let (chunks, rest) = from.as_chunks::<N>();
    to.iter_mut().zip(chunks).for_each(|(to, chunk)| *to = chunk[0]);
    if let (Some(to), Some(from)) = (to.get_mut(chunks.len()), rest.first()) {
        *to = *from;
    }
}
