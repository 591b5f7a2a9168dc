//! Short names: a small graph in eight bits is mostly names.

use std::collections::BTreeMap;

use tract_onnx::pb::GraphProto;
use vae_infer::manifest::TensorSpec;

/// The characters of a short name.
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Gives every tensor inside a graph the shortest name that is free, in the order of the nodes, and
/// takes the names of nodes away. Inputs and outputs of the graph keep theirs; hidden layers, which
/// the manifest names, get theirs there too.
pub(super) fn shorten(graph: &mut GraphProto, layers: &mut [TensorSpec]) {
    let public = graph.input.iter().chain(&graph.output).map(|value| value.name.clone());
    let mut names: BTreeMap<String, String> = public.map(|name| (name.clone(), name)).collect();
    let taken: Vec<String> = names.keys().cloned().collect();
    let mut free = (0..).map(short).filter(|name| !taken.contains(name));
    let mut rename = |name: &mut String| {
        // An empty name stands for an input that is left out.
        if !name.is_empty() {
            let short = names.entry(name.clone()).or_insert_with(|| free.next().expect("endless"));
            short.clone_into(name);
        }
    };
    for node in &mut graph.node {
        node.name.clear();
        node.input.iter_mut().chain(&mut node.output).for_each(&mut rename);
    }
    graph.initializer.iter_mut().for_each(|constant| rename(&mut constant.name));
    layers.iter_mut().for_each(|layer| rename(&mut layer.name));
}

/// A number in digits and letters.
fn short(number: usize) -> String {
    let rest = number / DIGITS.len();
    let mut name = if rest > 0 { short(rest) } else { String::new() };
    name.push(char::from(DIGITS[number % DIGITS.len()]));
    name
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::{NodeProto, TensorProto, ValueInfoProto};

    use super::*;

    #[test]
    fn tensors_inside_are_renamed_and_those_outside_are_not() {
        let node = |inputs: &[&str], output: &str| NodeProto {
            name: format!("node of {output}"),
            input: inputs.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            ..NodeProto::default()
        };
        let value = |name: &str| ValueInfoProto { name: name.into(), ..ValueInfoProto::default() };
        let mut graph = GraphProto {
            node: vec![
                node(&["image", "", "weight"], "layer"),
                node(&["layer"], "inner"),
                node(&["inner", "weight"], "1"),
            ],
            input: vec![value("image")],
            output: vec![value("1")],
            initializer: vec![TensorProto { name: "weight".into(), ..TensorProto::default() }],
            ..GraphProto::default()
        };
        let mut layers = [TensorSpec::new("layer", &[3])];
        shorten(&mut graph, &mut layers);
        let wires = |place: usize| (&graph.node[place].input[..], &graph.node[place].output[..]);
        let [image, none, zero, one] = ["image", "", "0", "1"].map(String::from);
        let [two, three] = ["2", "3"].map(String::from);
        assert_eq!(wires(0), (&[image, none, zero.clone()][..], &[two.clone()][..]));
        assert_eq!(wires(1), (&[two][..], &[three.clone()][..]));
        assert_eq!(wires(2), (&[three, zero][..], &[one][..]));
        assert_eq!(graph.initializer[0].name, "0");
        assert_eq!(layers, [TensorSpec::new("2", &[3])]);
        assert!(graph.node.iter().all(|node| node.name.is_empty()));
    }

    #[test]
    fn names_are_counted_in_digits_and_letters() {
        for (number, name) in [(0, "0"), (35, "z"), (36, "10"), (36 * 36, "100")] {
            assert_eq!(short(number), name);
        }
    }
}
