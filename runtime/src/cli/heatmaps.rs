//! Where in an image the error is: pictures, arrays and boxes.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use ndarray::Array3;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use vae_infer::anomaly::Judge;
use vae_infer::maps::Mask;
use vae_infer::maps::heatmap::{heatmap, outline, overlay};
use vae_infer::maps::regions::{Region, regions};
use vae_infer::write::Staged;
use vae_infer::{ImageSpec, npy, write};

use super::examine::Scored;
use super::measure::Measured;
use super::options::Options;
use super::pictures;

/// How far the colours of a map go beyond the level at which a pixel is abnormal.
const SCALE: f32 = 2.0;

/// Options of maps.
#[derive(Args)]
pub(super) struct Where {
    /// Write where the error is: for every image X.png (the squared error, smoothed), X-overlay.png (over
    /// the image, with boxes round abnormal regions) and X.npy (the map itself, [H, W])
    #[arg(long, value_name = "DIR")]
    heatmap: Option<PathBuf>,
    /// The squared error above which a pixel is abnormal; colours end at twice of it [default: the
    /// calibration's, which promises boxes in as few normal images as alarms]
    #[arg(long, value_name = "X", requires = "heatmap")]
    level: Option<f32>,
    /// The fewest pixels of a region
    #[arg(long, value_name = "PIXELS", default_value_t = 1, requires = "heatmap")]
    min_area: usize,
}

impl Where {
    /// The folder of maps, where one is wanted.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.heatmap.as_deref()
    }
}

/// The name of a map in its folder, and the regions above the level.
pub(super) type Mapped = (String, Vec<Region>);

/// A folder of maps that is being written.
pub(super) struct Heatmaps {
    threads: ThreadPool,
    folder: Folder,
    /// What the folder is called in the end.
    named: PathBuf,
    level: f32,
    mask: Option<Mask>,
    min_area: usize,
    image: ImageSpec,
}

/// Where maps lie until all are there.
enum Folder {
    /// Under another name: the folder appears when it is whole.
    Staged(Staged),
    /// In the folder itself, one after the other; it is not there before where it was made for them.
    Open { folder: PathBuf, made: bool },
}

impl Heatmaps {
    /// Makes the folder. One of images without an end is open from the first of them on.
    pub(super) fn open(
        place: &Where,
        judge: Option<&Judge>,
        measured: &Measured,
        endless: bool,
        options: &Options,
    ) -> Result<Option<Self>> {
        let Some(named) = &place.heatmap else { return Ok(None) };
        let level = place.level.or(judge.map(|judge| judge.level() as f32));
        let level =
            level.context("a map takes a scale (hint: --level X, or a calibrated model)")?;
        if !(level.is_finite() && level > 0.0) {
            bail!("--level is {level}, expected a number above 0");
        }
        let force = options.force;
        let folder =
            if endless { Folder::open(named, force)? } else { Folder::stage(named, force)? };
        let threads = ThreadPoolBuilder::new().num_threads(options.engine().thread_count()).build();
        let threads = threads.context("no thread can be started to draw maps")?;
        let Measured { image, mask, .. } = measured;
        let (image, mask, min_area) = (image.clone(), mask.clone(), place.min_area);
        let named = named.clone();
        Ok(Some(Self { threads, folder, named, level, mask, min_area, image }))
    }

    /// Writes the maps of images, several at once where each has a name of its own.
    pub(super) fn take(&self, batch: &[&Scored]) -> Vec<Result<Mapped>> {
        let names: HashSet<&Path> = batch.iter().map(|scored| &*scored.item.stem).collect();
        match names.len() == batch.len() {
            true => self.threads.install(|| batch.par_iter().map(|it| self.draw(it)).collect()),
            false => batch.iter().map(|scored| self.draw(scored)).collect(),
        }
    }

    fn draw(&self, scored: &Scored) -> Result<Mapped> {
        let Scored { item, map: Some(map), .. } = scored else {
            bail!("`{}` has no map", scored.item.picture.name);
        };
        let mask = self.mask.as_ref().map(Mask::seen);
        let regions = regions(map.view(), mask, self.level, self.min_area)?;
        let scale = SCALE * self.level;
        let heat = heatmap(map.view(), scale)?;
        let mut over = overlay(self.under(scored)?.view(), self.image.range, map.view(), scale)?;
        outline(&mut over, &regions);
        let root = self.folder.path();
        let (path, named) = (root.join(&item.stem), self.named.join(&item.stem));
        write::folder_below(root, &path).map_err(vae_infer::Error::write(&named))?;
        let with = |end: &str| {
            let mut name = path.clone().into_os_string();
            name.push(end);
            PathBuf::from(name)
        };
        let files = [
            (with(".png"), pictures::png(&heat.into())?),
            (with("-overlay.png"), pictures::png(&over.into())?),
            (with(".npy"), npy::encode(map)),
        ];
        match self.folder {
            Folder::Open { .. } => {
                write::together(&files.each_ref().map(|(path, content)| (&**path, &**content)))?;
            }
            Folder::Staged(_) => {
                for (path, content) in files {
                    let written =
                        File::create_new(path).and_then(|mut file| file.write_all(&content));
                    written.map_err(|error| match error.kind() {
                        ErrorKind::AlreadyExists => anyhow!(
                            "two images would be written as `{}` (hint: name the folder that holds theirs, \
                             or score them apart)",
                            item.stem.display()
                        ),
                        _ => vae_infer::Error::write(&named)(error).into(),
                    })?;
                }
            }
        }
        Ok((item.stem.display().to_string(), regions))
    }

    /// The image that lies under its map, `[C, H, W]`.
    fn under(&self, scored: &Scored) -> Result<Array3<f32>> {
        let picture = &scored.item.picture;
        let mut image = self.image.clone();
        if scored.worst.is_some() {
            (image.width, image.height) = picture.size();
        }
        Ok(image.tensor(picture)?)
    }

    /// Gives the folder its name, where it has it not yet.
    pub(super) fn publish(self) -> Result<()> {
        match self.folder {
            Folder::Staged(staged) => Ok(staged.publish(false)?),
            Folder::Open { .. } => Ok(()),
        }
    }

    /// Leaves no folder that was made for maps of which none came.
    pub(super) fn abandon(self) {
        if let Folder::Open { folder, made: true } = self.folder {
            // One with maps in it stays.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

impl Folder {
    fn stage(folder: &Path, force: bool) -> Result<Self> {
        if folder.symlink_metadata().is_ok() {
            let hint = if force { "--force replaces no folder of maps" } else { "another folder" };
            bail!("cannot write `{}`: it exists (hint: {hint})", folder.display());
        }
        Ok(Self::Staged(Staged::new(folder)?))
    }

    /// Here --force goes on with a folder that is there.
    fn open(folder: &Path, force: bool) -> Result<Self> {
        let made = match std::fs::create_dir(folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !force => bail!(
                "cannot write `{}`: it exists (hint: --force adds maps to it)",
                folder.display()
            ),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(false),
            made => made.map(|()| true),
        };
        let made = made.map_err(vae_infer::Error::write(folder))?;
        Ok(Self::Open { folder: folder.into(), made })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Staged(staged) => staged.path(),
            Self::Open { folder, .. } => folder,
        }
    }
}
