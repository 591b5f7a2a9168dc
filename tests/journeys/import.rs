//! Files that PyTorch and TensorFlow have exported, imported and held to those programs' own answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::ArrayD;
use safetensors::SafeTensors;
use tempfile::TempDir;
use vae_infer::verify::{TOLERANCE, replay};
use vae_infer::{Bundle, Engine, EngineOptions, Model};
use vae_tests::programs::{expect, program, refused, root};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("import::flat_pixels_and_a_standard_deviation", Needs::OnnxRuntime, |ort| {
        agrees("mlp", &["--image", "12x12x1"], &["flat", "a standard deviation"], &ort)
    }),
    ("import::a_fixed_batch_and_weights_beside_the_graph", Needs::OnnxRuntime, |ort| {
        agrees("conv", &["--range", "-1", "1"], &["fixed at 1, in 2 operators", "Tanh"], &ort)
    }),
    ("import::channels_last_joint_heads_and_logits", Needs::OnnxRuntime, |ort| {
        agrees("last", &["--logits"], &["channels last", "second half", "sigmoid"], &ort)
    }),
    ("import::a_skip_and_a_fixed_batch", Needs::OnnxRuntime, |ort| {
        agrees("unet", &[], &["`wide` [1, 4, 14, 14] of the encoder, `features`"], &ort)
    }),
    ("import::an_encoder_that_also_samples", Needs::OnnxRuntime, |ort| {
        agrees("draws", &[], &["`z_mean`", "the decoder ends in Sigmoid"], &ort)
    }),
    ("import::the_tutorial_of_tensorflow", Needs::OnnxRuntime, |ort| {
        agrees("keras", &["--logits"], &["tf2onnx 1.17.0", "second half"], &ort)
    }),
    ("import::a_bundle_serves_every_command", Needs::Nothing, a_bundle_serves_every_command),
    ("import::what_names_do_not_tell_is_asked_for", Needs::Nothing, asked_for),
    ("import::what_cannot_be_a_bundle_is_refused", Needs::Nothing, is_refused),
    ("import::weights_come_from_plain_files_beside_the_graph", Needs::Nothing, plain_files),
    ("import::nothing_is_overwritten", Needs::Nothing, nothing_is_overwritten),
];

/// A model that `tests/foreign/make.py` or `make_keras.py` has exported.
fn foreign(model: &str) -> PathBuf {
    root().join("tests").join("foreign").join(model)
}

/// `vae-train import ENCODER DECODER -o OUT/bundle`
fn import(encoder: &Path, decoder: &Path, out: &Path) -> Result<Command, String> {
    let mut import = program("vae-train")?;
    import.arg("import").args([encoder, decoder]).arg("-o").arg(out.join("bundle"));
    Ok(import)
}

/// The import of a model of `tests/foreign`.
pub(crate) fn import_of(model: &str, out: &Path) -> Result<Command, String> {
    let folder = foreign(model);
    import(&folder.join("encoder.onnx"), &folder.join("decoder.onnx"), out)
}

fn temporary() -> Result<TempDir, String> {
    TempDir::new().map_err(|e| e.to_string())
}

/// Imports a model, looks for words in what is printed, and compares the engines with the answers
/// that the program that trained it gave.
fn agrees(model: &str, options: &[&str], words: &[&str], ort: &Path) -> Result<(), String> {
    let folder = temporary()?;
    let mut import = import_of(model, folder.path())?;
    let output = expect(import.args(options).arg("--ort-lib").arg(ort), 0)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(missing) = words.iter().find(|word| !text.contains(**word)) {
        return Err(format!("`{missing}` is missing from\n{text}"));
    }
    let bundle = Bundle::open(folder.path().join("bundle")).map_err(|e| e.to_string())?;
    let expected = tensors(&foreign(model).join("expected.safetensors"))?;
    for engine in [Engine::Auto, Engine::Tract, Engine::Ort] {
        let options = EngineOptions { ort_library: Some(ort.into()), ..EngineOptions::new(engine) };
        let mut loaded = Model::load(&bundle, &options).map_err(|e| e.to_string())?;
        let compared = replay(&mut loaded, &bundle, &expected).map_err(|e| e.to_string())?;
        if compared.len() != expected.len() - 2 {
            return Err(format!("{model}: {} outputs of {}", compared.len(), expected.len()));
        }
        for (output, difference) in compared {
            if difference > TOLERANCE {
                return Err(format!("{model}: {engine} gives another {output}: {difference:.1e}"));
            }
        }
    }
    Ok(())
}

fn tensors(path: &Path) -> Result<BTreeMap<String, ArrayD<f32>>, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| e.to_string())?;
    let array = |(name, view): (&str, safetensors::tensor::TensorView)| {
        let (values, _) = view.data().as_chunks::<4>();
        let values = values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let array = ArrayD::from_shape_vec(view.shape(), values).map_err(|e| e.to_string())?;
        Ok((name.to_owned(), array))
    };
    tensors.iter().map(array).collect()
}

fn a_bundle_serves_every_command(_: PathBuf) -> Result<(), String> {
    let folder = temporary()?;
    let path = |name: &str| folder.path().join(name);
    // The images are the model's own, in the range and the size that the import was told.
    let import = || import_of("mlp", folder.path());
    expect(import()?.args(["--image", "12x12x1", "--classes", "a,b", "--beta", "4"]), 0)?;
    let infer = |arguments: &[&str]| {
        let mut infer = program("vae-infer")?;
        infer.current_dir(folder.path()).args(arguments).args(["--model", "bundle"]);
        expect(&mut infer, 0)
    };
    infer(&["verify"])?;
    infer(&["sample", "-n", "9", "--seed", "1", "-o", "samples.npy"])?;
    infer(&["reconstruct", "samples.npy", "-o", "images"])?;
    infer(&["score", "images"])?;
    let info = infer(&["info"])?;
    let info = String::from_utf8_lossy(&info.stdout).into_owned();
    for words in ["elsewhere, and imported", "encoder ", "bernoulli, beta 4", "a, b"] {
        if !info.contains(words) {
            return Err(format!("`{words}` is missing from\n{info}"));
        }
    }
    let again =
        import()?.args(["--image", "12x12x1", "--force", "--images"]).arg(path("images")).output();
    let again = again.map_err(|e| e.to_string())?;
    let manifest = std::fs::read_to_string(path("bundle").join("manifest.json"));
    let manifest = manifest.map_err(|e| e.to_string())?;
    match again.status.success() && manifest.contains("\"images\": \"real\"") {
        true => Ok(()),
        false => Err(format!("real images were not compared: {again:?}")),
    }
}

fn asked_for(_: PathBuf) -> Result<(), String> {
    let folder = temporary()?;
    let out = folder.path();
    refused(&mut import_of("mlp", out)?, &["encoder.onnx", "`x` [batch, 144]", "--image WxHxC"])?;
    refused(&mut import_of("conv", out)?, &["decoder.onnx", "Tanh", "--range -1 1"])?;
    refused(
        import_of("mlp", out)?.args(["--image", "12x12x1", "--log-var", "sigma"]),
        &["a standard deviation", "--spread std"],
    )?;
    refused(
        import_of("last", out)?.args(["--likelihood", "bernoulli"]),
        &["decoder.onnx", "Conv", "--logits"],
    )?;
    let range = ["--range", "-1", "1"];
    refused(
        import_of("draws", out)?.args(range),
        &["decoder.onnx", "ends in Sigmoid", "-1 to 1", "leave --range out"],
    )?;
    refused(import_of("last", out)?.arg("--logits").args(range), &["gives logits", "-1 to 1"])?;
    refused(
        import_of("unet", out)?.args(["--mean", "mu"]),
        &["encoder.onnx", "there is no `mu` among", "`log_var` [1, 5]"],
    )?;
    refused(
        import_of("unet", out)?.args(["--skip", "wide=deep"]),
        &["decoder.onnx", "there is no `deep` among"],
    )?;
    refused(
        import_of("unet", out)?.args(["--skip", "log_var=features"]),
        &["decoder.onnx", "`features` [1, 4, 14, 14]", "not the encoder's `log_var` [1, 5]"],
    )?;
    nothing_in(out)
}

fn is_refused(_: PathBuf) -> Result<(), String> {
    let folder = temporary()?;
    let out = folder.path();
    let [encoder, decoder] =
        ["encoder.onnx", "decoder.onnx"].map(|file| foreign("draws").join(file));
    refused(&mut import(&decoder, &encoder, out)?, &["swap the two files"])?;
    refused(
        import(&encoder, &decoder, out)?.args(["--image", "9x8x1"]),
        &["encoder.onnx", "`x` [batch, 1, 8, 8]", "no image of 9x8x1"],
    )?;
    for wrong in [["--image", "8x8"], ["--name", ""], ["--classes", "a,,b"]] {
        expect(import(&encoder, &decoder, out)?.args(wrong), 2)?;
    }
    let drawn = foreign("draws").join("drawn.onnx");
    refused(
        &mut import(&drawn, &decoder, out)?,
        &["drawn.onnx", "`z` is drawn at random", "RandomNormalLike", "leave the draw out"],
    )?;
    refused(
        import(&encoder, &decoder, out)?.args(["--range", "-1", "1", "--likelihood", "bernoulli"]),
        &["0 to 1"],
    )?;
    let other = foreign("mlp").join("decoder.onnx");
    refused(&mut import(&encoder, &other, out)?, &["`z` [batch, 4]", "`z_mean` [batch, 3]"])?;
    refused(&mut import(&encoder, &foreign("none.onnx"), out)?, &["cannot read", "none.onnx"])?;
    refused(&mut import(&encoder, &foreign("make.py"), out)?, &["make.py", "not an ONNX file"])?;
    let zip = out.join("model.pt");
    std::fs::write(&zip, b"PK\x03\x04").map_err(|e| e.to_string())?;
    refused(&mut import(&zip, &decoder, out)?, &["model.pt", "exported to ONNX first"])?;
    let empty = out.join("model.pt");
    std::fs::write(&empty, b"").map_err(|e| e.to_string())?;
    refused(&mut import(&empty, &decoder, out)?, &["without a graph"])?;
    std::fs::remove_file(empty).map_err(|e| e.to_string())?;
    nothing_in(out)
}

/// Weights beside the graph: a missing file, a link, and a file that is too short.
fn plain_files(_: PathBuf) -> Result<(), String> {
    let folder = temporary()?;
    let path = |name: &str| folder.path().join(name);
    let copy = |name: &str| {
        std::fs::copy(foreign("conv").join(name), path(name)).map_err(|e| e.to_string())
    };
    for name in ["encoder.onnx", "decoder.onnx", "decoder.onnx.data"] {
        copy(name)?;
    }
    let import = || {
        let mut import = import(&path("encoder.onnx"), &path("decoder.onnx"), folder.path())?;
        import.args(["--range", "-1", "1"]);
        Ok::<_, String>(import)
    };
    refused(&mut import()?, &["encoder.onnx", "encoder.onnx.data", "beside the graph"])?;
    #[cfg(unix)]
    {
        let real = foreign("conv").join("encoder.onnx.data");
        std::os::unix::fs::symlink(real, path("encoder.onnx.data")).map_err(|e| e.to_string())?;
        refused(&mut import()?, &["encoder.onnx.data", "which is a link"])?;
        std::fs::remove_file(path("encoder.onnx.data")).map_err(|e| e.to_string())?;
    }
    let whole = std::fs::read(foreign("conv").join("encoder.onnx.data"));
    let whole = whole.map_err(|e| e.to_string())?;
    std::fs::write(path("encoder.onnx.data"), &whole[..100]).map_err(|e| e.to_string())?;
    refused(&mut import()?, &["encoder.onnx", "beyond the end of `encoder.onnx.data`"])?;
    if path("bundle").exists() {
        return Err("a refused import has left a bundle".into());
    }
    std::fs::write(path("encoder.onnx.data"), whole).map_err(|e| e.to_string())?;
    expect(&mut import()?, 0)?;
    Ok(())
}

fn nothing_is_overwritten(_: PathBuf) -> Result<(), String> {
    let folder = temporary()?;
    let bundle = folder.path().join("bundle");
    std::fs::create_dir(&bundle).map_err(|e| e.to_string())?;
    std::fs::write(bundle.join("mine.txt"), "mine").map_err(|e| e.to_string())?;
    refused(&mut import_of("draws", folder.path())?, &["exists"])?;
    refused(import_of("draws", folder.path())?.arg("--force"), &["exists"])?;
    std::fs::remove_file(bundle.join("mine.txt")).map_err(|e| e.to_string())?;
    std::fs::remove_dir(&bundle).map_err(|e| e.to_string())?;
    expect(&mut import_of("draws", folder.path())?, 0)?;
    refused(&mut import_of("draws", folder.path())?, &["exists"])?;
    let read = || std::fs::read(bundle.join("encoder.onnx")).map_err(|e| e.to_string());
    let first = read()?;
    expect(import_of("draws", folder.path())?.arg("--force"), 0)?;
    if first == read()? { Ok(()) } else { Err("a second import differs".into()) }
}

/// Checks that a refusal has left nothing behind, not even under a hidden name.
fn nothing_in(folder: &Path) -> Result<(), String> {
    let mut entries = std::fs::read_dir(folder).map_err(|e| e.to_string())?;
    match entries.next() {
        None => Ok(()),
        Some(entry) => Err(format!("{entry:?} is left")),
    }
}
