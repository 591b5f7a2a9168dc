//! The part of a graph that the wanted outputs need.

use std::collections::BTreeSet;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

/// The operators that give something else at every run.
const RANDOM: [&str; 6] = [
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
];

/// Keeps what the wanted outputs need: their operators, weights and inputs. What exporters note
/// beside the graph goes too: it names folders of the machine that exported, and shapes that a
/// rewritten graph no longer has.
///
/// # Errors
///
/// One sentence where a wanted output is drawn at random.
pub(super) fn prune(graph: &GraphProto, wanted: &[&str]) -> Result<GraphProto, String> {
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    for output in wanted {
        let (tensors, nodes) = behind(graph, output);
        if let Some(node) = nodes.iter().find(|node| RANDOM.contains(&node.op_type.as_str())) {
            return Err(format!(
                "its output `{output}` is drawn at random, by operator {} (hint: export what the \
                 draw is made of, the mean and the log-variance, and leave the draw out)",
                node.op_type
            ));
        }
        needed.extend(tensors);
    }
    let is_needed = |name: &String| needed.contains(name.as_str());
    let mut node = graph.node.clone();
    node.retain(|node| node.output.iter().any(is_needed));
    node.iter_mut().for_each(|node| node.doc_string.clear());
    let mut kept = GraphProto {
        node,
        name: graph.name.clone(),
        initializer: graph.initializer.clone(),
        sparse_initializer: graph.sparse_initializer.clone(),
        input: graph.input.clone(),
        output: graph.output.clone(),
        ..GraphProto::default()
    };
    kept.initializer.retain(|tensor| is_needed(&tensor.name));
    kept.input.retain(|value| is_needed(&value.name));
    kept.output.retain(|value| wanted.contains(&value.name.as_str()));
    Ok(kept)
}

/// The tensors and the operators that an output is made of.
fn behind<'a>(graph: &'a GraphProto, output: &'a str) -> (BTreeSet<&'a str>, Vec<&'a NodeProto>) {
    let mut tensors = BTreeSet::from([output]);
    let mut nodes = vec![];
    for node in graph.node.iter().rev() {
        if node.output.iter().any(|output| tensors.contains(output.as_str())) {
            tensors.extend(node.input.iter().map(String::as_str));
            nodes.push(node);
        }
    }
    (tensors, nodes)
}

/// Drops the operator sets that no operator of a graph is from, and the functions of a model that
/// none calls: exporters list more than they use.
pub(super) fn forget_unused(model: &mut ModelProto, graph: &GraphProto) {
    let used = |domain: &str| graph.node.iter().any(|node| node.domain == domain);
    let standard = |domain: &str| matches!(domain, "" | "ai.onnx");
    model.opset_import.retain(|set| standard(&set.domain) || used(&set.domain));
    model.functions.retain(|function| used(function.domain.as_deref().unwrap_or_default()));
    model.training_info.clear();
    model.metadata_props.clear();
    model.doc_string.clear();
}
