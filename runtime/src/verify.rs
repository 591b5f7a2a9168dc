//! Whether this machine gives the results that were recorded when a bundle was exported.

use std::collections::BTreeMap;

use ndarray::{ArrayD, ArrayView2, ArrayView4, ArrayViewD};

use crate::compare::Difference;
use crate::engine::{Backend, Backends, EngineOptions};
use crate::manifest::{Manifest, PosteriorKind};
use crate::model::{Decoder, Encoder, Model};
use crate::verdicts::{self, Replayed};
use crate::{Bundle, Error};

/// The difference up to which two engines agree in `f32`, relative to an output's range.
pub const TOLERANCE: f64 = 1e-5;

/// What replaying a bundle's golden vectors has shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// What ran the replay.
    pub backends: Backends,
    /// Number of recorded images.
    pub images: usize,
    /// Every output, the encoder's before the decoder's.
    pub outputs: Vec<Output>,
    /// The recorded verdicts, where there are any.
    pub verdicts: Option<Replayed>,
}

/// An output of a model whose golden vectors were replayed.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its name in the graph.
    pub name: String,
    /// What computed it.
    pub backend: Backend,
    /// Its [`difference`] from the record, over the [`least_range`] at least.
    pub difference: f64,
}

impl Verification {
    /// The largest difference of all outputs.
    pub fn worst(&self) -> f64 {
        self.outputs.iter().fold(0.0, |worst, output| worst.max(output.difference))
    }
}

/// Replays a bundle's golden vectors: its images through the encoder, its latent vectors through
/// the decoder.
///
/// # Errors
///
/// [`Error::Bundle`] for golden vectors that are missing or misshapen, and the errors of
/// [`Model::load`] and of running it.
pub fn verify(bundle: &Bundle, options: &EngineOptions) -> Result<Verification, Error> {
    let mut model = Model::load(bundle, options)?;
    let golden = bundle.golden()?;
    let by = |backend: Backend| {
        move |(name, difference): (String, f64)| Output { name, backend, difference }
    };
    let encoded = replay_encoder(&mut model.encoder, bundle, &golden)?;
    let decoded = replay_decoder(&mut model.decoder, bundle, &golden)?;
    let encoded = encoded.into_iter().map(by(*model.encoder.backend()));
    let decoded = decoded.into_iter().map(by(*model.decoder.backend()));
    let outputs = encoded.chain(decoded).collect();
    let images = golden["image"].shape()[0];
    let verdicts = verdicts::replay(&mut model, bundle, &golden)?;
    Ok(Verification { backends: model.backends(), images, outputs, verdicts })
}

/// Runs recorded inputs, `image` through the encoder and `latent` with its skips through the
/// decoder, and gives every output's [`difference`] from its record, over the [`least_range`] at least.
///
/// # Errors
///
/// [`Error::Bundle`] for records that are missing or misshapen, and those of running the model.
pub fn replay(
    model: &mut Model,
    bundle: &Bundle,
    recorded: &BTreeMap<String, ArrayD<f32>>,
) -> Result<Vec<(String, f64)>, Error> {
    let mut differences = replay_encoder(&mut model.encoder, bundle, recorded)?;
    differences.extend(replay_decoder(&mut model.decoder, bundle, recorded)?);
    Ok(differences)
}

/// The half of [`replay`] that runs `image` through the encoder.
///
/// # Errors
///
/// As there.
pub fn replay_encoder(
    encoder: &mut Encoder,
    bundle: &Bundle,
    recorded: &BTreeMap<String, ArrayD<f32>>,
) -> Result<Vec<(String, f64)>, Error> {
    let golden = Golden { bundle, tensors: recorded };
    let outputs = encoder.encode(golden.images()?)?.into_outputs();
    let specs = bundle.manifest.encoder.outputs.iter();
    specs.zip(&outputs).map(|(spec, output)| golden.compare(&spec.name, output.view())).collect()
}

/// The half of [`replay`] that runs `latent`, with its skips, through the decoder.
///
/// # Errors
///
/// As there.
pub fn replay_decoder(
    decoder: &mut Decoder,
    bundle: &Bundle,
    recorded: &BTreeMap<String, ArrayD<f32>>,
) -> Result<Vec<(String, f64)>, Error> {
    let golden = Golden { bundle, tensors: recorded };
    let decoded = decoder.decode(golden.latents()?, &golden.skips()?)?;
    Ok(vec![golden.compare("reconstruction", decoded.view().into_dyn())?])
}

/// The largest absolute difference of two tensors, over the range of the expected one, which is
/// the interval that its values and zero span; infinite where the shapes differ or a value is not finite, so that no
/// comparison with a tolerance lets it pass.
pub fn difference(got: ArrayViewD<f32>, expected: ArrayViewD<f32>) -> f64 {
    let mut difference = Difference::default();
    difference.add(got, expected);
    difference.largest()
}

/// The least range over which an output of a model is compared: 0.01, a hundredth of the prior's
/// standard deviation, for the parameters of a Gaussian posterior, since the values of a collapsed one
/// span nothing but rounding errors; else 0.
pub fn least_range(manifest: &Manifest, output: &str) -> f64 {
    let gaussian = manifest.posterior == PosteriorKind::Gaussian;
    if gaussian && ["mean", "log_var"].contains(&output) { 0.01 } else { 0.0 }
}

/// A bundle's recorded tensors by what they are.
pub(crate) struct Golden<'a> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) tensors: &'a BTreeMap<String, ArrayD<f32>>,
}

impl Golden<'_> {
    /// What goes into the encoder, `[N, C, H, W]`.
    pub(crate) fn images(&self) -> Result<ArrayView4<'_, f32>, Error> {
        let images = self.tensor("image")?.into_dimensionality();
        images.map_err(|_| self.wrong("`image` is not [N, C, H, W]"))
    }

    /// What goes into the decoder, `[N, Z]`.
    pub(crate) fn latents(&self) -> Result<ArrayView2<'_, f32>, Error> {
        let latent = self.tensor("latent")?.into_dimensionality();
        latent.map_err(|_| self.wrong("`latent` is not [N, Z]"))
    }

    /// What goes into the decoder beside that, each `[N, …]`.
    pub(crate) fn skips(&self) -> Result<Vec<ArrayD<f32>>, Error> {
        let skips = self.bundle.manifest.skips().iter();
        skips.map(|spec| Ok(self.tensor(&spec.name)?.to_owned())).collect()
    }

    fn tensor(&self, name: &str) -> Result<ArrayViewD<'_, f32>, Error> {
        let tensor = self.tensors.get(name);
        let tensor = tensor.ok_or_else(|| self.wrong(&format!("there is no `{name}`")))?;
        match tensor.is_empty() {
            true => Err(self.wrong(&format!("`{name}` holds nothing"))),
            false => Ok(tensor.view()),
        }
    }

    fn compare(&self, name: &str, got: ArrayViewD<f32>) -> Result<(String, f64), Error> {
        let mut difference = Difference::default();
        difference.add(got, self.tensor(name)?);
        let least = least_range(&self.bundle.manifest, name);
        Ok((name.to_owned(), difference.largest_over(least)))
    }

    fn wrong(&self, reason: &str) -> Error {
        let path = self.bundle.source().into();
        Error::Bundle { path, reason: format!("its golden vectors are damaged: {reason}") }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn differences_are_relative_to_the_range() {
        let of = |got: [f32; 3], expected: [f32; 3]| {
            difference(
                array![got[0], got[1], got[2]].view().into_dyn(),
                array![expected[0], expected[1], expected[2]].view().into_dyn(),
            )
        };
        assert_eq!(of([0.0, 5.0, 10.5], [0.0, 5.0, 10.0]), 0.05);
        assert_eq!(of([1.0, 1.0, 1.5], [1.0, 1.0, 1.0]), 0.5);
        assert!(of([f32::NAN, 0.0, 0.0], [0.0, 0.0, 1.0]).is_infinite());
    }
}
