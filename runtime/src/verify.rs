//! Whether this machine gives the results that were recorded when a bundle was exported.

use std::collections::BTreeMap;

use ndarray::{ArrayD, ArrayViewD, Ix2, Ix4};

use crate::compare::Difference;
use crate::engine::{Backend, EngineOptions};
use crate::model::{Encoding, Model};
use crate::{Bundle, Error};

/// The difference up to which two engines agree, relative to an output's range.
pub const TOLERANCE: f64 = 1e-5;

/// What replaying a bundle's golden vectors has shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// What ran the replay.
    pub backend: Backend,
    /// Number of recorded images.
    pub images: usize,
    /// Every output with its [`difference`] from the record.
    pub differences: Vec<(String, f64)>,
}

impl Verification {
    /// The largest difference of all outputs.
    pub fn worst(&self) -> f64 {
        self.differences.iter().fold(0.0, |worst, (_, d)| worst.max(*d))
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
    let differences = replay(&mut model, bundle, &golden)?;
    let images = golden["image"].shape()[0];
    Ok(Verification { backend: model.decoder.backend().clone(), images, differences })
}

/// Runs recorded inputs, `image` through the encoder and `latent` with its skips through the
/// decoder, and gives every output's [`difference`] from its record.
///
/// # Errors
///
/// [`Error::Bundle`] for records that are missing or misshapen, and those of running the model.
pub fn replay(
    model: &mut Model,
    bundle: &Bundle,
    recorded: &BTreeMap<String, ArrayD<f32>>,
) -> Result<Vec<(String, f64)>, Error> {
    let golden = Golden { bundle, tensors: recorded };
    let manifest = &bundle.manifest;
    let images = golden.tensor("image")?.into_dimensionality::<Ix4>();
    let images = images.map_err(|_| golden.wrong("`image` is not [N, C, H, W]"))?;
    let Encoding { posterior, skips } = model.encode(images)?;
    let mut outputs = vec![posterior.mean.into_dyn()];
    outputs.extend(posterior.log_var.map(|log_var| log_var.into_dyn()));
    outputs.extend(skips);
    let mut differences = Vec::new();
    for (spec, output) in manifest.encoder.outputs.iter().zip(&outputs) {
        differences.push(golden.compare(&spec.name, output.view())?);
    }

    let latent = golden.tensor("latent")?.into_dimensionality::<Ix2>();
    let latent = latent.map_err(|_| golden.wrong("`latent` is not [N, Z]"))?;
    let skips: Vec<_> = manifest
        .skips()
        .iter()
        .map(|spec| golden.tensor(&spec.name).map(|skip| skip.to_owned()))
        .collect::<Result<_, _>>()?;
    let decoded = model.decode(latent, &skips)?;
    differences.push(golden.compare("reconstruction", decoded.view().into_dyn())?);
    Ok(differences)
}

/// The largest absolute difference of two tensors, over the range of the expected one, which is
/// the interval that its values and zero span; infinite where the shapes differ or a value is not finite, so that no
/// comparison with a tolerance lets it pass.
pub fn difference(got: ArrayViewD<f32>, expected: ArrayViewD<f32>) -> f64 {
    let mut difference = Difference::default();
    difference.add(got, expected);
    difference.largest()
}

struct Golden<'a> {
    bundle: &'a Bundle,
    tensors: &'a BTreeMap<String, ArrayD<f32>>,
}

impl Golden<'_> {
    fn tensor(&self, name: &str) -> Result<ArrayViewD<'_, f32>, Error> {
        let tensor = self.tensors.get(name);
        Ok(tensor.ok_or_else(|| self.wrong(&format!("there is no `{name}`")))?.view())
    }

    fn compare(&self, name: &str, got: ArrayViewD<f32>) -> Result<(String, f64), Error> {
        Ok((name.to_owned(), difference(got, self.tensor(name)?)))
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
