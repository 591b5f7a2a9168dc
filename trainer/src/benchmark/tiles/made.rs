//! Tiles that stand in for the archive in a quick run.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use image::{GrayImage, ImageFormat, Luma};
use vae_infer::write;

/// Tiles, of which every third has a defect, and the conditions under which each is taken.
const TILES: u32 = 12;
const CONDITIONS: u32 = 2;
const WIDTH: u32 = 96;
const HEIGHT: u32 = 72;

/// Writes an archive like the published one to a folder.
///
/// # Errors
///
/// Where it cannot be written.
pub(crate) fn write(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create `{}`", folder.display()))?;
    let mut archive = tar::Builder::new(GzEncoder::new(vec![], Compression::fast()));
    for (tile, condition) in (0..TILES).flat_map(|t| (0..CONDITIONS).map(move |c| (t, c))) {
        let cracked = tile % 3 == 0;
        let crack = |y: u32, x: u32| cracked && (30..70).contains(&x) && y.abs_diff(x / 2) < 2;
        let wave = |y: u32, x: u32| {
            ((x + 7 * tile) as f32 / (4 + tile) as f32).sin() * (y as f32 / 9.0).cos()
        };
        let picture = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
            let light = 110.0 + 20.0 * condition as f32 + 30.0 * wave(y, x);
            Luma([if crack(y, x) { 10 } else { light as u8 }])
        });
        let mask =
            GrayImage::from_fn(WIDTH, HEIGHT, |x, y| Luma([if crack(y, x) { 255 } else { 0 }]));
        let kind = if cracked { "MT_Crack" } else { "MT_Free" };
        let name =
            format!("{kind}/Imgs/exp{}_num_{}", condition + 1, 1000 * (tile + 1) + condition);
        for (image, format, extension) in
            [(picture, ImageFormat::Jpeg, "jpg"), (mask, ImageFormat::Png, "png")]
        {
            let mut bytes = Cursor::new(vec![]);
            image.write_to(&mut bytes, format)?;
            let bytes = bytes.into_inner();
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("{name}.{extension}"), &*bytes)?;
        }
    }
    let bytes = archive.into_inner()?.finish()?;
    Ok(write::atomically(&folder.join("made.tar.gz"), &bytes)?)
}
