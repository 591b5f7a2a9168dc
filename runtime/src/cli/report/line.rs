//! Lines of `score`, read back one after the other.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use serde::Deserialize;
use vae_infer::Error;
use vae_infer::anomaly::{Label, Method};

use super::super::line::SCHEMA;

/// The most bytes of a line: those of more than a hundred thousand regions.
const MAX_BYTES: u64 = 16 << 20;

/// What an image's line says, as far as a report shows it.
#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) name: String,
    schema: u32,
    pub(super) method: Method,
    pub(super) score: f64,
    pub(super) p_value: Option<f64>,
    pub(super) label: Option<Label>,
    pub(super) mse: f64,
    pub(super) nll: Option<f64>,
    pub(super) kl: Option<f64>,
    pub(super) elbo: Option<f64>,
    /// The number of tiles, and the worst of them.
    pub(super) tiles: Option<usize>,
    pub(super) tile: Option<Place>,
    /// From the highest peak to the lowest.
    pub(super) regions: Option<Vec<Peak>>,
    /// The image's map in the folder of maps, without the end of its files' names.
    pub(super) map: Option<PathBuf>,
    pub(super) engine: String,
}

/// Where a tile begins.
#[derive(Deserialize)]
pub(super) struct Place {
    pub(super) x: usize,
    pub(super) y: usize,
}

/// A region of an image's map.
#[derive(Deserialize)]
pub(super) struct Peak {
    pub(super) peak: f64,
}

/// Where lines come from.
pub(super) struct Reader {
    pub(super) name: String,
    reader: Box<dyn BufRead>,
}

impl Reader {
    /// Opens a regular file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            let reader = Box::new(io::stdin().lock());
            return Ok(Self { name: "standard input".into(), reader });
        }
        // Looked at before it is opened: opening a pipe waits for a writer that may never come.
        let metadata = std::fs::metadata(path).map_err(Error::read(path))?;
        if !metadata.is_file() {
            let kind = if metadata.is_dir() { "it is a folder" } else { "it is no regular file" };
            return Err(Error::read(path)(io::Error::other(kind)).into());
        }
        let file = File::open(path).map_err(Error::read(path))?;
        Ok(Self { name: path.display().to_string(), reader: Box::new(BufReader::new(file)) })
    }

    /// Hands on every line. One is held at a time.
    pub(super) fn lines(mut self, mut take: impl FnMut(Line) -> Result<()>) -> Result<()> {
        let mut bytes = vec![];
        for number in 1_u64.. {
            bytes.clear();
            let reader = &mut self.reader;
            let read = reader.take(MAX_BYTES).read_until(b'\n', &mut bytes);
            let read = read.map_err(Error::read(&self.name))? as u64;
            if read == 0 && number == 1 {
                bail!("`{}` is empty (hint: vae-infer score IMAGE > scores.ndjson)", self.name);
            } else if read == 0 {
                break;
            }
            let line = match read {
                MAX_BYTES => Err(anyhow!("it is longer than {} MiB", MAX_BYTES >> 20)),
                _ => understood(&bytes),
            };
            let line = line.and_then(&mut take);
            line.map_err(|error| error.context(format!("`{}`, line {number}", self.name)))?;
        }
        Ok(())
    }
}

/// A line of the schema that this program writes.
fn understood(json: &[u8]) -> Result<Line> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    let line: Result<Line, serde_json::Error> = serde_json::from_slice(json);
    let schema = match &line {
        Ok(line) => Some(line.schema),
        Err(_) => serde_json::from_slice(json).ok().map(|Version { schema }| schema),
    };
    if let Some(schema) = schema.filter(|&schema| schema != SCHEMA) {
        bail!("its schema is {schema}, this program reads {SCHEMA}");
    }
    let line = line.map_err(|error| {
        if error.is_eof() && !json.ends_with(b"\n") {
            return anyhow!("it is cut off (hint: score the rest, or remove that line)");
        }
        let (reason, column) = (error.to_string(), error.column());
        let reason = reason.split(" at line ").next().unwrap_or_default();
        anyhow!("it is no line of `score --format json`: {reason} at column {column}")
    })?;
    match (line.p_value, line.label) {
        (Some(p), Some(_)) if p > 0.0 && p <= 1.0 => Ok(line),
        (None, None) => Ok(line),
        (Some(p), Some(_)) => bail!("its p-value is {p}"),
        _ => bail!("it has only one of p-value and label"),
    }
}
