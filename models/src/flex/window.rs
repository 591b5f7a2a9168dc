use std::iter::repeat_n;

/// How a small image and a large one belong together in a convolution: the small one's pixel `[y, x]`
/// meets the kernel's window of the large one whose corner is `[y s - p, x s - p]`.
///
/// A convolution leads from the large image to the small one, a transposed convolution back.
///
/// The large image is taken apart into its *phases*, one for every remainder of a row's and a
/// column's number by the stride. In them, the pixels that one weight meets at consecutive windows
/// lie side by side, so that the matrix of all windows consists of stretches of the phases. The rows of
/// that matrix are as wide as a phase, not as the small image; what is between is *slack*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Channels of the large image.
    pub(super) channels: usize,
    /// Rows and columns of the large image.
    pub(super) large: [usize; 2],
    /// Channels of the small image.
    pub(super) small_channels: usize,
    /// Rows and columns of the small image.
    pub(super) small: [usize; 2],
    /// Rows and columns of the kernel.
    pub(super) kernel: [usize; 2],
    /// Steps between windows, in rows and columns of the large image.
    pub(super) stride: [usize; 2],
    /// Rows and columns by which the first window stands out of the large image.
    pub(super) padding: [usize; 2],
}

/// Pixels of one row of the large image that lie side by side in a phase.
struct Line {
    /// The channel.
    channel: usize,
    /// The first one's place in the image; the next ones follow at the stride.
    image: usize,
    /// The first one's place in the phases.
    phases: usize,
    /// How many they are.
    len: usize,
}

impl Window {
    /// Numbers in a window: the weights of one of the small image's channels.
    pub(super) fn weights(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    pub(super) fn large_len(&self) -> usize {
        self.channels * self.large[0] * self.large[1]
    }

    pub(super) fn small_len(&self) -> usize {
        self.small_channels * self.small[0] * self.small[1]
    }

    /// Rows or columns of a phase.
    fn phase(&self, axis: usize) -> usize {
        let windows = self.small[axis] + (self.kernel[axis] - 1) / self.stride[axis];
        let image = (self.large[axis] + self.padding[axis]).div_ceil(self.stride[axis]);
        windows.max(image)
    }

    /// From a row of the matrix of windows to the next.
    pub(super) fn pitch(&self) -> usize {
        self.phase(1)
    }

    fn phase_len(&self) -> usize {
        self.phase(0) * self.phase(1)
    }

    /// Numbers in all phases of an image.
    pub(super) fn phases_len(&self) -> usize {
        self.channels * self.stride[0] * self.stride[1] * self.phase_len()
    }

    /// Columns of the matrix of windows for some rows of the small image.
    pub(super) fn columns(&self, rows: usize) -> usize {
        (rows - 1) * self.pitch() + self.small[1]
    }

    fn phase_at(&self, channel: usize, row: usize, column: usize) -> usize {
        let [down, along] = self.stride;
        let phase = (channel * down + row % down) * along + column % along;
        phase * self.phase_len() + row / down * self.pitch() + column / along
    }

    /// Where the stretches of the matrix's rows begin in the phases.
    pub(super) fn stretches(&self) -> impl Iterator<Item = usize> {
        let [height, width] = self.kernel;
        (0..self.weights()).map(move |weight| {
            let (channel, place) = (weight / (height * width), weight % (height * width));
            self.phase_at(channel, place / width, place % width)
        })
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        let ([height, width], [top, left], along) = (self.large, self.padding, self.stride[1]);
        let rows =
            (0..self.channels).flat_map(move |channel| repeat_n(channel, height).zip(0..height));
        rows.flat_map(move |(channel, row)| {
            (0..along.min(width)).map(move |column| Line {
                channel,
                image: (channel * height + row) * width + column,
                phases: self.phase_at(channel, row + top, column + left),
                len: (width - column).div_ceil(along),
            })
        })
    }

    /// Takes a large image, `[C, H, W]`, apart into its phases, which are zero elsewhere.
    pub(super) fn split(&self, image: &[f32], phases: &mut [f32]) {
        phases.fill(0.0);
        let along = self.stride[1];
        for line in self.lines() {
            let to = &mut phases[line.phases..][..line.len];
            let from = &image[line.image..];
            match along {
                1 => to.copy_from_slice(&from[..line.len]),
                _ => {
                    to.iter_mut().zip(from.iter().step_by(along)).for_each(|(to, from)| *to = *from)
                }
            }
        }
    }

    /// Puts a large image together from its phases; `finish` gets every number with its channel's `bias`.
    pub(super) fn join(
        &self,
        phases: &[f32],
        image: &mut [f32],
        bias: &[f32],
        finish: impl Fn(f32) -> f32,
    ) {
        let along = self.stride[1];
        for line in self.lines() {
            let from = &phases[line.phases..][..line.len];
            let to = image[line.image..].iter_mut().step_by(along);
            let bias = bias[line.channel];
            to.zip(from).for_each(|(to, from)| *to = finish(from + bias));
        }
    }
}
