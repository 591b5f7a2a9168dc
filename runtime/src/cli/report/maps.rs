//! The pictures of maps, as parts of a page.

use std::path::{Component, Path, PathBuf};

use anyhow::{Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use vae_infer::{Error, images};

use super::super::pictures;
use super::line::Line;

/// Larger pictures are scaled down to this side: a page of many stays one that a browser opens.
const SIDE: u32 = 512;
/// Pixels of pictures up to this side are shown as squares.
const SMALL: u32 = 128;

/// An image's picture with its regions, and its map.
pub(super) struct Map {
    pub(super) overlay: Picture,
    pub(super) heat: Picture,
}

/// A picture inside the page.
pub(super) struct Picture {
    /// The address that is the picture itself (RFC 2397).
    pub(super) data: String,
    pub(super) small: bool,
}

/// The lines, each with its map in the folder that `score --heatmap` wrote, where there is one.
pub(super) fn of(folder: Option<&Path>, lines: Vec<Line>) -> Result<Vec<(Line, Option<Map>)>> {
    let Some(folder) = folder else {
        return Ok(lines.into_iter().map(|line| (line, None)).collect());
    };
    let with_map = |line| Ok((read(folder, &line)?, line));
    let mapped = lines.into_iter().map(with_map).collect::<Result<Vec<_>>>()?;
    if !mapped.is_empty() && mapped.iter().all(|(map, _)| map.is_none()) {
        bail!(
            "`{}` has no map of these images (hint: the folder that was given to `score --heatmap`)",
            folder.display()
        );
    }
    Ok(mapped.into_iter().map(|(map, line)| (line, map)).collect())
}

/// The map of a line.
fn read(folder: &Path, line: &Line) -> Result<Option<Map>> {
    let Some(stem) = &line.map else { return Ok(None) };
    // A line may come from anyone, and names nothing outside the folder.
    if !stem.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(None);
    }
    let file = |end: &str| {
        let mut path = folder.join(stem).into_os_string();
        path.push(end);
        PathBuf::from(path)
    };
    let (overlay, heat) = (file("-overlay.png"), file(".png"));
    if !overlay.exists() || !heat.exists() {
        return Ok(None);
    }
    Ok(Some(Map { overlay: picture(&overlay)?, heat: picture(&heat)? }))
}

fn picture(path: &Path) -> Result<Picture> {
    let mut content = images::read_file(path)?;
    let picture = images::decode(&content);
    let picture =
        picture.map_err(|reason| Error::Image { name: path.display().to_string(), reason })?;
    let side = picture.width().max(picture.height());
    if side > SIDE {
        content = pictures::png(&picture.thumbnail(SIDE, SIDE))?;
    }
    let data = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(content));
    Ok(Picture { data, small: side <= SMALL })
}
