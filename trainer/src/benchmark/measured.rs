//! What was measured of a case: its `scores.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use vae_infer::{images, write};

/// The file in a case's folder.
const FILE: &str = "scores.json";

/// The figures of one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// SHA-256 of the run's configuration.
    pub(super) config_sha256: String,
    /// SHA-256 of the content of its training images.
    pub(super) data_sha256: String,
    /// What was held against its normal images.
    pub(super) comparisons: Vec<Comparison>,
}

/// How well scores tell some images from the normal ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Comparison {
    /// What the abnormal images are.
    pub(super) abnormal: String,
    /// Normal and abnormal images.
    pub(super) images: [usize; 2],
    /// The area under the ROC curve by score.
    pub(super) auroc: BTreeMap<String, f64>,
    /// That of pixels, where there are masks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) pixel_auroc: BTreeMap<String, f64>,
    /// The area under the curve of per-region overlap, likewise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) overlap: BTreeMap<String, f64>,
}

impl Measured {
    /// Reads what was measured in a folder; none where nothing was.
    ///
    /// # Errors
    ///
    /// Where the file is damaged.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = path(folder);
        if !path.exists() {
            return Ok(None);
        }
        let measured = serde_json::from_slice(&images::read_file(&path)?).with_context(|| {
            let path = path.display();
            format!("`{path}` is damaged (hint: without the file, the case is measured again)")
        })?;
        Ok(Some(measured))
    }

    /// Refuses figures of another configuration.
    ///
    /// # Errors
    ///
    /// That says so.
    pub(super) fn check(&self, config_sha256: &str, folder: &Path) -> Result<()> {
        if self.config_sha256 == config_sha256 {
            return Ok(());
        }
        let path = path(folder);
        bail!(
            "`{}` was measured with other settings than those of now (hint: another -o)",
            path.display()
        );
    }

    /// Keeps the figures.
    ///
    /// # Errors
    ///
    /// Where they cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        Ok(write::atomically(&path(folder), &serde_json::to_vec_pretty(self)?)?)
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
