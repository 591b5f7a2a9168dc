//! `calibration.json`: the scores of normal images, on the device and for the camera that they are
//! compared on.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Band, Conformal, Label, Method, Tiling};
use crate::maps::Mask;
use crate::preprocess::ImageSpec;
use crate::{Bundle, Error, images, write};

/// The version of the file that this library writes and reads.
pub const CALIBRATION_VERSION: u32 = 1;
/// The name of the file inside a bundle's folder, and the end of its name beside a packed bundle.
const FILE: &str = "calibration.json";
/// The most bytes of the file: scores of a few million images.
const MAX_BYTES: u64 = 256 << 20;

/// What a bundle's scores are held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// [`CALIBRATION_VERSION`].
    pub format_version: u32,
    /// SHA-256 of the manifest of the bundle that gave the scores.
    pub manifest_sha256: String,
    /// The method that gave the scores.
    pub method: Method,
    /// Draws from the posterior, where the method draws.
    pub draws: usize,
    /// How large pictures were cut into tiles; absent where images were scored as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiling: Option<Tiling>,
    /// The pixels that count; absent where all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    /// How pictures, or their tiles, became tensors.
    pub image: ImageSpec,
    /// The rate of false alarms that is promised where no other is asked for.
    pub rate: f64,
    /// The rate at which normal images are `unsure` or an anomaly; absent where none is unsure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsure: Option<f64>,
    /// Who fed what, and when.
    pub audit: Vec<Audit>,
    /// One for every image.
    pub images: Vec<Calibrated>,
}

/// A normal image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// The first 8 bytes of the SHA-256 of its tensor, as [`hash`](super::hash) has it, in
    /// hexadecimal; of the hashes of its tiles where it was cut.
    pub hash: String,
    /// Its score.
    pub score: f64,
    /// The peak of its [error map](crate::maps::error_map).
    pub peak: f64,
}

/// Images that were added, or rates that were changed, at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// When, as RFC 3339 has it, in UTC.
    pub date: String,
    /// The files and folders that were named.
    pub sources: Vec<String>,
    /// The images that were added.
    pub images: usize,
    /// The images that were there already.
    pub known: usize,
    /// SHA-256 of the hashes of the images that were added, one a line.
    pub sha256: String,
    /// The rate of false alarms that is promised from then on; absent in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// [`Calibration::unsure`] from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsure: Option<f64>,
    /// What ran the model, for example `tract/cpu`; `none` where no images were named.
    pub engine: String,
    /// The version of this library.
    pub version: String,
}

/// A verdict on an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Verdict {
    /// The share of calibration images that are as abnormal, the image itself among them.
    pub p_value: f64,
    /// What follows from it.
    pub label: Label,
}

/// A calibration that gives verdicts at its rates.
#[derive(Debug, Clone)]
pub struct Judge {
    conformal: Conformal,
    band: Band,
    level: f64,
}

impl Calibration {
    /// Where the calibration of a bundle lies: in its folder, or beside its file. Nothing for one
    /// that is inside a program.
    pub fn beside(bundle: &Path) -> Option<PathBuf> {
        if bundle.is_dir() {
            return Some(bundle.join(FILE));
        }
        let mut path = bundle.to_path_buf().into_os_string();
        path.push(".");
        path.push(FILE);
        bundle.is_file().then(|| path.into())
    }

    /// Reads a calibration, and checks that it belongs to a bundle.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], and [`Error::Calibration`] for a file that is no calibration, is too new or is
    /// another bundle's.
    pub fn open(path: &Path, bundle: &Bundle) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let json = images::read_at_most(path, MAX_BYTES)?;
        let wrong = |reason: String| Error::Calibration { path: path.into(), reason };
        let broken = |e: serde_json::Error| wrong(format!("it cannot be understood: {e}"));
        let Version { format_version } = serde_json::from_slice(&json).map_err(broken)?;
        if format_version != CALIBRATION_VERSION {
            return Err(wrong(format!(
                "its format version is {format_version}, this program reads {CALIBRATION_VERSION}"
            )));
        }
        let calibration: Self = serde_json::from_slice(&json).map_err(broken)?;
        if calibration.manifest_sha256 != bundle.id() {
            let name = &bundle.manifest.name;
            return Err(wrong(format!("it belongs to another bundle than `{name}` as it is now")));
        }
        calibration.image.check().map_err(wrong)?;
        Ok(calibration)
    }

    /// Writes the calibration, in one step.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let mut json = serde_json::to_vec(self).expect("a calibration has only string keys");
        json.push(b'\n');
        write::atomically(path, &json)
    }

    /// What gives verdicts at its rates.
    ///
    /// # Errors
    ///
    /// Those of [`Band::new`].
    pub fn judge(&self) -> Result<Judge, Error> {
        let conformal = |value: fn(&Calibrated) -> f64| {
            Conformal::new(self.images.iter().map(value).collect::<Vec<_>>())
        };
        let scores = conformal(|image| image.score)?;
        let band = Band::new(&scores, self.rate, self.unsure.unwrap_or(self.rate))?;
        let level = conformal(|image| image.peak)?.threshold(self.rate)?;
        Ok(Judge { conformal: scores, band, level })
    }
}

impl Calibrated {
    /// An image's entry.
    pub fn new(hash: u64, score: f64, peak: f64) -> Self {
        Self { hash: format!("{hash:016x}"), score, peak }
    }
}

impl Judge {
    /// The verdict on an image's score.
    pub fn judge(&self, score: f64) -> Verdict {
        let p_value = self.conformal.p_value(score);
        Verdict { p_value, label: self.band.label(p_value) }
    }

    /// The scores of the calibration images.
    pub fn conformal(&self) -> &Conformal {
        &self.conformal
    }

    /// The value of an error map above which a pixel is abnormal: of normal images, at most the
    /// promised rate has one.
    pub fn level(&self) -> f64 {
        self.level
    }
}
