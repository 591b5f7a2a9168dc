/// How a small image and a large one belong together in a convolution: the small one's pixel `[y, x]`
/// meets the kernel's window of the large one whose corner is `[y s - p, x s - p]`.
///
/// A convolution leads from the large image to the small one, a transposed convolution back.
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

impl Window {
    /// Numbers in a window: the weights of one of the small image's channels.
    pub(super) fn weights(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// Numbers in a large image.
    pub(super) fn large_len(&self) -> usize {
        self.channels * self.large[0] * self.large[1]
    }

    /// Numbers in a small image.
    pub(super) fn small_len(&self) -> usize {
        self.small_channels * self.small[0] * self.small[1]
    }
}
