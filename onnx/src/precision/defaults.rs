//! Attributes with the values that ONNX gives to nodes without them.

use tract_onnx::pb::{AttributeProto, GraphProto};

/// Takes away every attribute that says what ONNX says where it is missing.
pub(super) fn drop(graph: &mut GraphProto) {
    for node in &mut graph.node {
        let operator = &node.op_type;
        node.attribute.retain(|attribute| !is_default(operator, attribute));
    }
}

fn is_default(operator: &str, attribute: &AttributeProto) -> bool {
    let all = |value| attribute.ints.iter().all(|&v| v == value);
    match (operator, &*attribute.name) {
        ("Conv" | "ConvTranspose" | "MaxPool" | "AveragePool", "strides") => all(1),
        ("Conv" | "ConvTranspose" | "MaxPool" | "AveragePool", "pads") => all(0),
        ("ConvTranspose", "output_padding") => all(0),
        ("Flatten" | "DequantizeLinear", "axis") => attribute.i == 1,
        ("DepthToSpace", "mode") => attribute.s == b"DCR",
        ("Pad", "mode") => attribute.s == b"constant",
        ("Resize", "mode") => attribute.s == b"nearest",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::NodeProto;

    use super::*;
    use crate::proto::{int, ints, string};

    #[test]
    fn only_values_that_are_the_default_are_dropped() {
        let left = |operator: &str, attribute: Vec<AttributeProto>| {
            let node = NodeProto { op_type: operator.into(), attribute, ..NodeProto::default() };
            let mut graph = GraphProto { node: vec![node], ..GraphProto::default() };
            drop(&mut graph);
            let left = graph.node.remove(0).attribute.into_iter();
            left.map(|attribute| attribute.name).collect::<Vec<_>>()
        };
        let window = |strides: [usize; 2], pads: [usize; 4]| {
            vec![ints("kernel_shape", &[1; 2]), ints("strides", &strides), ints("pads", &pads)]
        };
        assert_eq!(left("Conv", window([1, 1], [0; 4])), ["kernel_shape"]);
        let kept = ["kernel_shape", "strides", "pads"];
        assert_eq!(left("Conv", window([1, 2], [0, 0, 1, 0])), kept);
        assert!(left("DequantizeLinear", vec![int("axis", 1)]).is_empty());
        assert_eq!(left("DequantizeLinear", vec![int("axis", 0)]), ["axis"]);
        // Its axis has no default.
        assert_eq!(left("Concat", vec![int("axis", 1)]), ["axis"]);
        assert!(left("DepthToSpace", vec![string("mode", "DCR")]).is_empty());
        assert_eq!(left("DepthToSpace", vec![string("mode", "CRD")]), ["mode"]);
    }
}
