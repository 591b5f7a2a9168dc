//! The magnetic tiles as they are published: a tar.gz of pictures with masks of their defects.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use ndarray::{Array2, Array3};
use vae_infer::images;

use super::SIDE;

/// The largest file that is read, in bytes: no picture of the archive is near it.
const LARGEST: u64 = 16 << 20;
/// The value from which on a pixel of a mask belongs to a defect: masks of some tiles have edges in grey.
const MARKED: u8 = 128;
/// What is cut off every side of a picture, in pixels: the tile's own edge.
pub(in crate::benchmark) const MARGIN: usize = 12;
/// What light is multiplied by before the logarithm of 1 + light is taken: under six conditions the same
/// surface is brighter or darker by a factor, and the logarithm makes it an offset.
const GAIN: f32 = 20.0;
/// The kind of tiles without a defect.
pub(super) const FREE: &str = "free";

/// A picture of a part of a tile.
pub(super) struct Picture {
    /// `free`, or the kind of the defect.
    pub(super) kind: String,
    /// When it was taken, in the order of all pictures.
    pub(super) number: u32,
    /// The logarithm of its light, from 0 to 1, without the margin, `[1, H, W]`.
    pub(super) image: Array3<f32>,
    /// Where the defect is, likewise, `[H, W]`.
    pub(super) mask: Array2<bool>,
}

/// The pictures of the only archive in a folder, in the order of their numbers.
///
/// # Errors
///
/// Where there is no archive or more than one, and where it is damaged or holds something else.
pub(super) fn read(folder: &Path) -> Result<Vec<Picture>> {
    let path = archive(folder)?;
    let of = || format!("`{}`", path.display());
    let file = File::open(&path).with_context(of)?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut files = BTreeMap::new();
    for entry in archive.entries().with_context(of)? {
        let mut entry = entry.with_context(of)?;
        let name = entry.path().with_context(of)?.display().to_string();
        let Some(name) = Name::parse(&name) else { continue };
        if entry.size() > LARGEST {
            bail!("{}: {name:?} has {} bytes", of(), entry.size());
        }
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes).with_context(of)?;
        let (picture, mask) = files.entry(name.key).or_insert((None, None));
        *(if name.is_mask { mask } else { picture }) = Some(bytes);
    }
    if files.is_empty() {
        bail!("{} holds no tiles (MT_Free/Imgs/exp1_num_3504.jpg with a .png)", of());
    }
    let pictures = files.into_iter().map(|((number, condition, kind), files)| {
        let name = format!("exp{condition}_num_{number} of the kind {kind}");
        picture(kind, number, files).with_context(|| format!("{name} in {}", of()))
    });
    pictures.collect()
}

/// The number, the condition and the kind.
type Key = (u32, u32, String);

/// The name of a file in the archive.
#[derive(Debug)]
struct Name {
    key: Key,
    is_mask: bool,
}

impl Name {
    /// Reads `MT_Blowhole/Imgs/exp1_num_108719.jpg`; none for another kind of name.
    fn parse(path: &str) -> Option<Self> {
        let mut parts = path.rsplit('/');
        let (file, _, folder) = (parts.next()?, parts.next()?, parts.next()?);
        let kind = folder.strip_prefix("MT_")?.to_lowercase();
        let (name, extension) = file.rsplit_once('.')?;
        let (condition, number) = name.strip_prefix("exp")?.split_once("_num_")?;
        let key = (number.parse().ok()?, condition.parse().ok()?, kind);
        let is_mask = match extension {
            "png" => true,
            "jpg" => false,
            _ => return None,
        };
        Some(Self { key, is_mask })
    }
}

/// The only archive in a folder.
fn archive(folder: &Path) -> Result<PathBuf> {
    let reading = || format!("cannot read `{}`", folder.display());
    let mut archives = vec![];
    for entry in std::fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        archives.extend(path.to_string_lossy().ends_with(".tar.gz").then_some(path));
    }
    match archives.pop() {
        Some(archive) if archives.is_empty() => Ok(archive),
        found => {
            let (folder, found) = (folder.display(), archives.len() + usize::from(found.is_some()));
            bail!(
                "`{folder}` holds {found} archives, and one .tar.gz is expected, as it is published"
            )
        }
    }
}

fn picture(
    kind: String,
    number: u32,
    files: (Option<Vec<u8>>, Option<Vec<u8>>),
) -> Result<Picture> {
    let (Some(picture), Some(mask)) = files else { bail!("the picture or its mask is missing") };
    let [picture, mask] = [("picture", picture), ("mask", mask)].map(|(what, bytes)| {
        let decoded = images::decode(&bytes).map_err(anyhow::Error::msg);
        Ok::<_, anyhow::Error>(decoded.with_context(|| format!("the {what}"))?.to_luma8())
    });
    let (picture, mask) = (picture?, mask?);
    if picture.dimensions() != mask.dimensions() {
        bail!(
            "the picture has {:?} pixels, its mask {:?}",
            picture.dimensions(),
            mask.dimensions()
        );
    }
    let least = (SIDE + 2 * MARGIN) as u32;
    if picture.width().min(picture.height()) < least {
        bail!(
            "the picture has {:?} pixels, at least {least} by {least} are needed",
            picture.dimensions()
        );
    }
    let inner = |size: u32| size as usize - 2 * MARGIN;
    let (width, height) = (inner(picture.width()), inner(picture.height()));
    let at = |image: &image::GrayImage, y: usize, x: usize| {
        image.get_pixel((x + MARGIN) as u32, (y + MARGIN) as u32).0[0]
    };
    let image = Array3::from_shape_fn((1, height, width), |(_, y, x)| tone(at(&picture, y, x)));
    let mask = Array2::from_shape_fn((height, width), |(y, x)| at(&mask, y, x) >= MARKED);
    Ok(Picture { kind, number, image, mask })
}

/// The logarithm of a pixel's light, from 0 to 1.
fn tone(value: u8) -> f32 {
    (GAIN * f32::from(value) / 255.0).ln_1p() / GAIN.ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_that_is_twice_as_bright_is_an_offset() {
        assert_eq!((tone(0), tone(255)), (0.0, 1.0));
        let offset = |value: u8| tone(2 * value) - tone(value);
        assert!((offset(100) / offset(50) - 1.0).abs() < 0.15);
    }

    #[test]
    fn names_of_the_archive_are_read() {
        let name = Name::parse("data/MT_Blowhole/Imgs/exp1_num_108719.png").expect("it is one");
        assert_eq!(name.key, (108_719, 1, "blowhole".into()));
        assert!(name.is_mask);
        for other in ["README.md", "MT_Free/Imgs/exp1_num_x.jpg", "MT_Free/Imgs/exp1_num_1.txt"] {
            assert!(Name::parse(other).is_none(), "{other}");
        }
    }
}
