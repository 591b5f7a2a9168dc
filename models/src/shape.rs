use std::collections::BTreeMap;
use std::fmt;

use crate::block::Block;

/// The shape of one example between two blocks, without the batch axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `[F]`
    Flat(usize),
    /// `[C, H, W]`
    Image([usize; 3]),
}

/// The most values of one example, and the most weights of one block.
const MAX_VALUES: usize = 1 << 30;

/// A block that does not fit what comes before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("block {number} of the {network}: {reason}")]
pub struct ShapeError {
    /// The network's name.
    pub network: String,
    /// The block's place, counted from 1.
    pub number: usize,
    /// What does not fit.
    pub reason: String,
}

impl Shape {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.dims().iter().product()
    }

    /// Whether it holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sizes along every axis but the batch's.
    pub fn dims(&self) -> &[usize] {
        match self {
            Self::Flat(features) => std::slice::from_ref(features),
            Self::Image(dims) => dims,
        }
    }

    /// The shape behind a block; `skips` are the remembered shapes by name.
    ///
    /// # Errors
    ///
    /// One sentence that says what does not fit.
    pub fn after(&self, block: &Block, skips: &mut BTreeMap<String, Self>) -> Result<Self, String> {
        if let Block::Conv { kernel, stride, .. }
        | Block::Deconv { kernel, stride, .. }
        | Block::Pool { kernel, stride, .. } = *block
            && (kernel == 0 || stride == 0)
        {
            return Err(format!("kernel {kernel} and stride {stride} must be above 0"));
        }
        let shape = match *block {
            Block::Dense { units, .. } => {
                self.flat("dense")?;
                Self::Flat(units)
            }
            Block::Conv { channels, kernel, stride, padding, .. } => {
                self.map(&format!("conv with kernel {kernel}"), channels, |side| {
                    let padded = side.checked_add(padding.checked_mul(2)?)?;
                    padded.checked_sub(kernel).map(|room| room / stride + 1)
                })?
            }
            Block::Deconv { channels, kernel, stride, padding, output_padding, .. } => {
                if output_padding >= stride {
                    return Err(format!(
                        "output_padding {output_padding} must be below the stride {stride}"
                    ));
                }
                self.map(&format!("deconv with kernel {kernel}"), channels, |side| {
                    let strides = side.checked_sub(1)?.checked_mul(stride)?;
                    let full = strides.checked_add(kernel)?.checked_add(output_padding)?;
                    full.checked_sub(padding.checked_mul(2)?)
                })?
            }
            Block::Pool { kernel, stride, .. } => {
                self.map(&format!("pool with kernel {kernel}"), self.dims()[0], |side| {
                    side.checked_sub(kernel).map(|room| room / stride + 1)
                })?
            }
            Block::Upsample { scale } => {
                self.map("upsample", self.dims()[0], |side| side.checked_mul(scale))?
            }
            Block::Flatten => {
                self.image("flatten")?;
                Self::Flat(self.len())
            }
            Block::Unflatten { channels, height, width } => {
                let features = self.flat("unflatten")?;
                let values = channels.checked_mul(height).and_then(|n| n.checked_mul(width));
                if values != Some(features) {
                    return Err(format!(
                        "{features} values cannot become {channels}x{height}x{width}"
                    ));
                }
                Self::Image([channels, height, width])
            }
            Block::Crop { height, width } => {
                let [channels, h, w] = self.image("crop")?;
                if h < height || w < width {
                    return Err(format!("{h}x{w} cannot be cropped to {height}x{width}"));
                }
                Self::Image([channels, height, width])
            }
            Block::Tap { ref skip } => {
                self.image("tap")?;
                if skips.insert(skip.clone(), *self).is_some() {
                    return Err(format!("the skip `{skip}` is already taken"));
                }
                *self
            }
            Block::Join { ref skip } => {
                let [channels, h, w] = self.image("join")?;
                let Some(&Self::Image([more, skip_h, skip_w])) = skips.get(skip) else {
                    return Err(format!("no tap before it is named `{skip}`"));
                };
                if skip_h > h || skip_w > w {
                    return Err(format!(
                        "the skip `{skip}` is {skip_h}x{skip_w}, larger than {h}x{w}"
                    ));
                }
                Self::Image([channels + more, h, w])
            }
        };
        let product = |sizes: &[usize]| sizes.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        let weights = match *block {
            Block::Dense { units, .. } => product(&[self.dims()[0], units]),
            Block::Conv { channels, kernel, .. } | Block::Deconv { channels, kernel, .. } => {
                product(&[self.dims()[0], channels, kernel, kernel])
            }
            _ => Some(0),
        };
        for (what, count) in [("values", product(shape.dims())), ("weights", weights)] {
            if count.is_none_or(|count| count > MAX_VALUES) {
                return Err(format!("it has more than {MAX_VALUES} {what}"));
            }
        }
        match shape.is_empty() {
            true => Err(format!("it leaves nothing, a shape of {shape}")),
            false => Ok(shape),
        }
    }

    fn flat(&self, block: &str) -> Result<usize, String> {
        match self {
            Self::Flat(features) => Ok(*features),
            Self::Image(_) => {
                Err(format!("{block} takes a vector and gets {self}: flatten it first"))
            }
        }
    }

    fn image(&self, block: &str) -> Result<[usize; 3], String> {
        match self {
            Self::Image(dims) => Ok(*dims),
            Self::Flat(_) => {
                Err(format!("{block} takes an image and gets {self}: unflatten it first"))
            }
        }
    }

    fn map(
        &self,
        block: &str,
        channels: usize,
        side: impl Fn(usize) -> Option<usize>,
    ) -> Result<Self, String> {
        let [_, h, w] = self.image(block)?;
        match (side(h), side(w)) {
            (Some(height), Some(width)) => Ok(Self::Image([channels, height, width])),
            _ => Err(format!("{block} does not fit {h}x{w}")),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flat(features) => write!(f, "{features}"),
            Self::Image([c, h, w]) => write!(f, "{c}x{h}x{w}"),
        }
    }
}
