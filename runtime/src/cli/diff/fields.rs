//! The fields in which two manifests differ.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value};
use vae_infer::Manifest;
use vae_infer::manifest::GraphSpec;

/// A field of a manifest, by its path, with its value in both; null where a manifest lacks it.
#[derive(Serialize)]
pub(super) struct Field {
    pub(super) field: String,
    pub(super) a: Value,
    pub(super) b: Value,
}

/// The fields that differ, in the manifests' order.
pub(super) fn differing(a: &Manifest, b: &Manifest) -> Result<Vec<Field>> {
    let (a, b) = (flat(a)?, flat(b)?);
    let names = a.keys().chain(b.keys());
    let mut seen = BTreeSet::new();
    let fields = names.filter(|name| seen.insert(*name)).map(|name| {
        let value = |of: &Map<String, Value>| of.get(name).cloned().unwrap_or_default();
        Field { field: name.clone(), a: value(&a), b: value(&b) }
    });
    Ok(fields.filter(|field| field.a != field.b).collect())
}

/// A manifest as one table from paths to values. Signatures are text, and of the measured parity
/// the worst figure stands for all.
fn flat(manifest: &Manifest) -> Result<Map<String, Value>> {
    let mut value = serde_json::to_value(manifest)?;
    for (name, spec) in [("encoder", &manifest.encoder), ("decoder", &manifest.decoder)] {
        let GraphSpec { inputs, outputs, .. } = spec;
        for (end, specs) in [("inputs", inputs), ("outputs", outputs)] {
            let specs = specs.iter().map(|spec| format!("{} {:?}", spec.name, spec.shape));
            value[name][end] = specs.collect::<Vec<_>>().join(", ").into();
        }
    }
    value["parity"] = manifest.parity.iter().map(|row| row.difference).fold(0.0, f64::max).into();
    let mut fields = Map::new();
    flatten(&mut fields, String::new(), value);
    Ok(fields)
}

fn flatten(fields: &mut Map<String, Value>, path: String, value: Value) {
    match value {
        Value::Object(table) => {
            for (name, value) in table {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(fields, path, value);
            }
        }
        value => {
            fields.insert(path, value);
        }
    }
}
