//! Weights that an exporter has left in files beside the graph.
//!
//! PyTorch does so unless it is told otherwise. A bundle's graphs hold their own weights, so they
//! are read here, from plain files in the graph's own folder and from nowhere else.

use std::collections::BTreeMap;
use std::path::Path;

use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{GraphProto, TensorProto};
use vae_infer::manifest::MAX_FILE_BYTES;
use vae_infer::{images, sha256};

/// The contents of the files that were needed, by name.
type Files = BTreeMap<String, Vec<u8>>;

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
    let mut files = Files::new();
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let constants = attributes.filter_map(|attribute| attribute.t.as_mut());
    for tensor in graph.initializer.iter_mut().chain(constants) {
        if tensor.data_location == Some(DataLocation::External as i32) {
            let name = tensor.name.clone();
            fill(tensor, folder, &mut files)
                .map_err(|reason| format!("the weights of `{name}` {reason}"))?;
        }
    }
    Ok(files.into_iter().map(|(name, content)| (name, sha256(&content))).collect())
}

fn fill(tensor: &mut TensorProto, folder: &Path, files: &mut Files) -> Result<(), String> {
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
    if !files.contains_key(&name) {
        files.insert(name.clone(), read(folder, &name)?);
    }
    let content = &files[&name];
    let end = length.map_or(Some(content.len()), |length| offset.checked_add(length));
    let part = end.and_then(|end| content.get(offset..end));
    let part = part.ok_or_else(|| format!("reach beyond the end of `{name}`"))?;
    tensor.raw_data = part.to_vec();
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    if Path::new(name).file_name() != Some(name.as_ref()) {
        return Err(format!("lie in `{name}`, which is not a plain file name"));
    }
    let path = folder.join(name);
    if path.is_symlink() {
        return Err(format!("lie in `{name}`, which is a link (hint: put the file itself there)"));
    }
    images::read_at_most(&path, MAX_FILE_BYTES).map_err(|error| match error {
        vae_infer::Error::Read { cause, .. } => {
            format!("lie in `{name}`, which must stand beside the graph: {cause}")
        }
        other => format!("lie in `{name}`: {other}"),
    })
}
