//! The shapes and costs of graphs, against tract's own inference and under damage.

use proptest::prelude::*;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, type_proto};
use vae_infer::graph::{cost, facts};
use vae_infer::manifest::{FileSpec, GraphSpec, TensorSpec};
use vae_infer::{Bundle, Error};

use crate::fixture::Copy;
use crate::onnx::{
    floats, integers, model, node, shapes_in_tract, value, weights, with_int, with_ints, with_text,
};

/// An operator that reads `x` and stored tensors, and makes `y`.
type Case = (NodeProto, Vec<TensorProto>);

/// A graph of one operator over `x`, whose result is `y`.
fn graph((node, stored): &Case, x: [i64; 3], y: ValueInfoProto) -> GraphProto {
    GraphProto {
        name: "one".into(),
        node: vec![node.clone()],
        initializer: stored.clone(),
        input: vec![value("x", &x)],
        output: vec![y],
        ..Default::default()
    }
}

/// A result of which nothing is said but that it is `f32`.
fn open(name: &str) -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: 1, shape: None };
    let value = Some(type_proto::Value::TensorType(tensor));
    let r#type = Some(TypeProto { value, ..Default::default() });
    ValueInfoProto { name: name.into(), r#type, ..Default::default() }
}

/// What the inference says of `y`, where the graph declares it as tract has it.
fn inferred(case: &Case, x: [i64; 3], y: &[usize]) -> Result<Vec<usize>, Error> {
    let sizes = |dims: &[i64]| dims.iter().map(|&d| d as usize).collect::<Vec<_>>();
    let declared: Vec<i64> = y[1..].iter().map(|&size| size as i64).collect();
    let onnx = model(graph(case, x, value("y", &declared)));
    let spec = GraphSpec {
        file: FileSpec::of("one.onnx", &onnx),
        inputs: vec![TensorSpec::new("x", &sizes(&x))],
        outputs: vec![TensorSpec::new("y", &y[1..])],
        layers: vec![],
    };
    Ok(facts("encoder", &onnx, &spec, 1)?["y"].dims.clone())
}

fn pair(low: i64, high: i64) -> impl Strategy<Value = [i64; 2]> {
    proptest::array::uniform2(low..=high)
}

fn conv() -> impl Strategy<Value = Case> {
    let pads = proptest::array::uniform4(0..=2_i64);
    let padding = prop_oneof![
        pads.prop_map(Ok),
        prop_oneof!["SAME_UPPER", "SAME_LOWER", "VALID"].prop_map(Err),
    ];
    (pair(1, 3), pair(1, 3), pair(1, 2), padding, 1..=2_i64).prop_map(
        |(kernel, strides, dilations, padding, group)| {
            let conv = with_ints(node("Conv", &["x", "w"], "y"), "strides", &strides);
            let conv = with_int(with_ints(conv, "dilations", &dilations), "group", group);
            let conv = match padding {
                Ok(pads) => with_ints(conv, "pads", &pads),
                Err(kind) => with_text(conv, "auto_pad", &kind),
            };
            (conv, vec![weights("w", &[6, 4 / group, kernel[0], kernel[1]])])
        },
    )
}

fn conv_transpose() -> impl Strategy<Value = Case> {
    (pair(2, 4), pair(1, 3), pair(1, 2), 0..=1_i64, 1..=2_i64).prop_map(
        |(kernel, strides, dilations, pad, group)| {
            let deconv = with_ints(node("ConvTranspose", &["x", "w"], "y"), "strides", &strides);
            let deconv = with_ints(deconv, "dilations", &dilations);
            let deconv = with_int(with_ints(deconv, "pads", &[pad; 4]), "group", group);
            // Added rows must be fewer than a stride.
            let added = strides.map(|stride| (stride - 1).min(1));
            let deconv = with_ints(deconv, "output_padding", &added);
            (deconv, vec![weights("w", &[4, 3, kernel[0], kernel[1]])])
        },
    )
}

fn pool() -> impl Strategy<Value = Case> {
    let kind = prop_oneof![Just("MaxPool"), Just("AveragePool")];
    (kind, pair(2, 3), pair(1, 3), 0..=1_i64).prop_map(|(kind, kernel, strides, pad)| {
        let pool = with_ints(node(kind, &["x"], "y"), "kernel_shape", &kernel);
        (with_ints(with_ints(pool, "strides", &strides), "pads", &[pad; 4]), vec![])
    })
}

/// Slices of the channels that leave some: tract gives those that leave none a size.
fn slice() -> impl Strategy<Value = Case> {
    let step = prop_oneof![1..=3_i64, -3..=-1_i64];
    let range = (-4..=3_i64, -9..=9_i64, step).prop_filter("nothing is left", |range| {
        let &(start, end, step) = range;
        let counted = |place: i64| if place < 0 { place + 4 } else { place };
        (counted(end).clamp(-1, 4) - counted(start)) * step > 0
    });
    range.prop_map(|(start, end, step)| {
        let stored = [("s", start), ("e", end), ("a", 1), ("t", step)];
        let stored = stored.map(|(name, value)| integers(name, &[value])).to_vec();
        (node("Slice", &["x", "s", "e", "a", "t"], "y"), stored)
    })
}

fn moved() -> impl Strategy<Value = Case> {
    let order = Just(vec![1_i64, 2, 3]).prop_shuffle().prop_map(|mut order| {
        order.insert(0, 0);
        (with_ints(node("Transpose", &["x"], "y"), "perm", &order), vec![])
    });
    let pads = proptest::collection::vec(0..=3_i64, 6).prop_map(|p| {
        let pads = [0, p[0], p[1], p[2], 0, p[3], p[4], p[5]];
        (node("Pad", &["x", "v"], "y"), vec![integers("v", &pads)])
    });
    let scales = (1..=3_u8, 1..=3_u8).prop_map(|(rows, columns)| {
        let resize = node("Resize", &["x", "", "v"], "y");
        let resize = with_text(resize, "coordinate_transformation_mode", "asymmetric");
        let resize = with_text(with_text(resize, "mode", "nearest"), "nearest_mode", "floor");
        (resize, vec![floats("v", &[1.0, 1.0, rows.into(), columns.into()])])
    });
    let joined = (1..=3_i64)
        .prop_map(|axis| (with_int(node("Concat", &["x", "x", "x"], "y"), "axis", axis), vec![]));
    let block = (1..=2_i64)
        .prop_map(|b| (with_int(node("DepthToSpace", &["x"], "y"), "blocksize", b), vec![]));
    let reduction = prop_oneof![Just("ReduceMax"), Just("ReduceMean")];
    let reduced = (reduction, 1..=3_i64, 0..=1_i64).prop_map(|(reduction, axis, keep)| {
        let reduced = with_ints(node(reduction, &["x"], "y"), "axes", &[axis]);
        (with_int(reduced, "keepdims", keep), vec![])
    });
    let global = Just((node("GlobalMaxPool", &["x"], "y"), vec![]));
    prop_oneof![order, pads, scales, joined, block, reduced, global]
}

fn reshaped() -> impl Strategy<Value = Case> {
    let reshape = prop_oneof![
        Just(vec![0_i64, -1]),
        Just(vec![0, 0, -1]),
        Just(vec![-1, 4, 0, 0]),
        Just(vec![0, 2, 2, -1])
    ];
    let reshape =
        reshape.prop_map(|shape| (node("Reshape", &["x", "v"], "y"), vec![integers("v", &shape)]));
    // Any other axis would make rows of channels, where the graph's signature has the batch.
    let flatten = Just((with_int(node("Flatten", &["x"], "y"), "axis", 1), vec![]));
    let axes = proptest::sample::subsequence(vec![1_i64, 2, 3, 4], 1..=2);
    let unsqueeze =
        axes.prop_map(|axes| (node("Unsqueeze", &["x", "v"], "y"), vec![integers("v", &axes)]));
    let sum =
        (prop_oneof![Just(vec![4_i64, 1, 1]), Just(vec![1, 1, 1, 1]), Just(vec![1]), Just(vec![])])
            .prop_map(|dims| (node("Add", &["x", "w"], "y"), vec![weights("w", &dims)]));
    prop_oneof![reshape, flatten, unsqueeze, sum]
}

fn case() -> impl Strategy<Value = Case> {
    prop_oneof![conv(), conv_transpose(), pool(), slice(), moved(), reshaped()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn operators_have_the_shapes_that_tract_gives_them(case in case(), height in 3..=9_i64, width in 3..=9_i64) {
        let x = [4, height, width];
        let bytes = model(graph(&case, x, open("y")));
        // What tract cannot build has no shape to compare with.
        let Ok(shapes) = shapes_in_tract(&bytes) else { return Err(TestCaseError::reject("invalid")) };
        let Some(expected) = shapes.get("y") else { return Err(TestCaseError::reject("unknown")) };
        // A window that does not fit leaves nothing in tract, and is refused here.
        prop_assume!(!expected.contains(&0));
        match inferred(&case, x, expected) {
            Ok(got) => prop_assert_eq!(&got, expected),
            Err(error) => prop_assert!(false, "{}, where tract has {:?}", error, expected),
        }
    }
}

#[test]
fn the_embedded_model_has_tracts_shapes() {
    let bundle = Bundle::embedded();
    let spec = &bundle.manifest;
    for (name, onnx, spec) in
        [("encoder", bundle.encoder(), &spec.encoder), ("decoder", bundle.decoder(), &spec.decoder)]
    {
        let ours = facts(name, onnx, spec, 1).unwrap();
        let theirs = shapes_in_tract(onnx).unwrap();
        assert!(theirs.len() > 3, "{theirs:?}");
        for (tensor, shape) in theirs {
            assert_eq!(ours[&tensor].dims, shape, "{tensor} of the {name}");
        }
        assert!(cost(name, onnx, spec).unwrap().work.is_ok());
    }
}

/// Attributes and sizes at random places of a graph: a cost, a reason, or a refusal.
#[test]
fn damaged_graphs_never_panic() {
    use rand_chacha::rand_core::{Rng, SeedableRng};
    let mut generator = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let (mut known, mut unknown) = (0, 0);
    for _ in 0..2000 {
        let mut draw = |below: usize| (generator.next_u64() % below as u64) as usize;
        let extreme = [-1, 0, 1, 2, 3, 7, i64::MAX, i64::MIN, 1 << 40, -(1 << 40)];
        let bundle = Bundle::embedded();
        let bytes = edited(bundle.decoder(), |graph| {
            for _ in 0..=draw(2) {
                let place = draw(graph.node.len());
                let node = &mut graph.node[place];
                if node.attribute.is_empty() || draw(3) == 0 {
                    let other = draw(node.input.len());
                    node.input.swap(0, other);
                    continue;
                }
                let attribute = draw(node.attribute.len());
                let attribute = &mut node.attribute[attribute];
                attribute.i = extreme[draw(extreme.len())];
                for value in &mut attribute.ints {
                    *value = extreme[draw(extreme.len())];
                }
            }
        });
        if let Ok(cost) = cost("decoder", &bytes, &bundle.manifest.decoder) {
            let counted = if cost.work.is_ok() { &mut known } else { &mut unknown };
            *counted += 1;
        }
    }
    assert!(known > 0 && unknown > 100, "{known} costs, {unknown} reasons");
}

/// A graph from `x` `[batch, 1, 4, 4]` to `y`, of which the cost is asked.
fn costed(
    stored: Vec<TensorProto>,
    node: Vec<NodeProto>,
    y: &[i64],
) -> Result<Result<vae_infer::graph::Work, String>, Error> {
    let graph = GraphProto {
        name: "small".into(),
        node,
        initializer: stored,
        input: vec![value("x", &[1, 4, 4])],
        output: vec![value("y", y)],
        ..Default::default()
    };
    let onnx = model(graph);
    let sizes: Vec<usize> = y.iter().map(|&size| size as usize).collect();
    let spec = GraphSpec {
        file: FileSpec::of("small.onnx", &onnx),
        inputs: vec![TensorSpec::new("x", &[1, 4, 4])],
        outputs: vec![TensorSpec::new("y", &sizes)],
        layers: vec![],
    };
    Ok(cost("decoder", &onnx, &spec)?.work)
}

fn scalar(name: &str, value: i64) -> TensorProto {
    TensorProto { dims: vec![], ..integers(name, &[value]) }
}

#[test]
fn the_numbers_in_a_matrix_are_not_taken_for_those_of_a_row() {
    let stored = || {
        let vectors = [("four", &[1, 2, 3, 4][..]), ("square", &[2, 2]), ("one", &[1])];
        let vectors = vectors.map(|(name, values)| integers(name, values));
        [&vectors[..], &[integers("two", &[2]), integers("first", &[0]), scalar("zero", 0)]]
            .concat()
    };
    let matrix = node("Reshape", &["four", "square"], "matrix");
    let cut = |row| node("Slice", &[row, "one", "two", "first"], "cut");
    let last = node("Relu", &["x"], "y");
    let gathered = with_int(node("Gather", &["matrix", "zero"], "row"), "axis", 0);
    let nodes = vec![matrix.clone(), gathered, cut("row"), last.clone()];
    assert!(costed(stored(), nodes, &[1, 4, 4]).unwrap().is_ok());
    // Rows one behind the other are 1, 2, 1, 2, 3, 4, 3, 4, and no shape of `x`.
    let joined = with_int(node("Concat", &["matrix", "matrix"], "wide"), "axis", 1);
    let reshaped = node("Reshape", &["x", "shape"], "y");
    let shape = with_int(node("Flatten", &["wide"], "shape"), "axis", 0);
    let reason = costed(stored(), vec![matrix, joined, shape, reshaped], &[1, 4, 4]).unwrap();
    assert!(reason.unwrap_err().contains("depends on its input 1"));
}

#[test]
fn an_output_that_is_left_out_takes_no_memory() {
    let scales = floats("scales", &[1.0, 1.0, 0.5, 0.5]);
    let small = node("Resize", &["x", "", "scales"], "small");
    let mut pool = with_ints(node("MaxPool", &["x"], "p"), "kernel_shape", &[1, 1]);
    pool.output.push(String::new());
    let narrow = with_ints(node("MaxPool", &["p"], "q"), "kernel_shape", &[3, 3]);
    let sum = node("Add", &["q", "small"], "y");
    let work = costed(vec![scales], vec![small, pool, narrow, sum], &[1, 2, 2]).unwrap().unwrap();
    // x, its small copy and p.
    assert_eq!(work.peak, 4 * (16 + 4 + 16));
}

#[test]
fn sizes_beyond_all_numbers_are_refused_beside_a_size_of_zero() {
    let none = TensorProto { dims: vec![0, 1 << 40, 1 << 40], ..floats("none", &[]) };
    let last = node("Relu", &["x"], "y");
    let flat = with_int(node("Flatten", &["none"], "flat"), "axis", 1);
    let reason = costed(vec![none], vec![flat, last.clone()], &[1, 4, 4]).unwrap();
    assert!(reason.unwrap_err().contains("flattens [0, "));
    let none = TensorProto { dims: vec![1, 0, 1 << 40, 1], ..floats("none", &[]) };
    let deep = with_int(node("DepthToSpace", &["none"], "deep"), "blocksize", 1 << 31);
    let reason = costed(vec![none], vec![deep, last], &[1, 4, 4]).unwrap();
    assert!(reason.unwrap_err().contains("makes blocks of 2147483648"));
}

#[test]
fn a_division_of_integers_by_a_stored_zero_is_refused() {
    let last = node("Relu", &["x"], "y");
    let divided = |operator: &str, divisor: TensorProto, moved: Option<&str>| {
        let by = if moved.is_some() { "moved" } else { "by" };
        let moved = moved.map(|operator| node(operator, &["by"], "moved"));
        let divide = node(operator, &["many", by], "part");
        let nodes = moved.into_iter().chain([divide, last.clone()]).collect();
        costed(vec![integers("many", &[6, 6]), divisor], nodes, &[1, 4, 4])
    };
    let narrow = |values: &[i32]| TensorProto {
        data_type: 6,
        int32_data: values.to_vec(),
        raw_data: vec![],
        ..integers("by", &[0, 0])
    };
    for (operator, divisor, moved) in [
        ("Div", integers("by", &[3, 0]), None),
        ("Mod", integers("by", &[0, 3]), None),
        ("Div", narrow(&[1, 0]), None),
        ("Mod", scalar("by", 0), Some("Identity")),
        ("Div", integers("by", &[0]), Some("Concat")),
        ("Div", integers("by", &[3, 0]), Some("Split")),
    ] {
        let message = divided(operator, divisor, moved).unwrap_err().to_string();
        let by = if moved.is_some() { "moved" } else { "by" };
        assert!(
            message.contains(&format!("{operator} divides integers by the 0 in `{by}`")),
            "{message}"
        );
    }
    // 256 holds bytes of 0, and a 0 in floating point makes an infinity.
    assert!(divided("Div", integers("by", &[256, 3]), None).unwrap().is_ok());
    assert!(divided("Mod", narrow(&[256, 3]), None).unwrap().is_ok());
    assert!(divided("Div", floats("by", &[0.0, 1.0]), None).unwrap().is_ok());
}

fn edited(onnx: &[u8], edit: impl FnOnce(&mut GraphProto)) -> Vec<u8> {
    use prost::Message;
    let mut model = tract_onnx::pb::ModelProto::decode(onnx).unwrap();
    edit(model.graph.as_mut().unwrap());
    model.encode_to_vec()
}

#[test]
fn info_says_what_a_model_costs_and_when_it_cannot() {
    let digits = crate::fixture::succeed(["info"]);
    let work = digits.lines().find(|line| line.starts_with("work ")).unwrap();
    assert!(work.contains(" FLOPs an image, "), "{work}");
    let open = Copy::new().with_graph("decoder", |graph| {
        let last = graph.node.last_mut().unwrap();
        let name = std::mem::replace(&mut last.output[0], "before".into());
        graph.node.push(with_int(
            node("BatchNormalization", &["before"], &name),
            "training_mode",
            1,
        ));
    });
    let bundle = Bundle::open(open.path()).unwrap();
    let cost = cost("decoder", bundle.decoder(), &bundle.manifest.decoder).unwrap();
    assert!(cost.parameters > 0);
    assert_eq!(cost.work, Err("operator BatchNormalization is not covered".into()));
}
