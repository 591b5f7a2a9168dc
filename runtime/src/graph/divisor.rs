//! Integers that are divided by: a division by 0 ends the process in some versions of ONNX Runtime.

use std::collections::HashSet;

use super::Element;
use super::proto::{AttributeProto, GraphProto, NodeProto};
use super::tensor::holds_integer_zero;
use super::title;

/// The operators that pass on elements of their first input.
const MOVES: [&str; 10] = [
    "Cast",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Checks that no operator divides by a stored tensor of integers with a 0 in it.
pub(super) fn check(graph: &GraphProto) -> Result<(), String> {
    let stored = graph.initializer.iter().filter(|tensor| holds_integer_zero(tensor));
    let mut zeros: HashSet<&str> = stored.map(|tensor| tensor.name.as_str()).collect();
    for node in &graph.node {
        let reads =
            |place: usize| node.input.get(place).filter(|name| zeros.contains(name.as_str()));
        let passes_on = match node.op_type.as_str() {
            "Constant" => node.attribute.iter().any(is_zero),
            "Div" | "Mod" => match reads(1) {
                Some(name) => {
                    return Err(format!("{} divides integers by the 0 in `{name}`", title(node)));
                }
                None => false,
            },
            "Concat" => (0..node.input.len()).any(|place| reads(place).is_some()),
            operator => MOVES.contains(&operator) && reads(0).is_some() && !makes_floats(node),
        };
        if passes_on {
            zeros.extend(node.output.iter().map(String::as_str));
        }
    }
    Ok(())
}

/// Whether it is a `Cast` to floating point.
fn makes_floats(node: &NodeProto) -> bool {
    let to = node.attribute.iter().find(|a| node.op_type == "Cast" && a.name == "to");
    let element = to.and_then(|to| Element::of(i32::try_from(to.i).ok()?).ok());
    element.is_some_and(Element::is_floating)
}

/// Whether the content of a `Constant` holds the integer 0.
fn is_zero(attribute: &AttributeProto) -> bool {
    match attribute.name.as_str() {
        "value" => attribute.t.as_ref().is_some_and(holds_integer_zero),
        "value_int" => attribute.i == 0,
        "value_ints" => attribute.ints.contains(&0),
        _ => false,
    }
}
