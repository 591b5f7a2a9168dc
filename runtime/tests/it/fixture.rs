//! What the tests start from: a bundle on disk, images, and the command.

use std::ffi::OsStr;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use ndarray::ArrayD;
use prost::Message;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tempfile::TempDir;
use tract_onnx::pb::{GraphProto, ModelProto};
use vae_infer::sha256;

use crate::onnx::node;

/// The folder of the embedded bundle.
pub(crate) fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits")
}

/// A copy of the embedded bundle that a test may damage.
pub(crate) struct Copy(pub(crate) TempDir);

impl Copy {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in ["manifest.json", "encoder.onnx", "decoder.onnx", "golden.safetensors"] {
            fs::copy(digits().join(file), folder.path().join(file)).unwrap();
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// With an encoder that has an operator which the native engine lacks, on what it leaves as it is.
    pub(crate) fn mixed() -> Self {
        Self::new().with_graph("encoder", |graph| {
            for input in graph.node.iter_mut().flat_map(|node| &mut node.input) {
                if input == "image" {
                    *input = "positive".into();
                }
            }
            graph.node.insert(0, node("Celu", &["image"], "positive"));
        })
    }

    /// Replaces one of the graphs and describes it truly in the manifest.
    pub(crate) fn with_file(self, graph: &str, content: &[u8]) -> Self {
        fs::write(self.file(&format!("{graph}.onnx")), content).unwrap();
        self.with_manifest(|manifest| {
            manifest[graph]["bytes"] = content.len().into();
            manifest[graph]["sha256"] = sha256(content).into();
        })
    }

    /// Replaces the golden vectors and describes them truly in the manifest.
    pub(crate) fn with_golden(self, tensors: &[(&str, ArrayD<f32>)]) -> Self {
        let bytes: Vec<Vec<u8>> =
            tensors.iter().map(|(_, t)| t.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
        let views = tensors.iter().zip(&bytes).map(|((name, tensor), bytes)| {
            (*name, TensorView::new(Dtype::F32, tensor.shape().to_vec(), bytes).unwrap())
        });
        let golden = safetensors::serialize(views, None).unwrap();
        fs::write(self.file("golden.safetensors"), &golden).unwrap();
        self.with_manifest(|manifest| {
            manifest["golden"]["bytes"] = golden.len().into();
            manifest["golden"]["sha256"] = sha256(&golden).into();
        })
    }

    pub(crate) fn with_model(self, graph: &str, edit: impl FnOnce(&mut ModelProto)) -> Self {
        let bytes = fs::read(self.file(&format!("{graph}.onnx"))).unwrap();
        let mut model = ModelProto::decode(bytes.as_slice()).unwrap();
        edit(&mut model);
        self.with_file(graph, &model.encode_to_vec())
    }

    pub(crate) fn with_graph(self, graph: &str, edit: impl FnOnce(&mut GraphProto)) -> Self {
        self.with_model(graph, |model| edit(model.graph.as_mut().unwrap()))
    }

    pub(crate) fn with_manifest(self, edit: impl FnOnce(&mut serde_json::Value)) -> Self {
        let path = self.file("manifest.json");
        let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut manifest);
        fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
        self
    }
}

/// A ring, different for every `k`.
pub(crate) fn ring(k: u32) -> GrayImage {
    GrayImage::from_fn(28, 28, |x, y| {
        let (dx, dy) = (f64::from(x) - 13.5, f64::from(y) - 13.5);
        let distance = (dx.hypot(dy) - 5.0 - f64::from(k)).abs();
        Luma([(255.0 * (1.6 - distance / 1.2).clamp(0.0, 1.0)) as u8])
    })
}

pub(crate) fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Writes rings as PNG files and gives their paths.
pub(crate) fn rings(folder: &Path, count: u32) -> Vec<PathBuf> {
    (0..count)
        .map(|k| {
            let path = folder.join(format!("ring{k}.png"));
            fs::write(&path, encoded(&ring(k).into(), ImageFormat::Png)).unwrap();
            path
        })
        .collect()
}

/// The command with arguments, not yet run.
pub(crate) fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vae-infer"));
    command.args(arguments).stdin(Stdio::null()).env_remove("ORT_DYLIB_PATH");
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Runs the command.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    command(arguments).output().unwrap()
}

/// Runs the command, which must succeed and say nothing on standard error.
pub(crate) fn succeed<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{:?}: {stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Sends a signal, as `kill` names it, to a command that runs.
pub(crate) fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    // A stop takes effect a moment after it is sent.
    let status = format!("/proc/{}/status", child.id());
    while name == "STOP"
        && fs::read_to_string(&status).is_ok_and(|status| !status.contains("State:\tT"))
    {
        std::thread::yield_now();
    }
}

/// Why an output is not the refusal that it should be: exit code 2, nothing on standard output,
/// and one line on standard error with these words in it.
pub(crate) fn not_refused(output: &Output, words: &[&str]) -> Option<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let wrong = |reason: String| Some(format!("{reason}: {stderr:?}"));
    if output.status.code() != Some(2) {
        return wrong(format!("{:?}", output.status));
    }
    if stderr.lines().count() != 1 || !stderr.starts_with("error: ") || stderr.contains("panicked")
    {
        return wrong("not one line with an error".into());
    }
    if !output.stdout.is_empty() {
        return wrong("something on standard output".into());
    }
    match words.iter().find(|word| !stderr.contains(**word)) {
        Some(word) => wrong(format!("no word of {word:?}")),
        None => None,
    }
}

/// Reports every case that went wrong.
pub(crate) fn all_well(failures: Vec<String>) {
    assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n"));
}
