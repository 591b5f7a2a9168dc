//! An ONNX file that someone else has made.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use prost::Message;
use tract_onnx::pb::{GraphProto, ModelProto};
use vae_infer::manifest::MAX_FILE_BYTES;
use vae_infer::{images, sha256};

use super::external;
use super::port::Port;
use crate::error::Error;

/// A foreign graph with its weights.
pub(crate) struct Source {
    /// `encoder` or `decoder`.
    pub(crate) role: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) graph: GraphProto,
    /// The rest of the file.
    pub(crate) model: ModelProto,
    /// SHA-256 of the file and of those that hold its weights, by what they are.
    pub(crate) hashes: BTreeMap<String, String>,
}

impl Source {
    /// Reads a file, and its weights from files beside it.
    ///
    /// # Errors
    ///
    /// Those of reading, and [`Error::Import`] for what is no ONNX graph.
    pub(crate) fn read(role: &'static str, path: &Path) -> Result<Self, Error> {
        let bytes = images::read_at_most(path, MAX_FILE_BYTES)?;
        let wrong = |reason: String| Error::Import { path: path.into(), reason };
        let mut model = decode(&bytes).map_err(wrong)?;
        let graph = model.graph.take();
        let mut graph = graph.ok_or_else(|| wrong("it is an ONNX file without a graph".into()))?;
        let mut hashes = BTreeMap::from([(role.to_owned(), sha256(&bytes))]);
        for (file, hash) in external::inline(path, &mut graph).map_err(wrong)? {
            hashes.insert(format!("{role}/{file}"), hash);
        }
        Ok(Self { role, path: path.into(), graph, model, hashes })
    }

    /// The refusal of this file.
    pub(crate) fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Import { path: self.path.clone(), reason: reason.into() }
    }

    /// Turns an engine's refusal of this graph into one that names the file.
    pub(crate) fn blame(&self, error: vae_infer::Error) -> Error {
        match error {
            vae_infer::Error::Graph { reason, .. } => self.wrong(reason),
            other => other.into(),
        }
    }

    /// What it takes, without the weights that some exporters list among the inputs.
    pub(crate) fn inputs(&self) -> Vec<Port> {
        let stored = |name: &str| self.graph.initializer.iter().any(|tensor| tensor.name == name);
        self.graph.input.iter().filter(|value| !stored(&value.name)).map(Port::of).collect()
    }

    /// What it gives.
    pub(crate) fn outputs(&self) -> Vec<Port> {
        self.graph.output.iter().map(Port::of).collect()
    }

    /// The program that wrote it, and its version.
    pub(crate) fn producer(&self) -> (String, String) {
        let or = |text: &str, other: &str| if text.is_empty() { other } else { text }.to_owned();
        let ModelProto { producer_name, producer_version, .. } = &self.model;
        (or(producer_name, "unnamed exporter"), or(producer_version, "unknown"))
    }

    /// The file's name, for people.
    pub(crate) fn file(&self) -> String {
        self.path.file_name().unwrap_or(OsStr::new("-")).to_string_lossy().into_owned()
    }
}

fn decode(bytes: &[u8]) -> Result<ModelProto, String> {
    if bytes.starts_with(b"PK") || bytes.starts_with(b"\x89HDF") {
        return Err("it is not an ONNX file (hint: a PyTorch or Keras model is exported to ONNX \
                    first, docs/import.md shows how)"
            .into());
    }
    ModelProto::decode(bytes).map_err(|e| format!("it is not an ONNX file: {e}"))
}
