//! Where in an image the error is: pictures, arrays and boxes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use ndarray::Array2;
use vae_infer::anomaly::Judge;
use vae_infer::maps::error_map::{SIGMA, error_map};
use vae_infer::maps::heatmap::{heatmap, outline, overlay};
use vae_infer::maps::regions::{Region, regions};
use vae_infer::write::Staged;
use vae_infer::{ImageSpec, images, npy, write};

use super::examine::Scored;
use super::pictures;

/// How far the colours of a map go beyond the level at which a pixel is abnormal.
const SCALE: f32 = 2.0;
/// A pixel of a mask is looked at from this value of 255 on.
const LIT: u8 = 128;

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
    /// A picture of the model's size: what is dark in it is left out of the regions
    #[arg(long, value_name = "PICTURE", requires = "heatmap")]
    mask: Option<PathBuf>,
    /// The fewest pixels of a region
    #[arg(long, value_name = "PIXELS", default_value_t = 1, requires = "heatmap")]
    min_area: usize,
}

/// A folder of maps that is being written.
pub(super) struct Heatmaps {
    staged: Staged,
    level: f32,
    mask: Option<Array2<bool>>,
    min_area: usize,
    range: [f32; 2],
}

impl Heatmaps {
    pub(super) fn open(
        place: &Where,
        judge: Option<&Judge>,
        spec: &ImageSpec,
        force: bool,
    ) -> Result<Option<Self>> {
        let Some(folder) = &place.heatmap else { return Ok(None) };
        if folder.symlink_metadata().is_ok() {
            let hint = if force { "--force replaces no folder of maps" } else { "another folder" };
            bail!("cannot write `{}`: it exists (hint: {hint})", folder.display());
        }
        let level = place.level.or(judge.map(|judge| judge.level() as f32));
        let level =
            level.context("a map takes a scale (hint: --level X, or a calibrated model)")?;
        if !(level.is_finite() && level > 0.0) {
            bail!("--level is {level}, expected a number above 0");
        }
        let mask = place.mask.as_deref().map(|path| mask(path, spec)).transpose()?;
        let (staged, range) = (Staged::new(folder)?, spec.range);
        Ok(Some(Self { staged, level, mask, min_area: place.min_area, range }))
    }

    /// Writes an image's map, and gives the regions above the level.
    pub(super) fn take(&mut self, scored: &Scored) -> Result<Vec<Region>> {
        let map = error_map(scored.image.view(), scored.reconstruction.view(), SIGMA)?;
        let mask = self.mask.as_ref().map(|mask| mask.view());
        let regions = regions(map.view(), mask, self.level, self.min_area)?;
        let scale = SCALE * self.level;
        let heat = heatmap(map.view(), scale)?;
        let mut over = overlay(scored.image.view(), self.range, map.view(), scale)?;
        outline(&mut over, &regions);
        let path = self.staged.path().join(&scored.item.stem);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(vae_infer::Error::write(folder))?;
        }
        let with = |end: &str| {
            let mut name = path.clone().into_os_string();
            name.push(end);
            PathBuf::from(name)
        };
        for (end, content) in [
            (".png", pictures::png(&heat.into())?),
            ("-overlay.png", pictures::png(&over.into())?),
            (".npy", npy::encode(&map)),
        ] {
            let path = with(end);
            if path.exists() {
                bail!("two images would be written as `{}`", scored.item.stem.display());
            }
            write::atomically(&path, &content)?;
        }
        Ok(regions)
    }

    /// Gives the folder its name.
    pub(super) fn publish(self) -> Result<()> {
        Ok(self.staged.publish(false)?)
    }
}

/// The pixels that are looked at.
fn mask(path: &Path, spec: &ImageSpec) -> Result<Array2<bool>> {
    let content = images::read_file(path)?;
    let picture = images::decode(&content)
        .map_err(|reason| vae_infer::Error::Image { name: path.display().to_string(), reason })?;
    let picture = picture.to_luma8();
    let (width, height) = (spec.width, spec.height);
    if picture.dimensions() != (width as u32, height as u32) {
        let (w, h) = picture.dimensions();
        bail!("`{}` is {w}x{h} pixels, a mask has the model's {width}x{height}", path.display());
    }
    Ok(Array2::from_shape_fn((height, width), |(y, x)| {
        picture.get_pixel(x as u32, y as u32).0[0] >= LIT
    }))
}
