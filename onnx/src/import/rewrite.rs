//! From a foreign graph to one with a bundle's inputs and outputs.

use std::collections::BTreeMap;

use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use vae_infer::manifest::TensorSpec;

use super::form::Form;
use super::heads::Heads;
use super::roles::Roles;
use super::source::Source;
use super::words::Spread;
use super::{batch, prune};
use crate::error::Error;
use crate::graph::Graph;
use crate::proto::{floats_tensor, int, ints, ints_tensor};

/// A rewritten graph, and how many operators had a fixed batch size.
pub(crate) struct Rewritten {
    pub(crate) graph: Graph,
    pub(crate) opened: usize,
}

/// The encoder from `image` to `mean`, `log_var` and skips.
pub(crate) fn encoder(source: &Source, roles: &Roles) -> Result<Rewritten, Error> {
    let (port, form) = &roles.input;
    let mut work = Work::begin(source, &roles.encoder_outputs(), port.batch())?;
    let image = TensorSpec::new("image", &roles.image);
    work.images_in(&port.name, form, roles.image);

    let z = roles.latent_size();
    let mut outputs = vec![TensorSpec::new("mean", &[z])];
    match &roles.heads {
        Heads::Point { mean } => work.head(&mean.name, roles.head_dims(mean).len(), None, "mean"),
        Heads::Pair { mean, spread, kind } => {
            work.head(&mean.name, roles.head_dims(mean).len(), None, "mean");
            work.head(&spread.name, roles.head_dims(spread).len(), Some(*kind), "log_var");
        }
        Heads::Joint { tensor, kind } => {
            let axis = roles.joint_axis(tensor).map_err(|reason| source.wrong(reason))?;
            let dims = roles.head_dims(tensor);
            work.split(&tensor.name, axis, dims[axis - 1] / 2);
            work.head("mean.half", dims.len(), None, "mean");
            work.head("log_var.half", dims.len(), Some(*kind), "log_var");
        }
    }
    if !matches!(roles.heads, Heads::Point { .. }) {
        outputs.push(TensorSpec::new("log_var", &[z]));
    }
    for skip in &roles.skips {
        let tensor = work.known_as(&skip.from.name);
        work.output(tensor, &skip.name);
        outputs.push(TensorSpec::new(&skip.name, &skip.dims));
    }
    Ok(work.end("encoder", vec![image], outputs))
}

/// The decoder from `latent` and skips to `reconstruction`, with a sigmoid where it gives logits.
pub(crate) fn decoder(source: &Source, roles: &Roles, logits: bool) -> Result<Rewritten, Error> {
    let (port, form) = &roles.reconstruction;
    let mut work = Work::begin(source, &[&port.name], roles.latent.batch())?;
    let mut inputs = vec![TensorSpec::new("latent", &[roles.latent_size()])];
    let mut latent = "latent".to_owned();
    if roles.latent_dims.len() > 1 {
        latent = work.reshape(latent, &roles.latent_dims, "latent.reshape");
    }
    work.stands_for(&roles.latent.name, latent);
    for skip in &roles.skips {
        work.stands_for(&skip.to.name, skip.name.clone());
        inputs.push(TensorSpec::new(&skip.name, &skip.dims));
    }
    work.images_out(&port.name, form, roles.image, logits);
    let outputs = vec![TensorSpec::new("reconstruction", &roles.image)];
    Ok(work.end("decoder", inputs, outputs))
}

/// A graph on its way: operators before the source's, its own, and those after.
struct Work {
    model: ModelProto,
    before: Vec<NodeProto>,
    source: GraphProto,
    after: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    /// What replaces the source's inputs.
    names: BTreeMap<String, String>,
    /// The outputs so far.
    outputs: Vec<String>,
    opened: usize,
}

/// In front of every name of the source's, so that none is one of ours.
const PREFIX: &str = "source.";

impl Work {
    /// The part of the source that gives the wanted outputs, with an open batch axis.
    fn begin(source: &Source, wanted: &[&str], batch: Option<usize>) -> Result<Self, Error> {
        let mut graph =
            prune::prune(&source.graph, wanted).map_err(|reason| source.wrong(reason))?;
        let mut model = source.model.clone();
        prune::forget_unused(&mut model, &graph);
        let opened = batch::open(&mut graph, batch.unwrap_or(1));
        let stored = graph.initializer.iter_mut().map(|tensor| &mut tensor.name);
        let nodes = graph.node.iter_mut();
        let used = nodes.flat_map(|node| node.input.iter_mut().chain(&mut node.output));
        for name in stored.chain(used).filter(|name| !name.is_empty()) {
            *name = format!("{PREFIX}{name}");
        }
        Ok(Self {
            model,
            before: vec![],
            source: graph,
            after: vec![],
            constants: vec![],
            names: BTreeMap::new(),
            outputs: vec![],
            opened,
        })
    }

    /// The name that a tensor of the source has here.
    fn known_as(&self, name: &str) -> String {
        let prefixed = format!("{PREFIX}{name}");
        self.names.get(&prefixed).cloned().unwrap_or(prefixed)
    }

    /// Reads a tensor wherever the source reads its input.
    fn stands_for(&mut self, input: &str, tensor: String) {
        let input = format!("{PREFIX}{input}");
        let nodes = self.source.node.iter_mut();
        nodes.flat_map(|node| &mut node.input).filter(|name| **name == input).for_each(|name| {
            name.clone_from(&tensor);
        });
        self.names.insert(input, tensor);
    }

    /// Gives images of `[C, H, W]` to the source in its own form.
    fn images_in(&mut self, input: &str, form: &Form, image: [usize; 3]) {
        let mut tensor = "image".to_owned();
        if form.transposes(image[0]) {
            let perm = vec![ints("perm", &[0, 2, 3, 1])];
            self.before.push(node("Transpose", vec![tensor], perm, "image.transpose"));
            tensor = "image.transpose".to_owned();
        }
        if form.dims != form.ordered(image) {
            tensor = self.reshape(tensor, &form.dims, "image.reshape");
        }
        self.stands_for(input, tensor);
    }

    /// Gives the source's images as `reconstruction`, `[C, H, W]`.
    fn images_out(&mut self, output: &str, form: &Form, image: [usize; 3], logits: bool) {
        let mut tensor = self.known_as(output);
        let ordered = form.ordered(image);
        if form.dims != ordered {
            let sizes = "reconstruction.shape".to_owned();
            self.constants.push(shape(&sizes, &ordered));
            tensor = self.then("Reshape", vec![tensor, sizes], vec![], "reconstruction.reshape");
        }
        if form.transposes(image[0]) {
            let perm = vec![ints("perm", &[0, 3, 1, 2])];
            tensor = self.then("Transpose", vec![tensor], perm, "reconstruction.transpose");
        }
        if logits {
            tensor = self.then("Sigmoid", vec![tensor], vec![], "reconstruction.sigmoid");
        }
        self.output(tensor, "reconstruction");
    }

    /// Splits a tensor of the source into `mean.half` and `log_var.half`.
    fn split(&mut self, tensor: &str, axis: usize, half: usize) {
        let half = half as i64;
        self.constants.push(ints_tensor("heads.sizes", &[half, half]));
        let inputs = vec![self.known_as(tensor), "heads.sizes".to_owned()];
        let mut split = node("Split", inputs, vec![int("axis", axis)], "heads.split");
        split.output = vec!["mean.half".into(), "log_var.half".into()];
        self.after.push(split);
        for name in ["mean.half", "log_var.half"] {
            self.names.insert(format!("{PREFIX}{name}"), name.to_owned());
        }
    }

    /// Gives a head as a flat output, and its spread as a log-variance.
    fn head(&mut self, tensor: &str, rank: usize, spread: Option<Spread>, name: &str) {
        let mut tensor = self.known_as(tensor);
        if rank > 1 {
            let flat = vec![int("axis", 1)];
            tensor = self.then("Flatten", vec![tensor], flat, &format!("{name}.flatten"));
        }
        if matches!(spread, Some(Spread::Std | Spread::Var)) {
            tensor = self.then("Log", vec![tensor], vec![], &format!("{name}.log"));
        }
        if matches!(spread, Some(Spread::Std | Spread::LogStd)) {
            let two = format!("{name}.two");
            self.constants.push(floats_tensor(&two, &[1], &[2.0]));
            tensor = self.then("Mul", vec![tensor, two], vec![], &format!("{name}.twice"));
        }
        self.output(tensor, name);
    }

    /// Reshapes in front of the source's operators.
    fn reshape(&mut self, tensor: String, dims: &[usize], name: &str) -> String {
        let sizes = format!("{name}.shape");
        self.constants.push(shape(&sizes, dims));
        self.before.push(node("Reshape", vec![tensor, sizes], vec![], name));
        name.to_owned()
    }

    /// Appends an operator, and gives its output.
    fn then(
        &mut self,
        operator: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
        name: &str,
    ) -> String {
        self.after.push(node(operator, inputs, attributes, name));
        name.to_owned()
    }

    /// Gives a tensor the name of an output: by renaming it where an operator gives it and it is no
    /// output already, by an `Identity` elsewhere.
    fn output(&mut self, tensor: String, name: &str) {
        let nodes = || self.before.iter().chain(&self.source.node).chain(&self.after);
        let made_here = nodes().any(|node| node.output.contains(&tensor));
        if made_here && !self.outputs.contains(&tensor) {
            let nodes = self.before.iter_mut().chain(&mut self.source.node).chain(&mut self.after);
            let names = nodes.flat_map(|node| node.input.iter_mut().chain(&mut node.output));
            names.filter(|n| **n == tensor).for_each(|n| name.clone_into(n));
            self.names.values_mut().filter(|n| **n == tensor).for_each(|n| name.clone_into(n));
            self.names.insert(tensor, name.to_owned());
        } else {
            let identity = node("Identity", vec![tensor], vec![], name);
            self.after.push(identity);
        }
        self.outputs.push(name.to_owned());
    }

    fn end(
        self,
        role: &'static str,
        inputs: Vec<TensorSpec>,
        outputs: Vec<TensorSpec>,
    ) -> Rewritten {
        let Self { model, before, mut source, after, constants, opened, .. } = self;
        source.node = [before, source.node, after].concat();
        source.initializer.extend(constants);
        Rewritten { graph: Graph::adopt(role, model, source, inputs, outputs), opened }
    }
}

/// The constant shape of a reshape that keeps the batch axis.
fn shape(name: &str, dims: &[usize]) -> TensorProto {
    let sizes: Vec<i64> = std::iter::once(0).chain(dims.iter().map(|&d| d as i64)).collect();
    ints_tensor(name, &sizes)
}

fn node(
    operator: &str,
    inputs: Vec<String>,
    attribute: Vec<AttributeProto>,
    name: &str,
) -> NodeProto {
    NodeProto {
        op_type: operator.into(),
        name: name.into(),
        input: inputs,
        output: vec![name.into()],
        attribute,
        ..NodeProto::default()
    }
}
