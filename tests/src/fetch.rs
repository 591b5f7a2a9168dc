//! What comes from PyPI: ONNX Runtime, OpenVINO and ONNX's own checker and evaluator. It is fetched
//! once into the target folder; where there is no Python, no pip or no network, the tests that
//! need it are counted as ignored.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::programs::target;

/// ONNX Runtime's shared library, or why it is not here.
pub fn onnx_runtime() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let libraries = python_onnx_runtime()?.join("onnxruntime").join("capi");
            let entries = std::fs::read_dir(&libraries)
                .map_err(|e| format!("{}: {e}", libraries.display()))?;
            entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .find(|path| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    name.starts_with("libonnxruntime.") || name == "onnxruntime.dll"
                })
                .ok_or_else(|| format!("{} holds no library", libraries.display()))
        })
        .clone()
}

/// A folder for `PYTHONPATH` that holds the package `onnx`, or why it is not here.
pub fn python_onnx() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(|| install("onnx-1.23.2", &["onnx==1.23.2"])).clone()
}

/// A value for `PYTHONPATH` that holds the packages `onnx`, `onnxruntime` and `openvino`, or why
/// they are not here.
pub fn strangers() -> Result<PathBuf, String> {
    // Without what it depends on: NumPy comes with `onnx`, and its telemetry stays out.
    let openvino = install("openvino-2026.4.1", &["--no-deps", "openvino==2026.4.1"])?;
    let folders = [python_onnx()?, python_onnx_runtime()?, openvino];
    std::env::join_paths(folders).map(PathBuf::from).map_err(|e| e.to_string())
}

fn python_onnx_runtime() -> Result<PathBuf, String> {
    install("onnxruntime-1.31.1", &["--no-deps", "onnxruntime==1.31.1"])
}

/// Python's name, or why it is not here.
pub fn python() -> Result<PathBuf, String> {
    let version = Command::new(PYTHON).arg("--version").output();
    version.map(|_| PYTHON.into()).map_err(|e| format!("{PYTHON} cannot be started: {e}"))
}

/// Python's name on this machine.
pub const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };

/// Installs packages into a folder of the target folder, unless they are there.
fn install(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let folder = target().join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    let partial = target().join(format!("{name}.partial"));
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(|e| format!("{}: {e}", partial.display()))?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"];
    let output = Command::new(PYTHON)
        .args(pip)
        .arg(&partial)
        .args(packages)
        .output()
        .map_err(|e| format!("{PYTHON} cannot be started: {e}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("pip cannot install {packages:?}: {reason}"));
    }
    std::fs::rename(&partial, &folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}
