//! A model that is ready: its encoder, its decoder, or both.

use bytes::Bytes;
use ndarray::{Array4, ArrayD, ArrayView2, ArrayView4, ArrayViewD, Dimension};
use ndarray::{Ix2, Ix4};

use crate::engine::{Backend, Backends, EngineOptions, Session, Step};
use crate::finite::all_finite;
use crate::graph::with_outputs;
use crate::manifest::{GraphSpec, Manifest, TensorSpec};
use crate::score::{Score, score};
use crate::{Bundle, Error, Posterior};

/// The half of a model that turns images into posteriors.
pub struct Encoder {
    network: Network,
    manifest: Manifest,
}

/// The half of a model that turns latent vectors into images.
pub struct Decoder {
    network: Network,
    manifest: Manifest,
}

/// A whole model.
pub struct Model {
    /// From images to posteriors.
    pub encoder: Encoder,
    /// From latent vectors to images.
    pub decoder: Decoder,
}

/// What an encoder says about a batch of images.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// The posterior of every image.
    pub posterior: Posterior,
    /// The tensors that the decoder takes beside the latent vector, in its order, each `[B, …]`;
    /// most models have none.
    pub skips: Vec<ArrayD<f32>>,
    /// The hidden layers' activations, each `[B, …]`, of an encoder that was loaded with them.
    pub layers: Vec<ArrayD<f32>>,
}

/// A batch of images, encoded and decoded again.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconstruction {
    /// The decoded posterior means, `[B, C, H, W]`.
    pub images: Array4<f32>,
    /// The posterior of every image.
    pub posterior: Posterior,
}

impl Encoding {
    /// The encoder's outputs in the order of its graph: `mean`, `log_var` where there is one, skips.
    pub fn into_outputs(self) -> Vec<ArrayD<f32>> {
        let Self { posterior, skips, .. } = self;
        let mut outputs = vec![posterior.mean.into_dyn()];
        outputs.extend(posterior.log_var.map(|log_var| log_var.into_dyn()));
        outputs.extend(skips);
        outputs
    }
}

impl Encoder {
    /// Prepares a bundle's encoder.
    ///
    /// # Errors
    ///
    /// [`Error::Graph`] or [`Error::Engine`].
    pub fn load(bundle: &Bundle, options: &EngineOptions) -> Result<Self, Error> {
        let spec = &bundle.manifest.encoder;
        let network = Network::load("encoder", bundle.encoder().clone(), spec, options)?;
        Ok(Self { network, manifest: bundle.manifest.clone() })
    }

    /// Prepares a bundle's encoder so that it shows its hidden layers, in [`Encoding::layers`].
    ///
    /// # Errors
    ///
    /// As [`Encoder::load`].
    pub fn load_with_layers(bundle: &Bundle, options: &EngineOptions) -> Result<Self, Error> {
        let mut spec = bundle.manifest.encoder.clone();
        let onnx = with_outputs(bundle.encoder(), &spec.layers);
        spec.outputs.extend(spec.layers.iter().cloned());
        let network = Network::load("encoder", onnx, &spec, options)?;
        Ok(Self { network, manifest: bundle.manifest.clone() })
    }

    /// Encodes a batch of images.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for images of another size, [`Error::NotFinite`] for pixels or results
    /// that are not numbers, [`Error::Graph`] where the engine gives up.
    pub fn encode(&mut self, images: ArrayView4<f32>) -> Result<Encoding, Error> {
        let mut outputs = self.network.run(&[images.into_dyn()])?.into_iter();
        let gaussian = self.manifest.posterior == crate::manifest::PosteriorKind::Gaussian;
        let mean = ranked::<Ix2>("mean", outputs.next())?;
        let log_var = if gaussian { Some(ranked("log_var", outputs.next())?) } else { None };
        let mut skips: Vec<_> = outputs.collect();
        let declared = self.manifest.encoder.outputs.len() - 1 - usize::from(gaussian);
        let layers = skips.split_off(declared);
        Ok(Encoding { posterior: Posterior { mean, log_var }, skips, layers })
    }

    /// Encodes a batch of images and says what every step of it took; `None` from an engine that does
    /// not tell.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`].
    pub fn profile(&mut self, images: ArrayView4<f32>) -> Result<Option<Vec<Step>>, Error> {
        self.network.profile(&[images.into_dyn()])
    }

    /// Encoders of one thread each, as [`Model::per_thread`] has models.
    pub fn per_thread(&self) -> Vec<Self> {
        let encoder = |network| Self { network, manifest: self.manifest.clone() };
        self.network.per_thread().into_iter().map(encoder).collect()
    }

    /// What really runs the encoder.
    pub fn backend(&self) -> &Backend {
        self.network.session.backend()
    }
}

impl Decoder {
    /// Prepares a bundle's decoder.
    ///
    /// # Errors
    ///
    /// [`Error::Graph`] or [`Error::Engine`].
    pub fn load(bundle: &Bundle, options: &EngineOptions) -> Result<Self, Error> {
        let spec = &bundle.manifest.decoder;
        let network = Network::load("decoder", bundle.decoder().clone(), spec, options)?;
        Ok(Self { network, manifest: bundle.manifest.clone() })
    }

    /// Decodes a batch of latent vectors, with the skips of the images that they belong to.
    ///
    /// # Shapes
    ///
    /// latent: `[B, Z]`, skips: as in [`Encoding::skips`], output: `[B, C, H, W]`
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where skips are missing, [`Error::Shape`], [`Error::NotFinite`],
    /// [`Error::Graph`].
    pub fn decode(
        &mut self,
        latent: ArrayView2<f32>,
        skips: &[ArrayD<f32>],
    ) -> Result<Array4<f32>, Error> {
        let inputs = self.inputs(latent, skips)?;
        ranked::<Ix4>("reconstruction", self.network.run(&inputs)?.into_iter().next())
    }

    /// Decodes a batch of latent vectors and says what every step of it took; `None` from an engine
    /// that does not tell.
    ///
    /// # Shapes
    ///
    /// As [`Decoder::decode`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn profile(
        &mut self,
        latent: ArrayView2<f32>,
        skips: &[ArrayD<f32>],
    ) -> Result<Option<Vec<Step>>, Error> {
        self.network.profile(&self.inputs(latent, skips)?)
    }

    fn inputs<'a>(
        &self,
        latent: ArrayView2<'a, f32>,
        skips: &'a [ArrayD<f32>],
    ) -> Result<Vec<ArrayViewD<'a, f32>>, Error> {
        if skips.is_empty() {
            self.manifest.decodes_alone("decode latent vectors alone")?;
        }
        Ok([latent.into_dyn()].into_iter().chain(skips.iter().map(|skip| skip.view())).collect())
    }

    /// Decoders of one thread each, as [`Model::per_thread`] has models.
    pub fn per_thread(&self) -> Vec<Self> {
        let decoder = |network| Self { network, manifest: self.manifest.clone() };
        self.network.per_thread().into_iter().map(decoder).collect()
    }

    /// What really runs the decoder.
    pub fn backend(&self) -> &Backend {
        self.network.session.backend()
    }
}

impl Model {
    /// Prepares both halves of a bundle, side by side.
    ///
    /// # Errors
    ///
    /// [`Error::Graph`] or [`Error::Engine`].
    pub fn load(bundle: &Bundle, options: &EngineOptions) -> Result<Self, Error> {
        Self::side_by_side(|| Encoder::load(bundle, options), || Decoder::load(bundle, options))
    }

    /// Prepares both halves of a bundle, with an encoder that shows its hidden layers.
    ///
    /// # Errors
    ///
    /// As [`Model::load`].
    pub fn load_with_layers(bundle: &Bundle, options: &EngineOptions) -> Result<Self, Error> {
        let encoder = || Encoder::load_with_layers(bundle, options);
        Self::side_by_side(encoder, || Decoder::load(bundle, options))
    }

    fn side_by_side(
        encoder: impl FnOnce() -> Result<Encoder, Error> + Send,
        decoder: impl FnOnce() -> Result<Decoder, Error>,
    ) -> Result<Self, Error> {
        let (encoder, decoder) = std::thread::scope(|scope| {
            let encoder = scope.spawn(encoder);
            let decoder = decoder();
            (encoder.join(), decoder)
        });
        let encoder = encoder.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(Self { encoder, decoder: decoder? })
    }

    /// What really runs both halves.
    pub fn backends(&self) -> Backends {
        let (encoder, decoder) = (*self.encoder.backend(), *self.decoder.backend());
        Backends { encoder: Some(encoder), decoder: Some(decoder) }
    }

    /// Models of one thread each, as many as this one has threads, which share its weights: every thread may
    /// run batches of its own. None where the engine cannot share them.
    pub fn per_thread(&self) -> Vec<Self> {
        let halves = self.encoder.per_thread().into_iter().zip(self.decoder.per_thread());
        halves.map(|(encoder, decoder)| Self { encoder, decoder }).collect()
    }

    /// [`Encoder::encode`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn encode(&mut self, images: ArrayView4<f32>) -> Result<Encoding, Error> {
        self.encoder.encode(images)
    }

    /// [`Decoder::decode`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn decode(
        &mut self,
        latent: ArrayView2<f32>,
        skips: &[ArrayD<f32>],
    ) -> Result<Array4<f32>, Error> {
        self.decoder.decode(latent, skips)
    }

    /// Encodes a batch of images and decodes the posterior means; nothing is drawn.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`] and [`Decoder::decode`].
    pub fn reconstruct(&mut self, images: ArrayView4<f32>) -> Result<Reconstruction, Error> {
        let Encoding { posterior, skips, .. } = self.encode(images)?;
        let images = self.decode(posterior.mean.view(), &skips)?;
        Ok(Reconstruction { images, posterior })
    }

    /// Reconstructs a batch of images and says how well, one [`Score`] an image.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`
    ///
    /// # Errors
    ///
    /// As [`Model::reconstruct`].
    pub fn score(&mut self, images: ArrayView4<f32>) -> Result<Vec<Score>, Error> {
        let reconstruction = self.reconstruct(images)?;
        score(self.encoder.manifest.likelihood, images, &reconstruction)
    }
}

/// A graph with its signature: what goes in and comes out has the declared shape and is finite.
struct Network {
    name: &'static str,
    spec: GraphSpec,
    session: Box<dyn Session>,
}

impl Network {
    fn load(
        name: &'static str,
        onnx: impl Into<Bytes>,
        spec: &GraphSpec,
        options: &EngineOptions,
    ) -> Result<Self, Error> {
        Ok(Self { name, spec: spec.clone(), session: options.load(name, onnx, spec)? })
    }

    fn per_thread(&self) -> Vec<Self> {
        let network = |session| Self { name: self.name, spec: self.spec.clone(), session };
        self.session.per_thread().into_iter().map(network).collect()
    }

    fn run(&mut self, inputs: &[ArrayViewD<f32>]) -> Result<Vec<ArrayD<f32>>, Error> {
        let batch = self.accept(inputs)?;
        if batch == 0 {
            let empty = |spec: &TensorSpec| ArrayD::zeros([&[0], &spec.shape[..]].concat());
            return Ok(self.spec.outputs.iter().map(empty).collect());
        }
        let outputs = self.session.run(inputs)?;
        let views = outputs.iter().map(|output| output.view());
        self.check("an output", "the outputs", batch, &self.spec.outputs, views)?;
        Ok(outputs)
    }

    fn profile(&mut self, inputs: &[ArrayViewD<f32>]) -> Result<Option<Vec<Step>>, Error> {
        match self.accept(inputs)? {
            0 => Ok(Some(vec![])),
            _ => self.session.profile(inputs),
        }
    }

    /// The size of a batch of inputs.
    fn accept(&self, inputs: &[ArrayViewD<f32>]) -> Result<usize, Error> {
        let batch = inputs.first().and_then(|input| input.shape().first()).copied().unwrap_or(0);
        let views = inputs.iter().map(|input| input.view());
        self.check("an input", "the inputs", batch, &self.spec.inputs, views)?;
        Ok(batch)
    }

    fn check<'t>(
        &self,
        what: &'static str,
        all: &'static str,
        batch: usize,
        specs: &[TensorSpec],
        tensors: impl ExactSizeIterator<Item = ArrayViewD<'t, f32>>,
    ) -> Result<(), Error> {
        if specs.len() != tensors.len() {
            let expected = format!("{} tensors", specs.len());
            return Err(Error::Shape { what: all, got: vec![tensors.len()], expected });
        }
        for (spec, tensor) in specs.iter().zip(tensors) {
            if tensor.shape().split_first() != Some((&batch, &spec.shape[..])) {
                let sizes: Vec<_> = spec.shape.iter().map(usize::to_string).collect();
                let expected = format!("[B, {}] for `{}`", sizes.join(", "), spec.name);
                return Err(Error::Shape { what, got: tensor.shape().to_vec(), expected });
            }
            let finite = match tensor.as_slice_memory_order() {
                Some(values) => all_finite(values.iter().copied()),
                None => all_finite(tensor.iter().copied()),
            };
            if !finite {
                let what = format!("`{}`, {what} of the {},", spec.name, self.name);
                return Err(Error::NotFinite { what });
            }
        }
        Ok(())
    }
}

/// A tensor of the rank that its signature promises.
fn ranked<D: Dimension>(
    what: &'static str,
    tensor: Option<ArrayD<f32>>,
) -> Result<ndarray::Array<f32, D>, Error> {
    let tensor = tensor.unwrap_or_else(|| ArrayD::zeros(ndarray::IxDyn(&[0])));
    let got = tensor.shape().to_vec();
    tensor.into_dimensionality().map_err(|_| Error::Shape {
        what,
        got,
        expected: format!("{} axes", D::NDIM.unwrap_or_default()),
    })
}
