//! Where ONNX Runtime's shared library is.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ort::environment::EnvironmentBuilder;

use super::environment;
use crate::Error;
use crate::engine::EngineOptions;

/// The environment variable that names the library.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// The library that would be used, and what it says about itself.
///
/// # Errors
///
/// [`Error::Engine`] where there is no usable library.
pub fn version(options: &EngineOptions) -> Result<String, Error> {
    let (path, _) = environment(options)?;
    Ok(format!("{} ({})", path.display(), build(ort::info())))
}

/// What tells a build from others in the library's words about itself.
fn build(info: &str) -> &str {
    info.split(", ").find(|part| part.starts_with("git-commit-id=")).unwrap_or(info)
}

/// Loads the library and gives its path and the builder of its environment.
pub(super) fn load(named: Option<&Path>) -> Result<(PathBuf, EnvironmentBuilder), String> {
    let path = wanted(named)?;
    let system = path.parent() == Some(Path::new(""));
    match ort::init_from(&path) {
        Ok(builder) => Ok((path, builder)),
        Err(_) if system => Err(format!(
            "its library is not found at --ort-lib, {VARIABLE}, beside the program or among the \
             system's libraries (hint: pip install onnxruntime, then --ort-lib …/onnxruntime/capi)"
        )),
        Err(error) => Err(error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

/// The library to load: a file, or a bare name that the system looks up.
fn wanted(named: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = named {
        return resolve(path);
    }
    match std::env::var_os(VARIABLE) {
        Some(path) => resolve(Path::new(&path)).map_err(|reason| format!("{VARIABLE}: {reason}")),
        None => Ok(beside_program().unwrap_or_else(|| file_name().into())),
    }
}

/// The absolute path of a library that was named, itself or by its folder.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, String> {
    if path == Path::new("") {
        return Err("the path to its library is empty".into());
    }
    let absolute =
        path.canonicalize().map_err(|e| format!("its library `{}`: {e}", path.display()))?;
    if !absolute.is_dir() {
        return Ok(absolute);
    }
    search(&absolute).ok_or_else(|| {
        format!("the folder `{}` holds no {}", path.display(), Path::new(&file_name()).display())
    })
}

fn beside_program() -> Option<PathBuf> {
    search(std::env::current_exe().ok()?.parent()?)
}

/// The library in a folder: under its plain name, or else the last of the versioned ones.
fn search(folder: &Path) -> Option<PathBuf> {
    let plain = folder.join(file_name());
    if plain.is_file() {
        return Some(plain);
    }
    let stem = format!("{DLL_PREFIX}onnxruntime.");
    let is_library = |name: &str| name.starts_with(&stem) && name.contains(DLL_SUFFIX);
    let entries = std::fs::read_dir(folder).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let last = names.filter(|name| is_library(name)).max_by_key(|name| numbers(name))?;
    Some(folder.join(last))
}

/// The numbers in a file name, so that 1.10 comes after 1.9.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn file_name() -> OsString {
    format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_told_by_its_commit() {
        let info = "ORT Build Info: git-branch=HEAD, git-commit-id=6af1a93, build type=Release";
        assert_eq!(build(info), "git-commit-id=6af1a93");
        assert_eq!(build("another form"), "another form");
    }
}
