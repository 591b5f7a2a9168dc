//! Results on their way to files, which get their names together, and to standard output.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use ndarray::{Array4, ArrayView4};
use vae_infer::ImageSpec;
use vae_infer::npy::{self, Rows};
use vae_infer::write::{self, StagedFile};

use super::options::{affordable, storable};
use super::output::{self, Kind, Target};
use super::pictures::{self, Sheet};
use super::signals::Signals;

/// Files that are written and get their names together, and what goes to standard output.
pub(super) struct Results {
    files: Vec<StagedFile>,
    stdout: Vec<u8>,
    force: bool,
}

impl Results {
    /// None yet. From here on a signal leaves nothing of what is begun. With `force` they replace files, even those that
    /// others write meanwhile.
    pub(super) fn new(force: bool) -> Result<Self> {
        Signals::abandon()?;
        Ok(Self { files: vec![], stdout: vec![], force })
    }

    pub(super) fn add(&mut self, target: &Target, content: Vec<u8>) -> Result<()> {
        match target.path() {
            Some(path) => self.add_file(path, &content)?,
            None => self.stdout = content,
        }
        Ok(())
    }

    pub(super) fn add_file(&mut self, path: &Path, content: &[u8]) -> Result<()> {
        self.files.push(StagedFile::with(path, content)?);
        Ok(())
    }

    pub(super) fn add_rows<A: npy::Element>(&mut self, rows: Rows<A>) -> Result<()> {
        self.files.push(rows.finish()?);
        Ok(())
    }

    /// Gives the files their names, when all are on the disk, and prints what goes to standard output.
    pub(super) fn write(self) -> Result<()> {
        output::named(write::publish(self.files, self.force))?;
        let mut out = io::stdout().lock();
        out.write_all(&self.stdout).and_then(|()| out.flush()).context("standard output")
    }
}

/// Images that become one result.
pub(super) struct Images {
    spec: ImageSpec,
    sink: Sink,
}

enum Sink {
    /// The file of an array has them as soon as they come.
    File(Rows<f32>),
    /// What is no file, or is drawn, is made of all of them.
    Held { target: Target, sheet: Sheet, values: Vec<f32> },
}

impl Images {
    /// Begins the result, of at least so many images.
    pub(super) fn open(
        target: Target,
        sheet: Sheet,
        spec: &ImageSpec,
        least: usize,
    ) -> Result<Self> {
        let values = least.checked_mul(spec.shape().iter().product());
        let sink = match target {
            Target::File(path, Kind::Npy) => {
                let [channels, height, width] = spec.shape();
                storable(&path, values)?;
                Sink::File(Rows::create(&path, &[height, width, channels])?)
            }
            target => {
                if target.kind() == Kind::Png {
                    sheet.check(spec, least)?;
                }
                affordable(values)?;
                let mut room = vec![];
                room.try_reserve_exact(values.unwrap_or(0))
                    .context("there is no memory for the result (hint: -o FILE.npy)")?;
                Sink::Held { target, sheet, values: room }
            }
        };
        Ok(Self { spec: spec.clone(), sink })
    }

    /// Takes the next images, `[n, C, H, W]`.
    pub(super) fn take(&mut self, images: ArrayView4<f32>) -> Result<()> {
        match &mut self.sink {
            Sink::File(rows) => rows.add(pictures::channels_last(&self.spec, images).view())?,
            Sink::Held { values, .. } => {
                affordable(values.len().checked_add(images.len()))?;
                values.extend(images.iter());
            }
        }
        Ok(())
    }

    /// Adds the result of all that were taken.
    pub(super) fn close(self, results: &mut Results) -> Result<()> {
        let Self { spec, sink } = self;
        match sink {
            Sink::File(rows) => results.add_rows(rows),
            Sink::Held { target, sheet, values } => {
                let [channels, height, width] = spec.shape();
                let shape = (values.len() / (channels * height * width), channels, height, width);
                let images = Array4::from_shape_vec(shape, values)?;
                let content = match target.kind() {
                    Kind::Npy => npy::encode(&pictures::channels_last(&spec, images.view())),
                    Kind::Png => sheet.png(&spec, images.view())?,
                };
                results.add(&target, content)
            }
        }
    }
}
