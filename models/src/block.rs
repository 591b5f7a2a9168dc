use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// One step of a network.
///
/// In TOML a block is a table with its name under `block`:
///
/// ```toml
/// { block = "conv", channels = 32, kernel = 3, stride = 2, padding = 1, activation = "relu" }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "block", rename_all = "snake_case", deny_unknown_fields)]
pub enum Block {
    /// A fully connected layer: `[B, F]` to `[B, units]`.
    Dense {
        /// Number of outputs.
        units: usize,
        /// What follows the affine map.
        #[serde(default)]
        activation: Activation,
    },
    /// A convolution: `[B, C, H, W]` to `[B, channels, H', W']`, `H' = (H + 2 padding - kernel) / stride + 1`.
    Conv {
        /// Number of output channels.
        channels: usize,
        /// Side of the kernel.
        kernel: usize,
        /// Step between applications.
        #[serde(default = "one")]
        stride: usize,
        /// Zeros added at every edge.
        #[serde(default)]
        padding: usize,
        /// What follows the affine map.
        #[serde(default)]
        activation: Activation,
    },
    /// A transposed convolution: `H' = (H - 1) stride + kernel - 2 padding + output_padding`.
    Deconv {
        /// Number of output channels.
        channels: usize,
        /// Side of the kernel.
        kernel: usize,
        /// Step between applications, in the output.
        #[serde(default = "one")]
        stride: usize,
        /// Rows and columns dropped at every edge of the output.
        #[serde(default)]
        padding: usize,
        /// Rows and columns added at the bottom and the right of the output.
        #[serde(default)]
        output_padding: usize,
        /// What follows the affine map.
        #[serde(default)]
        activation: Activation,
    },
    /// The largest or the mean value of every window.
    Pool {
        /// Which of the two.
        kind: PoolKind,
        /// Side of the window.
        kernel: usize,
        /// Step between windows.
        stride: usize,
    },
    /// Every pixel repeated `scale` times in both directions.
    Upsample {
        /// The factor.
        scale: usize,
    },
    /// `[B, C, H, W]` to `[B, C H W]`, row-major.
    Flatten,
    /// `[B, C H W]` to `[B, C, H, W]`, row-major.
    Unflatten {
        /// `C`
        channels: usize,
        /// `H`
        height: usize,
        /// `W`
        width: usize,
    },
    /// The centre of an image; where it cannot be exact, half a pixel up and to the left.
    Crop {
        /// `H'`
        height: usize,
        /// `W'`
        width: usize,
    },
    /// Remembers the image that passes, for one or more [`Block::Join`]s.
    Tap {
        /// The skip's name.
        skip: String,
    },
    /// Appends a remembered image's channels. A smaller one is first padded with zeros around its
    /// centre; where that cannot be even, the odd row and column come last.
    Join {
        /// The skip's name.
        skip: String,
    },
}

/// An elementwise function after a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x
    #[default]
    Identity,
    /// max(0, x)
    Relu,
    /// x where x >= 0, the given slope times x elsewhere
    LeakyRelu(f32),
    /// x sigmoid(x)
    Silu,
    /// 1 / (1 + exp(-x))
    Sigmoid,
}

/// Which value of a window [`Block::Pool`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// The largest.
    Max,
    /// The mean.
    Average,
}

fn one() -> usize {
    1
}

impl Block {
    /// The elementwise function at the block's end.
    pub fn activation(&self) -> Activation {
        match self {
            Self::Dense { activation, .. }
            | Self::Conv { activation, .. }
            | Self::Deconv { activation, .. } => *activation,
            _ => Activation::Identity,
        }
    }
}

impl Activation {
    /// Applies the function to every element.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Identity => x,
            Self::Relu => activation::relu(x),
            Self::LeakyRelu(slope) => activation::leaky_relu(x, slope.into()),
            Self::Silu => activation::silu(x),
            Self::Sigmoid => activation::sigmoid(x),
        }
    }
}
