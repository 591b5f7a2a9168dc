//! Weights that an exporter has left in files beside the graph.
//!
//! PyTorch does so unless it is told otherwise. A bundle's graphs hold their own weights, so they
//! are read here, from plain files in the graph's own folder and from nowhere else.

use std::collections::BTreeMap;
use std::path::Path;

use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{GraphProto, TensorProto};
use vae_infer::graph::Element;
use vae_infer::manifest::MAX_FILE_BYTES;
use vae_infer::{images, sha256};

/// The files that were needed.
struct Files<'a> {
    folder: &'a Path,
    /// Their contents, by name.
    contents: BTreeMap<String, Vec<u8>>,
    /// Bytes that may still be read.
    room: u64,
}

/// Puts every weight into the graph, and gives the SHA-256 of each file that was read, by its name.
///
/// # Errors
///
/// One sentence on the tensor whose file is not there or not allowed, or that does not fit into it.
pub(super) fn inline(
    onnx: &Path,
    graph: &mut GraphProto,
) -> Result<BTreeMap<String, String>, String> {
    let folder = onnx.parent().unwrap_or(Path::new(""));
    let mut files = Files { folder, contents: BTreeMap::new(), room: MAX_FILE_BYTES };
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let constants = attributes.filter_map(|attribute| attribute.t.as_mut());
    let mut weights: Vec<_> = graph.initializer.iter_mut().chain(constants).collect();
    weights.retain(|tensor| tensor.data_location == Some(DataLocation::External as i32));
    let wrong = |name: &str, reason| format!("the weights of `{name}` {reason}");
    // Many weights may name one part of a file, and each gets a copy of it.
    let mut total = 0_u64;
    for tensor in &weights {
        let size = size(tensor).map_err(|reason| wrong(&tensor.name, reason))?;
        total = total.saturating_add(size as u64);
    }
    if total > MAX_FILE_BYTES {
        return Err(format!(
            "its weights in other files take {total} bytes, the limit is {MAX_FILE_BYTES}"
        ));
    }
    for tensor in weights {
        let name = tensor.name.clone();
        fill(tensor, &mut files).map_err(|reason| wrong(&name, reason))?;
    }
    Ok(files.contents.into_iter().map(|(name, content)| (name, sha256(&content))).collect())
}

fn fill(tensor: &mut TensorProto, files: &mut Files<'_>) -> Result<(), String> {
    let entry = |key: &str| {
        let mut entries = tensor.external_data.iter().filter(|entry| entry.key == key);
        match (entries.next(), entries.next()) {
            (_, Some(_)) => Err(format!("say twice what their {key} is")),
            (first, None) => Ok(first.map(|entry| entry.value.as_str())),
        }
    };
    let number = |key: &str| match entry(key)?.map(str::parse::<usize>) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(format!("have a {key} that is no number")),
    };
    let name = entry("location")?.ok_or("lie in another file, which is not named")?.to_owned();
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    let size = size(tensor)?;
    if let Some(length) = length.filter(|length| *length != size) {
        return Err(format!(
            "take {length} bytes, where their shape {:?} takes {size}",
            tensor.dims
        ));
    }
    let content = files.content(&name)?;
    let part = offset.checked_add(size).and_then(|end| content.get(offset..end));
    let part = part.ok_or_else(|| format!("reach beyond the end of `{name}`"))?;
    tensor.raw_data = part.to_vec();
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}

/// The bytes that a tensor's shape and element type take.
fn size(tensor: &TensorProto) -> Result<usize, String> {
    let element = Element::of(tensor.data_type);
    let element =
        element.map_err(|_| format!("are of ONNX's element type {}", tensor.data_type))?;
    let size = tensor
        .dims
        .iter()
        .try_fold(element.bytes(), |size, &dim| size.checked_mul(usize::try_from(dim).ok()?));
    size.ok_or_else(|| format!("have the impossible shape {:?}", tensor.dims))
}

impl Files<'_> {
    /// What stands in a file, which is read once.
    fn content(&mut self, name: &str) -> Result<&[u8], String> {
        if !self.contents.contains_key(name) {
            let content = read(self.folder, name, self.room)?;
            self.room -= content.len() as u64;
            self.contents.insert(name.to_owned(), content);
        }
        Ok(&self.contents[name])
    }
}

fn read(folder: &Path, name: &str, limit: u64) -> Result<Vec<u8>, String> {
    if Path::new(name).file_name() != Some(name.as_ref()) {
        return Err(format!("lie in `{name}`, which is not a plain file name"));
    }
    let path = folder.join(name);
    if path.is_symlink() {
        return Err(format!("lie in `{name}`, which is a link (hint: put the file itself there)"));
    }
    images::read_at_most(&path, limit).map_err(|error| match error {
        vae_infer::Error::Read { cause, .. } => {
            format!("lie in `{name}`, which must stand beside the graph: {cause}")
        }
        other => format!("lie in `{name}`: {other}"),
    })
}
