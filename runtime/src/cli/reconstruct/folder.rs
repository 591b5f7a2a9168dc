//! A folder of reconstructions.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use ndarray::{ArrayView3, Axis, concatenate};
use vae_infer::write::{self, Staged};
use vae_infer::{Error, ImageSpec};

use super::super::inputs::Inputs;
use super::super::options::Options;
use super::super::signals::Signals;
use super::super::writers::Writers;
use super::super::{output, pictures};

/// One PNG an image: in a folder that is hidden until all are there.
pub(super) struct Folder {
    place: PathBuf,
    /// Whether the place was there; the hidden folder is then inside it.
    there: bool,
    /// They rest before their folder is removed: fields are dropped in this order.
    writers: Writers,
    staging: Staged,
    names: HashSet<PathBuf>,
    files: Vec<PathBuf>,
    side_by_side: bool,
    force: bool,
    inputs: Inputs,
}

impl Folder {
    pub(super) fn open(
        place: PathBuf,
        side_by_side: bool,
        options: &Options,
        inputs: &Inputs,
    ) -> Result<Self> {
        if place.exists() && !place.is_dir() {
            let place = place.display();
            bail!("cannot write `{place}`: it exists and is not a folder (hint: another -o)");
        }
        Signals::abandon()?;
        let there = place.is_dir();
        let staging = if there { Staged::within(&place)? } else { Staged::new(&place)? };
        Ok(Self {
            place,
            there,
            writers: Writers::new(options.engine().thread_count())?,
            staging,
            names: HashSet::new(),
            files: vec![],
            side_by_side,
            force: options.force,
            inputs: inputs.clone(),
        })
    }

    /// Has the reconstruction of an image written.
    pub(super) fn take(
        &mut self,
        spec: &ImageSpec,
        stem: &Path,
        original: ArrayView3<f32>,
        decoded: ArrayView3<f32>,
    ) -> Result<()> {
        let name = self.unique(stem);
        let named = self.place.join(&name);
        self.check(&named)?;
        self.files.push(name.clone());
        let picture = match self.side_by_side {
            true => spec.picture(concatenate(Axis(2), &[original, decoded])?.view()),
            false => spec.picture(decoded),
        };
        let root = self.staging.path().to_owned();
        self.writers.write(move || {
            let (bytes, staged) = (pictures::png(&picture)?, root.join(&name));
            let written =
                write::folder_below(&root, &staged).and_then(|()| fs::write(&staged, bytes));
            Ok(written.map_err(Error::write(named))?)
        })?;
        Ok(())
    }

    /// Gives the files their names, when all are written.
    pub(super) fn publish(self) -> Result<()> {
        self.writers.finish()?;
        let Self { there, staging, files, force, .. } = self;
        match there {
            true => output::named(staging.publish_files(&files, force)),
            false => Ok(staging.publish(false)?),
        }
    }

    /// A file name below the folder that no other image has.
    fn unique(&mut self, stem: &Path) -> PathBuf {
        let file = stem.file_name().unwrap_or_default().to_os_string();
        let mut count = 1;
        loop {
            let mut name = file.clone();
            if count > 1 {
                name.push(format!("-{count}"));
            }
            name.push(".png");
            let name = stem.with_file_name(name);
            if self.names.insert(name.clone()) {
                return name;
            }
            count += 1;
        }
    }

    fn check(&self, path: &Path) -> Result<()> {
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        let input = self.inputs.hold(path).then_some(path);
        output::check(path, self.force, input)
    }
}
