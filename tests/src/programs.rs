//! The two programs, as a user runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The root of the workspace.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map_or_else(|| manifest.into(), Into::into)
}

/// The folder that the tests keep what they fetch in.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A program of this workspace, which `cargo test --workspace` has built beside the tests.
///
/// # Errors
///
/// Where it has not been built.
pub fn program(name: &str) -> Result<Command, String> {
    let tests = std::env::current_exe().map_err(|e| e.to_string())?;
    let folder = tests.parent().and_then(Path::parent).ok_or("the tests have no folder")?;
    let path = folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    if !path.is_file() {
        return Err(format!("{} is missing: run `cargo test --workspace`", path.display()));
    }
    let mut command = Command::new(path);
    command.env_remove("ORT_DYLIB_PATH").env("RUST_BACKTRACE", "1");
    command.env("XDG_CACHE_HOME", target().join("tmp"));
    Ok(command)
}

/// Runs a program and expects an exit code.
///
/// # Errors
///
/// What it printed, where it ended otherwise.
pub fn expect(command: &mut Command, code: i32) -> Result<Output, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.code() == Some(code) {
        return Ok(output);
    }
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{command:?} ended with {}, not with {code}\n{out}\n{err}", output.status))
}

/// Runs a program on arguments and expects success.
///
/// # Errors
///
/// As [`expect`].
pub fn run(name: &str, arguments: &[&str]) -> Result<Output, String> {
    expect(program(name)?.args(arguments), 0)
}

/// Runs a program on arguments that it must refuse with exit code 2, one line on stderr, every
/// given word, and no panic.
///
/// # Errors
///
/// What it did instead.
pub fn refused(command: &mut Command, words: &[&str]) -> Result<(), String> {
    fails(command, words, |err| err.starts_with("error: ") && err.lines().count() == 1)
}

/// As [`refused`], of a program that has said what it does before it meets what is wrong.
///
/// # Errors
///
/// What it did instead.
pub fn broken_off(command: &mut Command, words: &[&str]) -> Result<(), String> {
    fails(command, words, |err| {
        let mut lines = err.lines().skip_while(|line| !line.starts_with("error: "));
        lines.next().is_some() && lines.next().is_none()
    })
}

fn fails(
    command: &mut Command,
    words: &[&str],
    is_one_line: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let output = expect(command, 2)?;
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let missing = words.iter().find(|word| !err.contains(**word));
    if !is_one_line(&err) || err.contains("panicked") || missing.is_some() {
        return Err(format!("{command:?} should name {words:?} in one line, and says\n{err}"));
    }
    Ok(())
}
