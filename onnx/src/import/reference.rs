//! The foreign files' own answers, which the bundle is held to.
//!
//! The files run as they were given, at their own batch size and in their own layout, and the
//! way from their tensors to a bundle's is gone here with `ndarray`: an error in a rewritten graph
//! cannot hide in its own reference.

use ndarray::{Array2, Array4, ArrayD, ArrayView4, Axis, Slice, concatenate};
use prost::Message;
use tract_onnx::pb::ModelProto;
use vae_infer::engine::Session;
use vae_infer::manifest::{FileSpec, GraphSpec, TensorSpec};
use vae_infer::{EngineOptions, noise};

use super::heads::Heads;
use super::port::Port;
use super::prune;
use super::roles::Roles;
use super::source::Source;
use super::words::Spread;
use crate::error::Error;
use crate::golden::{Latent, Tensors};
use crate::parity::Reference;
use crate::proto::value;

/// Both foreign graphs, ready to run.
pub(crate) struct Foreign<'a> {
    roles: &'a Roles,
    logits: bool,
    encoder: Network<'a>,
    decoder: Network<'a>,
}

impl<'a> Foreign<'a> {
    /// Prepares the parts of the files that a bundle needs.
    ///
    /// # Errors
    ///
    /// [`Error::Import`] for a graph that is refused, by the inspection or by the engine, and the
    /// engine's own.
    pub(crate) fn load(
        [encoder, decoder]: [&'a Source; 2],
        roles: &'a Roles,
        logits: bool,
        options: &EngineOptions,
    ) -> Result<Self, Error> {
        let (input, form) = &roles.input;
        let skip = |port: &Port, dims: &[usize]| TensorSpec::new(&port.name, dims);
        let heads = roles.heads.ports().into_iter();
        let heads = heads.map(|port| TensorSpec::new(&port.name, &roles.head_dims(port)));
        let given = roles.skips.iter().map(|s| skip(&s.from, &s.dims));
        let taken = roles.skips.iter().map(|s| skip(&s.to, &s.dims));
        let latent = TensorSpec::new(&roles.latent.name, &roles.latent_dims);
        let (decoded, decoded_form) = &roles.reconstruction;
        Ok(Self {
            roles,
            logits,
            encoder: Network::load(
                encoder,
                vec![TensorSpec::new(&input.name, &form.dims)],
                heads.chain(given).collect(),
                input.batch(),
                options,
            )?,
            decoder: Network::load(
                decoder,
                std::iter::once(latent).chain(taken).collect(),
                vec![TensorSpec::new(&decoded.name, &decoded_form.dims)],
                roles.latent.batch(),
                options,
            )?,
        })
    }

    /// Images decoded from draws of the prior, for a decoder that needs nothing else.
    ///
    /// # Shapes
    ///
    /// output: `[count, C, H, W]`
    pub(crate) fn samples(&mut self, seed: u64, count: usize) -> Result<Array4<f32>, Error> {
        let drawn = noise::standard_normal(seed, 0, count, self.roles.latent_size());
        self.decode(&drawn, &[])
    }

    /// The posterior's mean and log-variance `[B, Z]`, and the skips.
    fn encode(&mut self, images: ArrayView4<f32>) -> Result<Encoded, Error> {
        let roles = self.roles;
        let mut outputs = self.encoder.run(&[roles.input.1.take(images)])?;
        let skips = outputs.split_off(roles.heads.ports().len());
        let (mean, spread) = match (&roles.heads, outputs.as_slice()) {
            (Heads::Joint { tensor, kind }, [joint]) => {
                let axis = roles.joint_axis(tensor).map_err(|r| self.encoder.source.wrong(r))?;
                let axis = Axis(axis);
                let half = joint.len_of(axis) / 2;
                let part = |range: Slice| joint.slice_axis(axis, range).to_owned();
                (part(Slice::from(..half)), Some((part(Slice::from(half..)), *kind)))
            }
            (Heads::Pair { kind, .. }, [mean, spread]) => {
                (mean.clone(), Some((spread.clone(), *kind)))
            }
            _ => (outputs.remove(0), None),
        };
        let log_var = spread.map(|(spread, kind)| self.log_var(&spread, kind)).transpose()?;
        Ok(Encoded { mean: flat(&mean), log_var, skips })
    }

    fn log_var(&self, spread: &ArrayD<f32>, kind: Spread) -> Result<Array2<f32>, Error> {
        let positive = matches!(kind, Spread::Std | Spread::Var);
        if positive && let Some(value) = spread.iter().find(|value| **value <= 0.0) {
            let name = self.roles.heads.ports().last().map_or("", |port| port.name.as_str());
            return Err(self.encoder.source.wrong(format!(
                "its `{name}` holds {value} and is not {} (hint: --spread log-var or log-std)",
                kind.noun()
            )));
        }
        Ok(flat(&spread.mapv(|value| match kind {
            Spread::LogVar => value,
            Spread::LogStd => 2.0 * value,
            Spread::Var => value.ln(),
            Spread::Std => 2.0 * value.ln(),
        })))
    }

    fn decode(
        &mut self,
        latent: &Array2<f32>,
        skips: &[ArrayD<f32>],
    ) -> Result<Array4<f32>, Error> {
        let mut shape = vec![latent.nrows()];
        shape.extend(&self.roles.latent_dims);
        let latent = latent.clone().into_shape_with_order(shape);
        let mut inputs = vec![latent.expect("the latent vector has the size of its axes")];
        inputs.extend(skips.iter().cloned());
        let outputs = self.decoder.run(&inputs)?;
        let form = &self.roles.reconstruction.1;
        let images = form.give(outputs[0].view(), self.roles.image);
        Ok(if self.logits { images.mapv(|v| 1.0 / (1.0 + (-v).exp())) } else { images })
    }
}

impl Reference for Foreign<'_> {
    fn name(&self) -> &'static str {
        "the imported files"
    }

    fn record(&mut self, images: ArrayView4<f32>, latent: Latent) -> Result<Tensors, Error> {
        let Encoded { mean, log_var, skips } = self.encode(images)?;
        let drawn = match latent {
            Latent::Mean => mean.clone(),
            Latent::Prior { seed } => noise::standard_normal(seed, 0, mean.nrows(), mean.ncols()),
        };
        let reconstruction = self.decode(&drawn, &skips)?;
        let mut tensors = Tensors::from([
            ("image".to_owned(), images.to_owned().into_dyn()),
            ("mean".to_owned(), mean.into_dyn()),
            ("latent".to_owned(), drawn.into_dyn()),
            ("reconstruction".to_owned(), reconstruction.into_dyn()),
        ]);
        tensors.extend(log_var.map(|log_var| ("log_var".to_owned(), log_var.into_dyn())));
        let names = self.roles.skips.iter().map(|skip| skip.name.clone());
        tensors.extend(names.zip(skips));
        Ok(tensors)
    }
}

struct Encoded {
    mean: Array2<f32>,
    log_var: Option<Array2<f32>>,
    skips: Vec<ArrayD<f32>>,
}

/// `[B, …]` as `[B, Z]`.
fn flat(tensor: &ArrayD<f32>) -> Array2<f32> {
    let batch = tensor.len_of(Axis(0));
    let shape = (batch, tensor.len() / batch.max(1));
    let tensor = tensor.as_standard_layout().into_owned();
    tensor.into_shape_with_order(shape).expect("a tensor holds whole examples")
}

/// A foreign graph as it was given, less what no wanted output needs.
struct Network<'a> {
    source: &'a Source,
    session: Box<dyn Session>,
    outputs: Vec<TensorSpec>,
    /// The examples that go through one run.
    step: usize,
}

impl<'a> Network<'a> {
    fn load(
        source: &'a Source,
        inputs: Vec<TensorSpec>,
        outputs: Vec<TensorSpec>,
        batch: Option<usize>,
        options: &EngineOptions,
    ) -> Result<Self, Error> {
        let wanted: Vec<&str> = outputs.iter().map(|spec| spec.name.as_str()).collect();
        let mut graph =
            prune::prune(&source.graph, &wanted).map_err(|reason| source.wrong(reason))?;
        // The declared sizes are made whole; the operators stay as they are.
        graph.input = inputs.iter().map(value).collect();
        graph.output = outputs.iter().map(value).collect();
        let mut model = source.model.clone();
        prune::forget_unused(&mut model, &graph);
        let bytes = ModelProto { graph: Some(graph), ..model }.encode_to_vec();
        let file = FileSpec::of(format!("{}.onnx", source.role), &bytes);
        let spec = GraphSpec { file, inputs, outputs, layers: vec![] };
        let session = options.load(source.role, bytes, &spec).map_err(|e| source.blame(e))?;
        Ok(Self { source, session, outputs: spec.outputs, step: batch.unwrap_or(1) })
    }

    /// Runs the graph on `[B, …]`, a step of its own batch size at a time; the last step is filled
    /// up with its first example.
    fn run(&mut self, inputs: &[ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>, Error> {
        let batch = inputs[0].len_of(Axis(0));
        let mut parts: Vec<Vec<ArrayD<f32>>> = vec![vec![]; self.outputs.len()];
        for first in (0..batch).step_by(self.step) {
            let rows: Vec<usize> = (first..first + self.step)
                .map(|row| if row < batch { row } else { first })
                .collect();
            let part: Vec<_> = inputs.iter().map(|input| input.select(Axis(0), &rows)).collect();
            let views: Vec<_> = part.iter().map(|part| part.view()).collect();
            let outputs = self.session.run(&views).map_err(|e| self.source.blame(e))?;
            for ((spec, parts), output) in self.outputs.iter().zip(&mut parts).zip(outputs) {
                check(spec, self.step, &output).map_err(|reason| self.source.wrong(reason))?;
                let count = self.step.min(batch - first);
                parts.push(output.slice_axis(Axis(0), Slice::from(..count)).to_owned());
            }
        }
        let joined = parts.iter().map(|parts| {
            let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
            concatenate(Axis(0), &views).expect("every part was checked")
        });
        Ok(joined.collect())
    }
}

fn check(spec: &TensorSpec, batch: usize, output: &ArrayD<f32>) -> Result<(), String> {
    let expected: Vec<usize> = std::iter::once(batch).chain(spec.shape.iter().copied()).collect();
    if output.shape() != expected {
        let got = output.shape();
        return Err(format!("its output `{}` is {got:?} where {expected:?} belongs", spec.name));
    }
    match output.iter().all(|value| value.is_finite()) {
        true => Ok(()),
        false => Err(format!("its output `{}` holds a value that is not finite", spec.name)),
    }
}
