//! The element type and the shape of every tensor of a graph, before anything runs.
//!
//! An operator, or a form of one, that is not covered makes the whole inference fail with a
//! reason: what is here can be relied on.

mod elementwise;
mod layout;
mod node;
mod product;
mod reshape;
mod window;

use std::collections::BTreeMap;

use super::element::Element;
use super::proto::{DimensionProto, GraphProto, TensorProto, ValueInfoProto};
use super::{tensor, title};
pub(crate) use node::Node;
pub(super) use window::kernel;

/// What is known of a tensor before the graph runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The type of its elements.
    pub element: Element,
    /// Its shape, with the batch axis.
    pub dims: Vec<usize>,
    /// Whether it is stored, or computed from stored tensors alone: the same at every run.
    pub constant: bool,
    /// The numbers in it, where another tensor's shape may depend on them.
    values: Option<Values>,
}

/// The content of a small constant.
#[derive(Debug, Clone, PartialEq)]
enum Values {
    Integers(Vec<i64>),
    Floats(Vec<f32>),
}

/// What the tensors of a graph are, by their names.
pub(super) type Facts = BTreeMap<String, Fact>;

/// The most values of a constant that says something about shapes: two for every axis.
const MAX_VALUES: usize = 16;

/// Follows the shapes through a graph that [`inspect`](super::inspect) accepts, from its inputs
/// with a given batch size to its outputs.
///
/// # Errors
///
/// One sentence on the operator that is not covered, or that cannot be.
pub(super) fn infer(graph: &GraphProto, opset: i64, batch: usize) -> Result<Facts, String> {
    let mut facts = Facts::new();
    for tensor in &graph.initializer {
        facts.insert(tensor.name.clone(), Fact::stored(tensor)?);
    }
    for input in &graph.input {
        if !facts.contains_key(&input.name) {
            facts.insert(input.name.clone(), declared(input, batch)?);
        }
    }
    for proto in &graph.node {
        let wrong = |reason| format!("{} {reason}", title(proto));
        let node = Node::new(proto, opset, &facts).map_err(wrong)?;
        let outputs = operator(&node).map_err(wrong)?;
        if proto.output.iter().skip(outputs.len()).any(|name| !name.is_empty()) {
            return Err(wrong("has an output that is not covered".into()));
        }
        let named = proto.output.iter().cloned().zip(outputs).filter(|(name, _)| !name.is_empty());
        facts.extend(named);
    }
    for output in &graph.output {
        let (expected, got) = (declared(output, batch)?, facts.get(&output.name));
        if got.is_none_or(|got| (got.element, &got.dims) != (expected.element, &expected.dims)) {
            return Err(format!("its operators do not give `{}` its declared shape", output.name));
        }
    }
    Ok(facts)
}

fn operator(node: &Node) -> Result<Vec<Fact>, String> {
    match node.operator() {
        "Constant" => Ok(vec![node.constant()?]),
        "Conv" => window::conv(node),
        "ConvTranspose" => window::conv_transpose(node),
        "AveragePool" | "MaxPool" => window::pool(node),
        "GlobalAveragePool" | "GlobalMaxPool" => window::global_pool(node),
        "Gemm" => product::gemm(node),
        "MatMul" => product::matmul(node),
        "Concat" => layout::concat(node),
        "DepthToSpace" => layout::depth_to_space(node),
        "Gather" => layout::gather(node),
        "Pad" => layout::pad(node),
        "Resize" => layout::resize(node),
        "Slice" => layout::slice(node),
        "SpaceToDepth" => layout::space_to_depth(node),
        "Split" => layout::split(node),
        "Transpose" => layout::transpose(node),
        "Flatten" => reshape::flatten(node),
        "ReduceMax" | "ReduceMean" | "ReduceSum" => reshape::reduce(node),
        "Reshape" => reshape::reshape(node),
        "Shape" => reshape::shape(node),
        "Squeeze" => reshape::squeeze(node),
        "Unsqueeze" => reshape::unsqueeze(node),
        _ => elementwise::operator(node),
    }
}

impl Fact {
    fn new(element: Element, dims: Vec<usize>) -> Result<Self, String> {
        let bytes = dims.iter().try_fold(element.bytes(), |n, &d| n.checked_mul(d));
        match bytes.filter(|&bytes| isize::try_from(bytes).is_ok()) {
            Some(_) => Ok(Self { element, dims, constant: false, values: None }),
            None => Err(format!("gives the impossible shape {dims:?}")),
        }
    }

    fn stored(proto: &TensorProto) -> Result<Self, String> {
        tensor::check(proto)?;
        let dims = sizes(&proto.dims)?;
        let mut fact = Self::new(Element::of(proto.data_type)?, dims)?;
        fact.constant = true;
        let small = fact.dims.len() < 2 && fact.len() <= MAX_VALUES;
        let values = match fact.element {
            Element::I64 if small => Some(Values::Integers(tensor::integers(proto))),
            Element::F32 if small => Some(Values::Floats(proto.floats())),
            _ => None,
        };
        Ok(fact.with(values))
    }

    /// A constant vector of integers, or a scalar.
    fn integers(dims: Vec<usize>, values: Vec<i64>) -> Result<Self, String> {
        let values = Some(Values::Integers(values));
        Ok(Self { constant: true, values, ..Self::new(Element::I64, dims)? })
    }

    /// The same with the numbers in it, where they are all of its elements and few enough to be of
    /// a shape.
    fn with(self, values: Option<Values>) -> Self {
        let all = |values: &Values| values.count() == self.len() && self.len() <= MAX_VALUES;
        Self { values: values.filter(all), ..self }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The space that the elements take.
    pub fn bytes(&self) -> usize {
        self.len() * self.element.bytes()
    }
}

impl Values {
    fn count(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Floats(values) => values.len(),
        }
    }
}

/// What a graph's signature says of an input or output.
fn declared(value: &ValueInfoProto, batch: usize) -> Result<Fact, String> {
    let wrong = |reason: String| format!("`{}` {reason}", value.name);
    let tensor = value.r#type.as_ref().and_then(|t| t.tensor.as_ref());
    let tensor = tensor.ok_or_else(|| wrong("is not a tensor".into()))?;
    let shape = tensor.shape.as_ref().ok_or_else(|| wrong("has no shape".into()))?;
    let size = |(axis, dim): (usize, &DimensionProto)| match (dim.value, axis) {
        (Some(size), _) => usize::try_from(size).ok(),
        (None, 0) => Some(batch),
        (None, _) => None,
    };
    let dims: Option<Vec<_>> = shape.dim.iter().enumerate().map(size).collect();
    let dims = dims.ok_or_else(|| wrong("has an open axis beside the batch".into()))?;
    Fact::new(Element::of(tensor.elem_type).map_err(wrong)?, dims).map_err(wrong)
}

fn sizes(dims: &[i64]) -> Result<Vec<usize>, String> {
    let sizes = dims.iter().map(|&d| usize::try_from(d));
    sizes.collect::<Result<_, _>>().map_err(|_| format!("gives the impossible shape {dims:?}"))
}

#[cfg(test)]
mod tests;
