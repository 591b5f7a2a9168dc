//! A data set that the tests make themselves: bright blobs on 28x28 grey pixels, in MNIST's files.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::Array3;

/// Pixels along a side.
const SIDE: usize = 28;

/// Writes the four files of MNIST, with this many images to train on and half as many to test on.
///
/// # Errors
///
/// Where they cannot be written.
pub fn write_blobs(folder: &Path, count: usize) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (prefix, first, count) in [("train", 0, count), ("t10k", count, count / 2)] {
        let range = first..first + count;
        let labels: Vec<u8> = range.clone().map(|i| (i % 10) as u8).collect();
        let pixels: Vec<u8> = range.flat_map(blob).collect();
        let size = (count as u32).to_be_bytes();
        let side = (SIDE as u32).to_be_bytes();
        let images = [&[0, 0, 8, 3], &size[..], &side, &side, &pixels].concat();
        let labels = [&[0, 0, 8, 1], &size[..], &labels].concat();
        gzip(&folder.join(format!("{prefix}-images-idx3-ubyte.gz")), &images)?;
        gzip(&folder.join(format!("{prefix}-labels-idx1-ubyte.gz")), &labels)?;
    }
    Ok(())
}

/// Writes blobs as an array `[N, 28, 28]`: of the images of [`write_blobs`] those with these numbers,
/// which counts on from the images to train on to those to test on.
///
/// # Errors
///
/// Where it cannot be written.
pub fn write_blob_array(path: &Path, numbers: Range<usize>) -> Result<(), String> {
    let shape = (numbers.len(), SIDE, SIDE);
    let pixels = numbers.flat_map(blob).collect();
    let array = Array3::from_shape_vec(shape, pixels).expect("a blob has so many pixels");
    vae_infer::npy::write(path, &array).map_err(|e| e.to_string())
}

/// Writes blobs as image files `CLASS/NUMBER.pgm`, the first of [`write_blobs`].
///
/// # Errors
///
/// Where they cannot be written.
pub fn write_blob_files(folder: &Path, count: usize) -> std::io::Result<()> {
    for number in 0..count {
        let class = folder.join((number % 10).to_string());
        std::fs::create_dir_all(&class)?;
        let header = format!("P5 {SIDE} {SIDE} 255\n");
        let content = [header.as_bytes(), &blob(number)].concat();
        std::fs::write(class.join(format!("{number:05}.pgm")), content)?;
    }
    Ok(())
}

/// A blob whose place and width depend on its number.
fn blob(number: usize) -> Vec<u8> {
    let wave = |step: f32, low: f32, high: f32| {
        low + (high - low) * (0.5 + 0.5 * (number as f32 * step).sin())
    };
    let (x, y, width) = (wave(0.7, 6.0, 22.0), wave(1.3, 6.0, 22.0), wave(0.31, 2.0, 5.0));
    let pixel = |i: usize| {
        let (row, column) = ((i / SIDE) as f32, (i % SIDE) as f32);
        let distance = (row - y).powi(2) + (column - x).powi(2);
        (255.0 * (-distance / (2.0 * width * width)).exp()) as u8
    };
    (0..SIDE * SIDE).map(pixel).collect()
}

fn gzip(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut encoder = GzEncoder::new(std::fs::File::create(path)?, Compression::fast());
    encoder.write_all(content)?;
    encoder.finish()?.sync_all()
}
