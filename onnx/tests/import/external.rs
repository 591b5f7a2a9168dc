//! Weights in files beside the graph.

use prost::Message;
use tempfile::TempDir;
use tract_onnx::pb::{ModelProto, StringStringEntryProto, TensorProto};
use vae_onnx::{Error, Names, import};

use crate::graphs::{decoder, encoder};
use crate::{HEAD, options};

/// Lets a weight lie in `weights.bin`, from its beginning on.
fn lies_outside(tensor: &mut TensorProto, length: Option<&str>) {
    tensor.float_data.clear();
    tensor.data_location = Some(1);
    let entries = [("location", Some("weights.bin")), ("length", length)];
    let entries = entries.into_iter().filter_map(|(key, value)| Some((key, value?)));
    tensor.external_data = entries
        .map(|(key, value)| StringStringEntryProto { key: key.into(), value: value.into() })
        .collect();
}

/// Imports an encoder whose weights may lie in a file of so many zeros.
fn run(edit: impl FnOnce(&mut Vec<TensorProto>), bytes: usize) -> Result<(), Error> {
    let mut encoder = encoder(&[("a", HEAD)], &[]);
    edit(&mut encoder.graph.as_mut().expect("it has one").initializer);
    let folder = TempDir::new().expect("a temporary folder");
    let write = |name: &str, content: Vec<u8>| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a writable folder");
        path
    };
    write("weights.bin", vec![0; bytes]);
    let model = |name: &str, model: &ModelProto| write(name, model.encode_to_vec());
    let files = [model("e.onnx", &encoder), model("d.onnx", &decoder())];
    let names = Names::default();
    import(&options(&names, &files), &folder.path().join("b"), false, None).map(drop)
}

#[test]
fn a_weight_takes_what_its_shape_says_and_not_the_rest_of_the_file() {
    let size = 8 * 2 * 4;
    assert!(run(|weights| lies_outside(&mut weights[0], None), 4 * size).is_ok());
    let refusal = |length: Option<&str>, bytes: usize| {
        let refused = run(|weights| lies_outside(&mut weights[0], length), bytes);
        refused.expect_err("it does not fit").to_string()
    };
    let message = refusal(Some("96"), 4 * size);
    assert!(message.contains("`w` take 96 bytes, where their shape [8, 2] takes 64"), "{message}");
    let message = refusal(Some("64"), size - 1);
    assert!(message.contains("reach beyond the end of `weights.bin`"), "{message}");
}

#[test]
fn many_weights_of_one_file_do_not_fill_memory() {
    let message = |dims: &[i64], count: usize| {
        let bomb = |weights: &mut Vec<TensorProto>| {
            let mut weight = weights[0].clone();
            weight.dims = dims.to_vec();
            lies_outside(&mut weight, None);
            weights.splice(0..0, std::iter::repeat_n(weight, count));
        };
        run(bomb, 1 << 20).expect_err("too much").to_string()
    };
    let refused = message(&[1 << 18], 2050);
    assert!(refused.contains("in other files take 2149580800 bytes, the limit is"), "{refused}");
    let refused = message(&[1 << 40, 1 << 40], 1);
    assert!(refused.contains("impossible shape"), "{refused}");
}
