//! From an ONNX graph to steps over memory: shapes, layouts and fused activations are settled once.
//!
//! Images lie with the channels of a pixel side by side, in memory with as many zeros around them as
//! their readers' windows reach over the edge. What moves numbers without changing them (reshaping,
//! transposing, cutting, repeating) is a [`View`]; what joins them is a place to write to.

mod affine;
mod axis;
mod dense;
mod elementwise;
mod follow;
mod moves;
mod place;
mod pool;
mod round;
mod windowed;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::constant::Constants;
use super::kernels::{Registers, Rounding};
use super::step::{Op, Step};
use super::view::View;
use crate::graph::{Element, Fact, Node, NodeProto, Parsed, facts_of, title};

/// A graph as steps.
pub(super) struct Plan {
    pub(super) values: Vec<Value>,
    pub(super) steps: Vec<Step>,
}

/// A stretch of numbers for every image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    pub(super) len: usize,
    pub(super) place: Place,
}

/// Where a value is kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// In one of the graph's inputs, by its number.
    Input(usize),
    /// In one of its outputs.
    Output(usize),
    /// In the plan: the same for every image.
    Constant(Vec<f32>),
    /// In memory that other values use before and after.
    Memory,
}

/// The batch size for which shapes are inferred: none that a shape of an image has by chance.
const BATCH: usize = 1_000_003;

impl Plan {
    /// Plans a graph that was inspected.
    ///
    /// # Errors
    ///
    /// One sentence on what this engine has not.
    pub(super) fn new(parsed: &Parsed, registers: Registers) -> Result<Self, String> {
        let facts = facts_of(parsed, BATCH)?;
        let mut planner = Planner::new(parsed, &facts, registers)?;
        for (place, proto) in parsed.graph.node.iter().enumerate() {
            if !planner.fused.contains(&place) {
                planner.operator(proto).map_err(|reason| format!("{} {reason}", title(proto)))?;
            }
            planner.forget(place, proto);
        }
        planner.outputs()?;
        Ok(Self { values: planner.values, steps: planner.steps })
    }
}

struct Planner<'a> {
    parsed: &'a Parsed,
    facts: &'a BTreeMap<String, Fact>,
    registers: Registers,
    constants: Constants,
    /// The operators that read a tensor, by their places.
    readers: HashMap<&'a str, Vec<usize>>,
    outputs: HashMap<&'a str, usize>,
    /// Zeros that the readers of an image want around it.
    halos: HashMap<&'a str, [usize; 4]>,
    /// What a tensor is joined to: the joined one, and its first place along the axis.
    joins: HashMap<&'a str, Join<'a>>,
    /// Operators that are part of a step before them.
    fused: HashSet<usize>,
    views: HashMap<&'a str, View>,
    /// How the numbers of a tensor were rounded.
    rounded: HashMap<&'a str, Rounding>,
    values: Vec<Value>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Join<'a> {
    joined: &'a str,
    axis: usize,
    first: usize,
}

impl<'a> Planner<'a> {
    fn new(
        parsed: &'a Parsed,
        facts: &'a BTreeMap<String, Fact>,
        registers: Registers,
    ) -> Result<Self, String> {
        let graph = &parsed.graph;
        let mut constants = Constants::default();
        for tensor in &graph.initializer {
            let store = constants.store(&tensor.name, tensor);
            store.map_err(|reason| format!("tensor `{}` {reason}", tensor.name))?;
        }
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, node) in graph.node.iter().enumerate() {
            for name in &node.input {
                readers.entry(name).or_default().push(place);
            }
        }
        let outputs = graph.output.iter().enumerate();
        let mut planner = Self {
            parsed,
            facts,
            registers,
            constants,
            readers,
            outputs: outputs.map(|(i, output)| (output.name.as_str(), i)).collect(),
            halos: HashMap::new(),
            joins: HashMap::new(),
            fused: HashSet::new(),
            views: HashMap::new(),
            rounded: HashMap::new(),
            values: vec![],
            steps: vec![],
        };
        let inputs = graph.input.iter().filter(|input| !facts[&input.name].constant);
        for (i, input) in inputs.enumerate() {
            let dims = planner.dims(&input.name)?;
            let value = planner.value(dims.iter().product(), Place::Input(i));
            planner.views.insert(&input.name, View::row_major(value, &dims));
        }
        planner.look_ahead()?;
        Ok(planner)
    }

    fn operator(&mut self, proto: &'a NodeProto) -> Result<(), String> {
        let node = Node::new(proto, self.parsed.summary.opset, self.facts)?;
        let output = proto.output.first().map_or("", String::as_str);
        let fact = self.facts.get(output).ok_or("leaves its first output out")?;
        if fact.element == Element::I64 {
            return Ok(());
        }
        if fact.constant {
            return self.constants.compute(proto, &node, fact);
        }
        match node.operator() {
            "QuantizeLinear" => return self.quantize(proto),
            "DequantizeLinear" => return self.dequantize(proto),
            _ if fact.element != Element::F32 => {
                return Err(format!("computes in {}", fact.element));
            }
            _ => {}
        }
        self.carry(proto);
        match node.operator() {
            "Conv" | "ConvTranspose" => self.windowed(proto, &node),
            "Gemm" | "MatMul" => self.dense(proto, &node),
            "MaxPool" | "AveragePool" | "GlobalAveragePool" => self.pool(proto, &node),
            "Identity" | "Cast" | "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => {
                self.reshape(proto)
            }
            "Concat" => self.concat(proto),
            "DepthToSpace" => self.depth_to_space(proto, &node),
            "Pad" => self.pad(proto, &node),
            "Resize" => self.resize(proto, &node),
            "Slice" => self.slice(proto, &node),
            "Split" => self.split(proto, &node),
            "Transpose" => self.transpose(proto, &node),
            "BatchNormalization" => self.normalize(proto, &node),
            "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" => self.combine(proto),
            _ => self.map(proto, &node),
        }
    }

    /// Gives back the room of stored tensors that no operator behind this one reads.
    fn forget(&mut self, place: usize, proto: &NodeProto) {
        for name in &proto.input {
            if self.readers[name.as_str()].last() == Some(&place) {
                self.constants.forget(name);
            }
        }
    }

    /// The shape of a tensor without its batch axis.
    fn dims(&self, name: &str) -> Result<Vec<usize>, String> {
        match self.facts[name].dims.split_first() {
            Some((&BATCH, dims)) if dims.contains(&0) => Err(format!("`{name}` has no numbers")),
            Some((&BATCH, dims)) => Ok(dims.to_vec()),
            _ => Err(format!("moves the batch axis of `{name}`")),
        }
    }

    fn view(&self, name: &str) -> Result<View, String> {
        let view = self.views.get(name).cloned();
        view.ok_or_else(|| format!("takes `{name}`, which is stored, for an image's"))
    }

    fn value(&mut self, len: usize, place: Place) -> usize {
        self.values.push(Value { len, place });
        self.values.len() - 1
    }

    fn step(&mut self, name: String, op: Op, flops: u64) {
        self.steps.push(Step { name, op, flops });
    }
}
