//! A bundle: two ONNX graphs, golden vectors and the manifest that describes them.

mod archive;
mod files;
mod mark;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ndarray::ArrayD;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::anomaly::Statistics;
use crate::manifest::{FileSpec, Manifest};
use crate::{Error, images};
use archive::Archive;
use files::Files;

/// A bundle whose files were held against its manifest.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// What it is and how to feed it.
    pub manifest: Manifest,
    source: PathBuf,
    json: Bytes,
    encoder: Bytes,
    decoder: Bytes,
    golden: Bytes,
    /// Empty where the manifest names none.
    statistics: Bytes,
}

/// The name of the manifest inside a bundle.
pub const MANIFEST: &str = "manifest.json";

/// The most bytes of a manifest: one with a class for every word of a language has fewer.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

impl Bundle {
    /// Opens the bundle that is a folder, or a single file that [`Bundle::pack`] made, and checks
    /// every file's size and hash.
    ///
    /// A packed bundle is known by its content, whatever its name.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] where the folder or a file is missing, [`Error::Bundle`] where a file is
    /// not the one that the manifest describes, or an archive is not one of a bundle.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::read(Files::at(path)?, path.into())
    }

    /// The bundle that [`Bundle::append_to`] put behind the program that is running, if any.
    ///
    /// # Errors
    ///
    /// As [`Bundle::open`].
    pub fn of_program() -> Result<Option<Self>, Error> {
        let program = std::env::current_exe().map_err(Error::read("this program"))?;
        let Some(archive) = Archive::open(&program)? else {
            let reason = "the model that was put into it is not whole (hint: copy it again)".into();
            return if mark::set() {
                Err(Error::Bundle { path: program, reason })
            } else {
                Ok(None)
            };
        };
        let mut source = program.into_os_string();
        source.push(" (inside this program)");
        Self::read(Files::Archive(archive), source.into()).map(Some)
    }

    fn read(mut files: Files, source: PathBuf) -> Result<Self, Error> {
        let wrong = |reason| Error::Bundle { path: source.clone(), reason };
        if !files.hold(MANIFEST) && files.hold("run.json") {
            let reason =
                "it is a run, from which `vae-train export` makes a bundle (hint: export it)";
            return Err(wrong(reason.into()));
        }
        if !files.hold(MANIFEST) {
            return Err(wrong(format!("it is no bundle: it holds no {MANIFEST}")));
        }
        let json = files.read(MANIFEST, MAX_MANIFEST_BYTES)?;
        let manifest = Manifest::from_json(&json).map_err(wrong)?;
        let names = names(&manifest);
        plain(&names).map_err(wrong)?;
        files.hold_only(&names).map_err(wrong)?;
        let mut file = |spec: &FileSpec| -> Result<Bytes, Error> {
            let another_size = |got| {
                let FileSpec { file, bytes, .. } = spec;
                wrong(format!("{file} has {got} bytes, its manifest says {bytes}"))
            };
            let bytes = match files.read(&spec.file, spec.bytes) {
                Err(Error::TooLarge { bytes, .. }) => return Err(another_size(bytes)),
                bytes => bytes?,
            };
            if bytes.len() as u64 != spec.bytes {
                return Err(another_size(bytes.len() as u64));
            }
            if sha256(&bytes) != spec.sha256 {
                return Err(wrong(format!(
                    "{} is not the file that its manifest describes (SHA-256 differs)",
                    spec.file
                )));
            }
            Ok(bytes.into())
        };
        Ok(Self {
            encoder: file(&manifest.encoder.file)?,
            decoder: file(&manifest.decoder.file)?,
            golden: file(&manifest.golden)?,
            statistics: match &manifest.anomaly {
                Some(anomaly) => file(&anomaly.statistics)?,
                None => Bytes::new(),
            },
            json: json.into(),
            source,
            manifest,
        })
    }

    /// Its files by name, byte for byte as they were opened; the manifest is the first.
    pub fn files(&self) -> Vec<(&str, &[u8])> {
        let contents = [&self.json, &self.encoder, &self.decoder, &self.golden, &self.statistics];
        names(&self.manifest).into_iter().zip(contents.map(|content| &**content)).collect()
    }

    /// The bundle as one file: an uncompressed ZIP archive whose members begin at multiples of 64
    /// bytes. One bundle gives the same bytes, always.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where its files take more than 4 GiB.
    pub fn pack(&self) -> Result<Vec<u8>, Error> {
        archive::write(self, Vec::new())
    }

    /// A program's content with the bundle behind it, in the place of one that is there already.
    /// The program still runs, and the whole is still a ZIP archive.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], [`Error::Bundle`] for a program that ends with another kind of archive,
    /// [`Error::Unsupported`] where both take more than 4 GiB.
    pub fn append_to(&self, program: &Path) -> Result<Vec<u8>, Error> {
        let mut content = images::read_file(program)?;
        if let Some(archive) = Archive::open(program)? {
            content.truncate(archive.start()?);
        }
        mark::mark(&mut content);
        archive::write(self, content)
    }

    /// Whether a folder holds a bundle and nothing else, so that replacing it loses nothing else.
    pub fn fills(folder: &Path) -> bool {
        let json = std::fs::read(folder.join(MANIFEST));
        let Ok(Ok(manifest)) = json.map(|json| Manifest::from_json(&json)) else { return false };
        let names = names(&manifest);
        let ours = |entry: OsString| names.iter().any(|name| entry == *name);
        std::fs::read_dir(folder).is_ok_and(|mut entries| {
            entries.all(|entry| entry.is_ok_and(|entry| ours(entry.file_name())))
        })
    }

    /// The bundle `digits` that is part of the program: a convolutional VAE of handwritten digits.
    #[cfg(feature = "embedded")]
    pub fn embedded() -> Self {
        let json = include_bytes!("../assets/digits/manifest.json");
        Self {
            manifest: Manifest::from_json(json).expect("the embedded manifest is tested"),
            source: "digits (embedded)".into(),
            json: Bytes::from_static(json),
            encoder: Bytes::from_static(include_bytes!("../assets/digits/encoder.onnx")),
            decoder: Bytes::from_static(include_bytes!("../assets/digits/decoder.onnx")),
            golden: Bytes::from_static(include_bytes!("../assets/digits/golden.safetensors")),
            statistics: Bytes::new(),
        }
    }

    /// The folder or file that the bundle was opened from, or a name for one inside the program.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// SHA-256 of its manifest, which holds those of all its files.
    pub fn id(&self) -> String {
        sha256(&self.json)
    }

    /// The manifest as it was opened.
    pub(crate) fn json(&self) -> &[u8] {
        &self.json
    }

    /// The encoder's ONNX file.
    pub fn encoder(&self) -> &Bytes {
        &self.encoder
    }

    /// The decoder's ONNX file.
    pub fn decoder(&self) -> &Bytes {
        &self.decoder
    }

    /// What the bundle knows of its training images; empty where its manifest names no file of it.
    ///
    /// # Errors
    ///
    /// [`Error::Bundle`] where the file cannot be understood.
    pub fn statistics(&self) -> Result<Statistics, Error> {
        if self.manifest.anomaly.is_none() {
            return Ok(Statistics::default());
        }
        Statistics::from_bytes(&self.statistics).map_err(|e| Error::Bundle {
            path: self.source.clone(),
            reason: format!("its statistics cannot be read: {e}"),
        })
    }

    /// The recorded tensors by name: `image`, every output of the encoder, `latent`, and
    /// `reconstruction` of that latent.
    ///
    /// # Errors
    ///
    /// [`Error::Bundle`] where the file is not made of `f32` tensors.
    pub fn golden(&self) -> Result<BTreeMap<String, ArrayD<f32>>, Error> {
        let wrong = |reason: String| Error::Bundle { path: self.source.clone(), reason };
        let tensors = SafeTensors::deserialize(&self.golden)
            .map_err(|e| wrong(format!("its golden vectors cannot be read: {e}")))?;
        tensors
            .iter()
            .map(|(name, view)| {
                if view.dtype() != Dtype::F32 {
                    return Err(wrong(format!("its golden vector `{name}` is not f32")));
                }
                let (values, _) = view.data().as_chunks::<4>();
                let values = values.iter().map(|&b| f32::from_le_bytes(b)).collect();
                let array = ArrayD::from_shape_vec(view.shape(), values)
                    .map_err(|e| wrong(format!("its golden vector `{name}` has no shape: {e}")))?;
                Ok((name.to_owned(), array))
            })
            .collect()
    }
}

/// The names of a bundle's files; the last is that of its statistics, where it has any.
fn names(manifest: &Manifest) -> Vec<&str> {
    let Manifest { encoder, decoder, golden, anomaly, .. } = manifest;
    let mut names = vec![MANIFEST, &encoder.file.file, &decoder.file.file, &golden.file];
    names.extend(anomaly.as_ref().map(|anomaly| anomaly.statistics.file.as_str()));
    names
}

/// Refuses names that are paths, or that stand for two files.
fn plain(names: &[&str]) -> Result<(), String> {
    for (i, name) in names.iter().enumerate() {
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(format!("`{name}` is not a plain file name"));
        }
        if names[..i].contains(name) {
            return Err(format!("its manifest names `{name}` for two files"));
        }
    }
    Ok(())
}

/// SHA-256 of a content, in lower-case hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect()
}
