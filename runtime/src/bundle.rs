//! A bundle: two ONNX graphs, golden vectors and the manifest that describes them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::manifest::{FileSpec, Manifest};
use crate::{Error, images};

/// A bundle whose files were held against its manifest.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// What it is and how to feed it.
    pub manifest: Manifest,
    source: PathBuf,
    encoder: Cow<'static, [u8]>,
    decoder: Cow<'static, [u8]>,
    golden: Cow<'static, [u8]>,
}

/// The name of the manifest inside a bundle.
pub const MANIFEST: &str = "manifest.json";

impl Bundle {
    /// Opens the bundle in a folder and checks every file's size and hash.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] where the folder or a file is missing, [`Error::Bundle`] where a file is
    /// not the one that the manifest describes.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let wrong = |reason| Error::Bundle { path: folder.into(), reason };
        if !std::fs::metadata(folder).map_err(Error::read(folder))?.is_dir() {
            return Err(wrong("it is not a folder".into()));
        }
        let manifest = folder.join(MANIFEST);
        if !manifest.exists() {
            return Err(wrong(format!("it is no bundle: it holds no {MANIFEST}")));
        }
        let json = images::read_file(&manifest)?;
        let manifest = Manifest::from_json(&json).map_err(wrong)?;
        let file = |spec: &FileSpec| -> Result<Cow<'static, [u8]>, Error> {
            if Path::new(&spec.file).file_name() != Some(spec.file.as_ref()) {
                return Err(wrong(format!("`{}` is not a plain file name", spec.file)));
            }
            let another_size = |got| {
                let FileSpec { file, bytes, .. } = spec;
                wrong(format!("{file} has {got} bytes, its manifest says {bytes}"))
            };
            let bytes = match images::read_at_most(&folder.join(&spec.file), spec.bytes) {
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
            source: folder.into(),
            manifest,
        })
    }

    /// Whether a folder holds a bundle and nothing else, so that replacing it loses nothing else.
    pub fn fills(folder: &Path) -> bool {
        let json = std::fs::read(folder.join(MANIFEST));
        let Ok(Ok(manifest)) = json.map(|json| Manifest::from_json(&json)) else { return false };
        let Manifest { encoder, decoder, golden, .. } = &manifest;
        let files = [MANIFEST, &encoder.file.file, &decoder.file.file, &golden.file];
        let ours = |name: OsString| files.iter().any(|file| name == *file);
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
            encoder: Cow::Borrowed(include_bytes!("../assets/digits/encoder.onnx")),
            decoder: Cow::Borrowed(include_bytes!("../assets/digits/decoder.onnx")),
            golden: Cow::Borrowed(include_bytes!("../assets/digits/golden.safetensors")),
        }
    }

    /// The folder that the bundle was opened from, or a name for the embedded one.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The encoder's ONNX file.
    pub fn encoder(&self) -> &[u8] {
        &self.encoder
    }

    /// The decoder's ONNX file.
    pub fn decoder(&self) -> &[u8] {
        &self.decoder
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

/// SHA-256 of a content, in lower-case hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect()
}
