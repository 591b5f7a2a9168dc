//! Shapes worked out by hand, and what is refused to be guessed.

use super::super::example::{edge, floats, graph, integers, node, weights, zeros};
use super::super::proto::{NodeProto, TensorProto};
use super::*;

/// What a single operator makes of an `f32` input `x` and stored tensors, at a batch of 2.
fn shape_of(x: &[usize], node: NodeProto, stored: Vec<TensorProto>) -> Result<Vec<usize>, String> {
    let facts = infer(&graph(vec![edge("x", x)], stored, vec![node], vec![]), 17, 2)?;
    Ok(facts["y"].dims.clone())
}

#[test]
fn windows_move_over_their_input() {
    let conv = |x: &[usize], w: &[usize], edit: fn(NodeProto) -> NodeProto| {
        shape_of(x, edit(node("Conv", "x w", "y")), vec![weights("w", w)])
    };
    // (28 + 2 - 3) / 2 + 1 = 14
    let halved = |n: NodeProto| n.ints("strides", &[2, 2]).ints("pads", &[1; 4]);
    assert_eq!(conv(&[3, 28, 28], &[8, 3, 3, 3], halved), Ok(vec![2, 8, 14, 14]));
    // rows: (10 + 0 + 1 - 5) / 1 + 1 = 7; columns: (9 + 2 + 0 - 3) / 3 + 1 = 3
    let crooked = |n: NodeProto| {
        n.ints("strides", &[1, 3]).ints("dilations", &[2, 1]).ints("pads", &[0, 2, 1, 0])
    };
    assert_eq!(conv(&[4, 10, 9], &[6, 4, 3, 3], crooked), Ok(vec![2, 6, 7, 3]));
    assert_eq!(conv(&[4, 10], &[6, 2, 3], |n| n.int("group", 2)), Ok(vec![2, 6, 8]));
    let same = |n: NodeProto| n.text("auto_pad", "SAME_UPPER").ints("strides", &[2, 2]);
    assert_eq!(conv(&[1, 5, 6], &[1, 1, 3, 3], same), Ok(vec![2, 1, 3, 3]));

    let deconv = |edit: fn(NodeProto) -> NodeProto| {
        let stored = vec![weights("w", &[4, 3, 4, 4])];
        shape_of(&[4, 7, 7], edit(node("ConvTranspose", "x w", "y")), stored)
    };
    // 6 * 2 + 4 - 2 + 0 = 14, and one more
    let doubled = |n: NodeProto| n.ints("strides", &[2, 2]).ints("pads", &[1; 4]);
    assert_eq!(deconv(doubled), Ok(vec![2, 3, 14, 14]));
    let odd = |n: NodeProto| {
        n.ints("strides", &[2, 2]).ints("pads", &[1; 4]).ints("output_padding", &[1, 0])
    };
    assert_eq!(deconv(odd), Ok(vec![2, 3, 15, 14]));
    assert_eq!(deconv(|n| n.int("group", 2)), Ok(vec![2, 6, 10, 10]));

    let pool = |edit: fn(NodeProto) -> NodeProto| {
        let pool = node("MaxPool", "x", "y").ints("kernel_shape", &[3, 3]);
        shape_of(&[5, 8, 8], edit(pool.ints("strides", &[2, 2])), vec![])
    };
    assert_eq!(pool(|n| n), Ok(vec![2, 5, 3, 3]));
    assert_eq!(pool(|n| n.int("ceil_mode", 1)), Ok(vec![2, 5, 4, 4]));
    let global = shape_of(&[5, 8, 8], node("GlobalAveragePool", "x", "y"), vec![]);
    assert_eq!(global, Ok(vec![2, 5, 1, 1]));
}

#[test]
fn windows_that_do_not_fit_are_named() {
    let conv = |w: &[usize], edit: fn(NodeProto) -> NodeProto| {
        shape_of(&[3, 5, 5], edit(node("Conv", "x w", "y")), vec![weights("w", w)])
            .expect_err("it does not fit")
    };
    assert!(conv(&[8, 4, 3, 3], |n| n).contains("gets 3 channels"));
    assert!(conv(&[8, 3, 6, 3], |n| n).contains("a window of 6 over 5"));
    assert!(conv(&[8, 3, 3], |n| n).contains("over 2 axes"));
    assert!(conv(&[8, 3, 3, 3], |n| n.ints("strides", &[0, 1])).contains("impossible window"));
    assert!(conv(&[8, 3, 3, 3], |n| n.ints("pads", &[-1; 4])).contains("impossible shape"));
    assert!(conv(&[8, 3, 3, 3], |n| n.ints("pads", &[i64::MAX; 4])).contains("a window"));
    assert!(conv(&[8, 3, 3, 3], |n| n.int("group", 0)).contains("0 groups"));
    // Rows 0 and 2 begin in the input or its padding, row 4 in the padding behind.
    let pool = node("MaxPool", "x", "y").ints("kernel_shape", &[2]).ints("strides", &[3]);
    let pool = pool.int("ceil_mode", 1).ints("pads", &[0, 1]);
    assert!(shape_of(&[1, 3], pool, vec![]).expect_err("disputed").contains("behind the input"));
}

#[test]
fn products_take_matrices_and_stacks_of_them() {
    let gemm = |w: &[usize], transposed| {
        let gemm = node("Gemm", "x w b", "y").int("transB", transposed);
        shape_of(&[6], gemm, vec![weights("w", w), weights("b", &[4])])
    };
    assert_eq!(gemm(&[6, 4], 0), Ok(vec![2, 4]));
    assert_eq!(gemm(&[4, 6], 1), Ok(vec![2, 4]));
    assert!(gemm(&[4, 6], 0).expect_err("6 is not 4").contains("rows of 6 with columns of 4"));
    assert!(gemm(&[6, 5], 0).expect_err("the bias is of 4").contains("adds [4]"));
    let matmul =
        |x: &[usize], w: &[usize]| shape_of(x, node("MatMul", "x w", "y"), vec![weights("w", w)]);
    assert_eq!(matmul(&[3, 5, 6], &[6, 4]), Ok(vec![2, 3, 5, 4]));
    assert_eq!(matmul(&[1, 5, 6], &[7, 6, 4]), Ok(vec![2, 7, 5, 4]));
    assert_eq!(matmul(&[5, 6], &[6]), Ok(vec![2, 5]));
}

#[test]
fn axes_are_moved_joined_and_cut() {
    let one = |x: &[usize], node: NodeProto, values: &[i64]| {
        shape_of(x, node, vec![integers("v", values)])
    };
    assert_eq!(one(&[3, 4, 5], node("Reshape", "x v", "y"), &[0, -1, 5]), Ok(vec![2, 12, 5]));
    assert_eq!(one(&[6], node("Reshape", "x v", "y"), &[3, 4]), Ok(vec![3, 4]));
    assert!(one(&[6], node("Reshape", "x v", "y"), &[0, 5]).is_err());
    assert!(one(&[6], node("Reshape", "x v", "y"), &[-1, -1]).is_err());
    assert!(one(&[0], node("Reshape", "x v", "y"), &[-1, 0]).is_err(), "0 / 0 rows");
    assert_eq!(one(&[3, 4], node("Pad", "x v", "y"), &[0, 1, -1, 0, 2, 0]), Ok(vec![2, 6, 3]));
    assert_eq!(one(&[1, 4], node("Squeeze", "x v", "y"), &[1]), Ok(vec![2, 4]));
    assert!(one(&[3, 4], node("Squeeze", "x v", "y"), &[1]).is_err());
    assert_eq!(one(&[3], node("Unsqueeze", "x v", "y"), &[0, -1]), Ok(vec![1, 2, 3, 1]));
    assert_eq!(
        one(&[3, 4], node("ReduceMean", "x", "y").ints("axes", &[2]), &[]),
        Ok(vec![2, 3, 1])
    );
    let sum = node("ReduceSum", "x v", "y").int("keepdims", 0);
    assert_eq!(one(&[3, 4], sum, &[-2]), Ok(vec![2, 4]));
    assert_eq!(one(&[3, 4], node("Flatten", "x", "y").int("axis", -1), &[]), Ok(vec![6, 4]));
    assert_eq!(one(&[3, 4], node("Flatten", "x", "y").int("axis", 3), &[]), Ok(vec![24, 1]));
    let order = node("Transpose", "x", "y").ints("perm", &[0, 2, 1]);
    assert_eq!(one(&[3, 4], order, &[]), Ok(vec![2, 4, 3]));
    assert_eq!(one(&[3, 4], node("Concat", "x x", "y").int("axis", 1), &[]), Ok(vec![2, 6, 4]));
    assert_eq!(one(&[5], node("Split", "x v", "z y").int("axis", 1), &[2, 3]), Ok(vec![2, 3]));
    assert!(one(&[5], node("Split", "x", "z y").int("axis", 1), &[]).is_err(), "opset 17");
    let space = node("DepthToSpace", "x", "y").int("blocksize", 2);
    assert_eq!(one(&[8, 3, 5], space.clone(), &[]), Ok(vec![2, 2, 6, 10]));
    assert!(one(&[6, 3, 5], space, &[]).is_err());
    let depth = node("SpaceToDepth", "x", "y").int("blocksize", 2);
    assert_eq!(one(&[2, 6, 10], depth.clone(), &[]), Ok(vec![2, 8, 3, 5]));
    assert!(one(&[2, 5, 10], depth, &[]).is_err());
    assert!(one(&[2, 6, 10], node("SpaceToDepth", "x", "y"), &[]).is_err(), "blocks of 0");
    assert_eq!(one(&[3, 4], node("Gather", "x v", "y").int("axis", 2), &[1, 1]), Ok(vec![2, 3, 2]));
}

#[test]
fn slices_follow_the_standard() {
    let slice = |size: usize, range: [i64; 3]| {
        let [start, end, step] = range;
        let stored = [("s", start), ("e", end), ("a", 1), ("t", step)];
        let stored = stored.map(|(name, value)| integers(name, &[value])).to_vec();
        shape_of(&[size], node("Slice", "x s e a t", "y"), stored).map(|dims| dims[1])
    };
    assert_eq!(slice(10, [2, 7, 1]), Ok(5));
    assert_eq!(slice(10, [2, 7, 2]), Ok(3));
    assert_eq!(slice(10, [-3, i64::MAX, 1]), Ok(3));
    assert_eq!(slice(10, [7, 2, 1]), Ok(0));
    assert_eq!(slice(10, [-1, i64::MIN, -1]), Ok(10));
    assert_eq!(slice(10, [8, 2, -4]), Ok(2));
    assert_eq!(slice(10, [8, 0, -4]), Ok(2));
    assert_eq!(slice(10, [i64::MIN, i64::MAX, i64::MAX]), Ok(1));
    assert!(slice(10, [-11, i64::MIN, -1]).is_err(), "readers disagree");
    assert!(slice(10, [0, 5, 0]).is_err());
}

#[test]
fn resizing_needs_known_scales() {
    let scaled = |scales: &[f32]| {
        shape_of(&[3, 5, 5], node("Resize", "x _ s", "y"), vec![floats("s", scales)])
    };
    assert_eq!(scaled(&[1.0, 1.0, 2.0, 2.0]), Ok(vec![2, 3, 10, 10]));
    assert_eq!(scaled(&[1.0, 1.0, 0.5, 1.7]), Ok(vec![2, 3, 2, 8]));
    assert!(scaled(&[2.0, 2.0]).is_err() && scaled(&[1.0, 1.0, -1.0, f32::MAX]).is_err());
    let sizes = vec![integers("n", &[2, 3, 7, 9])];
    assert_eq!(shape_of(&[3, 5, 5], node("Resize", "x _ _ n", "y"), sizes), Ok(vec![2, 3, 7, 9]));
    assert!(
        shape_of(&[4], node("Resize", "x _ x", "y"), vec![]).is_err(),
        "only known at run time"
    );
}

#[test]
fn element_types_follow_quantisation() {
    let facts = infer(
        &graph(
            vec![edge("x", &[3])],
            vec![weights("scale", &[]), zeros("zero", (3, 1), &[]), zeros("w", (3, 1), &[3, 4])],
            vec![
                node("QuantizeLinear", "x scale zero", "q"),
                node("QuantizeLinear", "x scale", "u"),
                node("DequantizeLinear", "q scale zero", "d"),
                node("DequantizeLinear", "w scale zero", "v"),
                node("Gemm", "d v", "y"),
                node("Cast", "y", "h").int("to", 10),
                node("DynamicQuantizeLinear", "x", "a b c"),
            ],
            vec![edge("y", &[4])],
        ),
        17,
        2,
    )
    .expect("it is covered");
    let names = ["q", "u", "d", "v", "y", "h", "a", "b", "c"];
    let expected = [Element::I8, Element::U8, Element::F32, Element::F32, Element::F32];
    let expected =
        [&expected[..], &[Element::F16, Element::U8, Element::F32, Element::U8]].concat();
    assert_eq!(names.map(|name| facts[name].element).to_vec(), expected);
    assert_eq!(["v", "y"].map(|name| facts[name].constant), [true, false]);
    assert_eq!(facts["h"].bytes(), 2 * 4 * 2);
}

#[test]
fn shapes_that_are_computed_in_the_graph_are_followed() {
    // PyTorch's `x.view(x.size(0), -1)`.
    let stored = vec![zeros("zero", (7, 8), &[]), integers("rest", &[-1]), integers("first", &[0])];
    let nodes = vec![
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "batch"),
        node("Unsqueeze", "batch first", "rows"),
        node("Concat", "rows rest", "target").int("axis", 0),
        node("Reshape", "x target", "y"),
    ];
    let graph = graph(vec![edge("x", &[3, 4])], stored, nodes, vec![edge("y", &[12])]);
    let facts = infer(&graph, 17, 7).expect("it is covered");
    assert_eq!(facts["y"].dims, [7, 12]);
    assert!(facts["target"].constant && !facts["y"].constant);
}

#[test]
fn what_is_not_covered_is_named_and_nothing_is_guessed() {
    let unknown = |node| shape_of(&[4], node, vec![]).expect_err("it is not covered");
    assert_eq!(unknown(node("Frob", "x", "y")), "operator Frob is not covered");
    assert!(unknown(node("LayerNormalization", "x x", "y mean")).contains("an output that is not"));
    assert!(unknown(node("Reshape", "x x", "y")).contains("depends on its input 1"));
    assert!(unknown(node("Relu", "z", "y")).contains("reads `z`"));
    let other =
        graph(vec![edge("x", &[4])], vec![], vec![node("Relu", "x", "y")], vec![edge("y", &[5])]);
    assert!(infer(&other, 17, 1).expect_err("4 is not 5").contains("its declared shape"));
}

#[test]
fn every_accepted_operator_is_covered() {
    let facts = Facts::from([("x".to_owned(), Fact::new(Element::F32, vec![2]).expect("2"))]);
    let is_covered = |name: &str| {
        let proto = node(name, "x x x", "y");
        let node = Node::new(&proto, 17, &facts).expect("x is there");
        operator(&node) != Err("is not covered".to_owned())
    };
    let accepted = super::super::OPERATORS;
    let missing: Vec<_> = accepted.iter().filter(|name| !is_covered(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(!is_covered("Frob"));
}

#[test]
fn a_constant_that_doubles_does_not_fill_memory() {
    let mut nodes: Vec<_> = (0..62)
        .map(|i| node("Concat", &format!("n{i} n{i}"), &format!("n{}", i + 1)).int("axis", 0))
        .collect();
    nodes.push(node("Relu", "x", "y"));
    let doubled = graph(vec![edge("x", &[1])], vec![integers("n0", &[1, 2])], nodes, vec![]);
    assert!(infer(&doubled, 17, 1).expect_err("2^63 numbers").contains("impossible shape"));
}
