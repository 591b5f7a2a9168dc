//! The program with a model inside: one file that runs alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use vae_infer::Bundle;
use vae_tests::fetch::PYTHON;
use vae_tests::programs::{expect, program, root};

use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("bundled::runs_alone_in_an_empty_folder", Needs::Nothing, runs_alone),
    ("bundled::another_model_takes_the_place_of_the_first", Needs::Nothing, replaces),
    ("bundled::is_an_archive_to_others", Needs::Python, is_an_archive),
];

/// A bundle that is not the embedded one: it has another name.
fn another(folder: &Path) -> Result<PathBuf, String> {
    let path = folder.join("another");
    let mut unpack = program("vae-infer")?;
    expect(unpack.args(["unpack", "-o"]).arg(&path), 0)?;
    let manifest = path.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).map_err(|e| e.to_string())?;
    let renamed = text.replacen("\"digits\"", "\"another\"", 1);
    std::fs::write(manifest, renamed).map_err(|e| e.to_string())?;
    Ok(path)
}

/// A program that another one, or `vae-infer` itself, makes with a model inside.
fn bundled(maker: Option<&Path>, model: &Path, program_path: &Path) -> Result<u64, String> {
    let mut maker = match maker {
        Some(path) => Command::new(path),
        None => program("vae-infer")?,
    };
    expect(maker.arg("bundle").arg("--model").arg(model).arg("-o").arg(program_path), 0)?;
    std::fs::metadata(program_path).map(|made| made.len()).map_err(|e| e.to_string())
}

/// A program alone: in its own folder, with no environment.
fn alone(program: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let folder = program.parent().ok_or("a program is in a folder")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_clear();
    let output = expect(&mut command, 0)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stderr.is_empty() { Ok(output.stdout) } else { Err(format!("it says {stderr}")) }
}

fn runs_alone(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let model = another(folder.path())?;
    let made = folder.path().join(format!("made{}", std::env::consts::EXE_SUFFIX));
    bundled(None, &model, &made)?;
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).map_err(|e| e.to_string())?;
    let inspector = empty.join(format!("my-inspector{}", std::env::consts::EXE_SUFFIX));
    std::fs::rename(&made, &inspector).map_err(|e| e.to_string())?;

    let image = root().join("docs").join("sample.png");
    let image = image.to_str().ok_or("the path is text")?;
    let reconstruct = ["reconstruct", image, "-o", "-"];
    let got = alone(&inspector, &reconstruct)?;
    let mut from_bundle = program("vae-infer")?;
    let expected = expect(from_bundle.args(reconstruct).arg("--model").arg(&model), 0)?.stdout;
    if got != expected || got.is_empty() {
        return Err("the program with the model inside gives other bytes than the model".into());
    }
    alone(&inspector, &["verify"])?;
    let info = String::from_utf8_lossy(&alone(&inspector, &["info"])?).into_owned();
    let inside = format!("another, from {} (inside this program)", inspector.display());
    if !info.contains(&inside) {
        return Err(format!("no `{inside}` in\n{info}"));
    }
    let opened = Bundle::open(&inspector).map_err(|e| e.to_string())?;
    let files = Bundle::open(&model).map_err(|e| e.to_string())?;
    if opened.files() != files.files() {
        return Err("the program is not the bundle that is in it".into());
    }
    lost_its_end(&inspector)
}

/// A copy that was cut off does not run another model in the place of its own.
fn lost_its_end(inspector: &Path) -> Result<(), String> {
    let half = inspector.with_file_name("half");
    std::fs::copy(inspector, &half).map_err(|e| e.to_string())?;
    let file = std::fs::File::options().write(true).open(&half).map_err(|e| e.to_string())?;
    let size = file.metadata().map_err(|e| e.to_string())?.len();
    file.set_len(size - 1).map_err(|e| e.to_string())?;
    drop(file);
    let failed = expect(Command::new(&half).arg("info").env_clear(), 2)?;
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    if said.contains("not whole") && said.lines().count() == 1 { Ok(()) } else { Err(said) }
}

fn replaces(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let digits = root().join("runtime").join("assets").join("digits");
    let another = another(folder.path())?;
    let path = |name: &str| folder.path().join(name);
    bundled(None, &digits, &path("first"))?;
    let direct = bundled(None, &another, &path("direct"))?;
    let second = bundled(Some(&path("first")), &another, &path("second"))?;
    let read = |name: &str| std::fs::read(path(name)).map_err(|e| e.to_string());
    if direct != second || read("direct")? != read("second")? {
        return Err(format!("{second} bytes by way of another model, {direct} without"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path("second")).map_err(|e| e.to_string())?;
        if mode.permissions().mode() & 0o500 != 0o500 {
            return Err(format!("its mode is {:o}", mode.permissions().mode()));
        }
    }
    alone(&path("second"), &["verify"])?;
    Ok(())
}

/// Python's own reader of archives finds the four files, whole, each at a multiple of 64 bytes.
fn is_an_archive(_: PathBuf) -> Result<(), String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let inspector = folder.path().join("inspector");
    bundled(None, &root().join("runtime").join("assets").join("digits"), &inspector)?;
    let script = "import sys, zipfile, struct\n\
        path = sys.argv[1]\n\
        archive = zipfile.ZipFile(path)\n\
        assert archive.testzip() is None\n\
        for member in archive.infolist():\n\
        \x20   header = open(path, 'rb').read()[member.header_offset:][:30]\n\
        \x20   start = member.header_offset + 30 + sum(struct.unpack('<HH', header[26:]))\n\
        \x20   print(member.filename, member.compress_type, start % 64)\n";
    let mut python = Command::new(PYTHON);
    let listed = expect(python.args(["-c", script]).arg(&inspector), 0)?.stdout;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let names = ["manifest.json", "encoder.onnx", "decoder.onnx", "golden.safetensors"];
    if listed.lines().eq(names.map(|name| format!("{name} 0 0"))) { Ok(()) } else { Err(listed) }
}
