use std::collections::BTreeMap;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::module::{avg_pool2d, interpolate, max_pool2d};
use burn::tensor::ops::{
    AvgPoolOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions, PadMode,
};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::affine;
use crate::block::{Block, PoolKind};
use crate::cost::Cost;
#[cfg(any(feature = "flex", feature = "libtorch"))]
use crate::extension;
use crate::initialization::Initialization;
use crate::shape::{Shape, ShapeError};

/// Images remembered by [`Block::Tap`], by name.
pub type Skips = BTreeMap<String, Tensor<4>>;

/// A network as the list of its blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkConfig(pub Vec<Block>);

/// A network with its weights.
#[derive(Module, Debug)]
pub struct Network {
    #[module(skip)]
    config: NetworkConfig,
    layers: Vec<Option<Layer>>,
}

/// The weights of one block.
#[derive(Module, Debug)]
pub enum Layer {
    /// Of [`Block::Dense`]: weight `[F, units]`.
    Dense(Linear),
    /// Of [`Block::Conv`]: weight `[channels, C, kernel, kernel]`.
    Conv(Conv2d),
    /// Of [`Block::Deconv`]: weight `[C, channels, kernel, kernel]`.
    Deconv(ConvTranspose2d),
}

/// What flows between blocks.
#[derive(Debug, Clone)]
pub enum Features {
    /// `[B, F]`
    Flat(Tensor<2>),
    /// `[B, C, H, W]`
    Image(Tensor<4>),
}

impl NetworkConfig {
    /// The shape behind every block; `skips` are the remembered shapes, which other networks may join.
    ///
    /// # Errors
    ///
    /// The first block that does not fit, under the given name of the network.
    pub fn shapes(
        &self,
        network: &str,
        input: Shape,
        skips: &mut BTreeMap<String, Shape>,
    ) -> Result<Vec<Shape>, ShapeError> {
        let mut shape = input;
        let step = |(i, block): (usize, &Block)| {
            shape = shape.after(block, skips).map_err(|reason| ShapeError {
                network: network.to_owned(),
                number: i + 1,
                reason,
            })?;
            Ok(shape)
        };
        self.0.iter().enumerate().map(step).collect()
    }

    /// The cost of one example, given the shapes from [`NetworkConfig::shapes`].
    pub fn cost(&self, input: Shape, shapes: &[Shape]) -> Cost {
        let inputs = std::iter::once(&input).chain(shapes);
        let steps = self.0.iter().zip(inputs).zip(shapes);
        steps.fold(Cost::default(), |sum, ((block, i), o)| sum + Cost::of(block, *i, *o))
    }

    /// A network with fresh weights, given the shapes from [`NetworkConfig::shapes`].
    pub fn init(
        &self,
        input: Shape,
        shapes: &[Shape],
        initialization: Initialization,
        device: &Device,
    ) -> Network {
        let inputs = std::iter::once(&input).chain(shapes);
        let layers = self.0.iter().zip(inputs).map(|(block, input)| {
            let features = input.dims()[0];
            match *block {
                Block::Dense { units, .. } => {
                    Some(Layer::Dense(LinearConfig::new(features, units).init(device)))
                }
                Block::Conv { channels, kernel, stride, padding, .. } => {
                    let conv = Conv2dConfig::new([features, channels], [kernel; 2])
                        .with_stride([stride; 2])
                        .with_padding(PaddingConfig2d::Explicit(
                            padding, padding, padding, padding,
                        ));
                    Some(Layer::Conv(conv.init(device)))
                }
                Block::Deconv { channels, kernel, stride, padding, output_padding, .. } => {
                    let deconv = ConvTranspose2dConfig::new([features, channels], [kernel; 2])
                        .with_stride([stride; 2])
                        .with_padding([padding; 2])
                        .with_padding_out([output_padding; 2]);
                    Some(Layer::Deconv(deconv.init(device)))
                }
                _ => None,
            }
        });
        let layers = layers.map(|layer| Some(initialization.apply(layer?, device)));
        Network { layers: layers.collect(), config: self.clone() }
    }
}

impl Network {
    /// The blocks in order, each with its weights where it has some.
    pub fn blocks(&self) -> impl Iterator<Item = (&Block, Option<&Layer>)> {
        self.config.0.iter().zip(self.layers.iter().map(Option::as_ref))
    }

    /// The weights of the blocks that have some, in order.
    pub fn layers_mut(&mut self) -> impl Iterator<Item = &mut Layer> {
        self.layers.iter_mut().flatten()
    }

    /// The list that the network was made of.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Runs every block in order. Taps add to `skips`, joins read from it.
    ///
    /// # Panics
    ///
    /// Where the shapes are not those that [`NetworkConfig::shapes`] accepted.
    pub fn forward(&self, input: Features, skips: &mut Skips) -> Features {
        self.blocks().fold(input, |x, (block, layer)| step(block, layer, x, skips))
    }
}

fn step(block: &Block, layer: Option<&Layer>, x: Features, skips: &mut Skips) -> Features {
    let activation = block.activation();
    match (block, layer) {
        (Block::Dense { .. }, Some(Layer::Dense(dense))) => {
            Features::Flat(affine::dense(dense, x.flat(), activation))
        }
        (Block::Conv { .. }, Some(Layer::Conv(conv))) => {
            Features::Image(affine::conv(conv, x.image(), activation))
        }
        (Block::Deconv { .. }, Some(Layer::Deconv(deconv))) => {
            Features::Image(affine::deconv(deconv, x.image(), activation))
        }
        (&Block::Pool { kind, kernel, stride }, None) => {
            let (kernel, stride) = ([kernel; 2], [stride; 2]);
            Features::Image(match kind {
                PoolKind::Max => {
                    max_pool2d(x.image(), MaxPoolOptions::new(kernel).with_stride(stride))
                }
                PoolKind::Average => {
                    avg_pool2d(x.image(), AvgPoolOptions::new(kernel).with_stride(stride))
                }
            })
        }
        (&Block::Upsample { scale }, None) => {
            let image = x.image();
            let [_, _, h, w] = image.dims();
            let options = InterpolateOptions::new(InterpolateMode::Nearest)
                .with_output_size([h * scale, w * scale]);
            Features::Image(interpolate(image, options))
        }
        (Block::Flatten, None) => Features::Flat(x.image().flatten(1, 3)),
        (&Block::Unflatten { channels, height, width }, None) => {
            let flat = x.flat();
            let [batch, _] = flat.dims();
            Features::Image(flat.reshape([batch, channels, height, width]))
        }
        (&Block::Crop { height, width }, None) => {
            let image = x.image();
            let [_, _, h, w] = image.dims();
            let (top, left) = ((h - height) / 2, (w - width) / 2);
            Features::Image(crop(image, [top, left], [height, width]))
        }
        (Block::Tap { skip }, None) => {
            let image = x.image();
            skips.insert(skip.clone(), image.clone());
            Features::Image(image)
        }
        (Block::Join { skip }, None) => {
            let image = x.image();
            let [_, _, h, w] = image.dims();
            let remembered = skips.get(skip).expect("the shapes were checked").clone();
            let [_, _, skip_h, skip_w] = remembered.dims();
            let padded = match [h - skip_h, w - skip_w] {
                [0, 0] => remembered,
                missing => pad(remembered, missing),
            };
            Features::Image(join(image, padded))
        }
        (block, layer) => unreachable!("{layer:?} are not the weights of {block:?}"),
    }
}

/// The part of images of a height and a width, from a row and a column on.
fn crop(image: Tensor<4>, [top, left]: [usize; 2], [height, width]: [usize; 2]) -> Tensor<4> {
    #[cfg(any(feature = "flex", feature = "libtorch"))]
    {
        let [_, _, h, w] = image.dims();
        let sides = [top, h - top - height, left, w - left - width].map(|side| -(side as i64));
        if let Some(cropped) = extension::frame(&image, sides) {
            return cropped;
        }
    }
    image.narrow(2, top, height).narrow(3, left, width)
}

/// Images with so many more rows and columns, of zeros around them; the odd ones come last.
fn pad(image: Tensor<4>, missing: [usize; 2]) -> Tensor<4> {
    let [rows, columns] = missing.map(|missing| (missing / 2, missing - missing / 2));
    #[cfg(any(feature = "flex", feature = "libtorch"))]
    {
        let sides = [rows.0, rows.1, columns.0, columns.1].map(|side| side as i64);
        if let Some(padded) = extension::frame(&image, sides) {
            return padded;
        }
    }
    image.pad([rows, columns], PadMode::Constant(0.0))
}

/// Images with the channels of both.
fn join(image: Tensor<4>, other: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let Some(joined) = extension::join([&image, &other]) {
        return joined;
    }
    Tensor::cat(vec![image, other], 1)
}

impl Features {
    /// The vector, `[B, F]`.
    ///
    /// # Panics
    ///
    /// Where it is an image.
    pub fn flat(self) -> Tensor<2> {
        match self {
            Self::Flat(flat) => flat,
            Self::Image(image) => panic!("an image {:?} where a vector belongs", image.dims()),
        }
    }

    /// The image, `[B, C, H, W]`.
    ///
    /// # Panics
    ///
    /// Where it is a vector.
    pub fn image(self) -> Tensor<4> {
        match self {
            Self::Image(image) => image,
            Self::Flat(flat) => panic!("a vector {:?} where an image belongs", flat.dims()),
        }
    }
}
