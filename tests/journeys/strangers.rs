//! Our bundles on engines that are not ours: `onnx.checker`, `onnx.reference`, Python's ONNX Runtime
//! and OpenVINO reproduce the golden vectors of every precision.

use std::path::{Path, PathBuf};
use std::process::Command;

use safetensors::SafeTensors;
use tempfile::TempDir;
use vae_infer::Bundle;
use vae_tests::fetch::{PYTHON, onnx_runtime};
use vae_tests::programs::{expect, program, root};

use crate::export::{EVERY_BLOCK, EYES, train};
use crate::import::import_of;
use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("strangers::agree_on_the_embedded_model", Needs::Strangers, |packages| {
        agree(&[embedded()], &packages)
    }),
    ("strangers::agree_on_mnist_mlp", Needs::Strangers, |packages| {
        agree_on("mnist-mlp", &[], &PRECISIONS, &packages)
    }),
    ("strangers::agree_on_mnist_conv", Needs::Strangers, |packages| {
        agree_on("mnist-conv", &[], &PRECISIONS, &packages)
    }),
    ("strangers::agree_on_patterns", Needs::Strangers, |packages| {
        // Images of 4x4 pixels to calibrate on are nowhere but in the trainer.
        agree_on("patterns", &[], &["f32", "f16", "f16-gpu"], &packages)
    }),
    ("strangers::agree_on_eyes_vae", Needs::Strangers, |packages| {
        agree_on("eyes-vae", EYES, &PRECISIONS, &packages)
    }),
    ("strangers::agree_on_a_spatial_code", Needs::Strangers, |packages| {
        agree_on("eyes-spatial", EYES, &["f32", "int8"], &packages)
    }),
    ("strangers::agree_on_every_block", Needs::Strangers, every_block),
    ("strangers::agree_on_imports", Needs::Strangers, imports),
    ("strangers::disagree_aloud", Needs::Strangers, disagree_aloud),
];

const PRECISIONS: [&str; 4] = ["f32", "f16", "f16-gpu", "int8"];
/// The engines of `strangers.py`, by the names that it prints.
const ENGINES: [&str; 3] = ["onnx.reference", "onnxruntime", "openvino"];

/// The bundle that is compiled into `vae-infer`.
fn embedded() -> PathBuf {
    root().join("runtime").join("assets").join("digits")
}

/// `strangers.py` on bundles.
fn strangers(bundles: &[PathBuf], packages: &Path) -> Command {
    let mut python = Command::new(PYTHON);
    python.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
    python.arg(root().join("tests").join("python").join("strangers.py")).args(bundles);
    python
}

/// Replays bundles, and sees every output of theirs compared on every engine.
fn agree(bundles: &[PathBuf], packages: &Path) -> Result<(), String> {
    let output = expect(&mut strangers(bundles, packages), 0)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    eprint!("{text}");
    for path in bundles {
        let manifest = Bundle::open(path).map_err(|e| e.to_string())?.manifest;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for output in manifest.encoder.outputs.iter().chain(&manifest.decoder.outputs) {
            for engine in ENGINES {
                let start = format!("{name}: {engine}: {}: ", output.name);
                if !text.lines().any(|line| line.starts_with(&start)) {
                    return Err(format!("`{start}` is missing from\n{text}"));
                }
            }
        }
    }
    Ok(())
}

/// Replays one short training in several precisions.
fn agree_on(
    config: &str,
    settings: &[&str],
    precisions: &[&str],
    packages: &Path,
) -> Result<(), String> {
    let folder = train(config, settings)?;
    let ort = onnx_runtime()?;
    let name = Path::new(config).file_stem().unwrap_or_default().to_string_lossy();
    let export = |precision: &&str| {
        let bundle = folder.path().join(format!("{name}-{precision}"));
        let mut export = program("vae-train")?;
        export.arg("export").arg(folder.path().join("run")).arg("-o").arg(&bundle);
        export.args(["--precision", precision, "--ort-lib"]).arg(&ort);
        if *precision == "int8" {
            export.args(["--allow-slower", "--calibrate"]).arg(folder.path().join("data"));
        }
        expect(&mut export, 0).map(|_| bundle)
    };
    let bundles = precisions.iter().map(export).collect::<Result<Vec<_>, String>>()?;
    agree(&bundles, packages)
}

fn every_block(packages: PathBuf) -> Result<(), String> {
    let config = TempDir::new().map_err(|e| e.to_string())?;
    let path = config.path().join("every-block.toml");
    std::fs::write(&path, EVERY_BLOCK).map_err(|e| e.to_string())?;
    agree_on(&path.to_string_lossy(), &[], &PRECISIONS, &packages)
}

/// What other programs have exported, by the classic exporter of PyTorch, by its new one and by
/// tf2onnx.
fn imports(packages: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let models: [(&str, &[&str]); 6] = [
        ("mlp", &["--image", "12x12x1"]),
        ("conv", &["--range", "-1", "1"]),
        ("last", &["--logits"]),
        ("unet", &[]),
        ("draws", &[]),
        ("keras", &["--logits"]),
    ];
    let import = |(model, options): &(&str, &[&str])| {
        let out = folder.path().join(model);
        std::fs::create_dir(&out).map_err(|e| e.to_string())?;
        expect(import_of(model, &out)?.args(*options), 0)?;
        let bundle = out.join(format!("{model}-bundle"));
        std::fs::rename(out.join("bundle"), &bundle).map_err(|e| e.to_string())?;
        Ok(bundle)
    };
    let bundles = models.iter().map(import).collect::<Result<Vec<_>, String>>()?;
    agree(&bundles, &packages)
}

/// The last recorded pixel is another one: every engine says so, of this output alone.
fn disagree_aloud(packages: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    for file in ["encoder.onnx", "decoder.onnx", "golden.safetensors", "manifest.json"] {
        let path = folder.path().join(file);
        std::fs::copy(embedded().join(file), path).map_err(|e| e.to_string())?;
    }
    let golden = folder.path().join("golden.safetensors");
    let mut content = std::fs::read(&golden).map_err(|e| e.to_string())?;
    let (header, tensors) = SafeTensors::read_metadata(&content).map_err(|e| e.to_string())?;
    let reconstruction = tensors.info("reconstruction").ok_or("no reconstruction is recorded")?;
    let pixel = size_of::<u64>() + header + reconstruction.data_offsets.1 - size_of::<f32>();
    content[pixel..pixel + 4].copy_from_slice(&0.5_f32.to_le_bytes());
    std::fs::write(&golden, content).map_err(|e| e.to_string())?;

    let output = expect(&mut strangers(&[folder.path().into()], &packages), 1)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let named = |engine: &str| text.contains(&format!("{engine}: reconstruction: "));
    match ENGINES.into_iter().all(named) && !text.contains("mean") {
        true => Ok(()),
        false => Err(format!("a changed record is not named:\n{text}")),
    }
}
