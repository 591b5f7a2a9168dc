//! Data sets from end to end: files in, tensors and clear errors out.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its files has failed")]

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::Array4;
use vae_infer::ImageSpec;
use vae_train::data::{DataConfig, Dataset, Error, Loaded, load};

mod classes; // only some classes of a source
mod download; // known sets from a server of the test's own: resume, refusal, no network
mod folders; // image folders and `.npy` arrays
mod idx; // IDX files, good and bad, and EMNIST's peculiarities
mod patterns; // the images that the program makes
mod real; // the real data sets, where they are
mod server; // a tiny HTTP server
mod stored; // images that are decoded when they are asked for

/// Loads a folder with default settings.
fn load_folder(folder: &Path, image: &ImageSpec) -> Result<Loaded, Error> {
    load(&DataConfig::default(), Some(folder), image)
}

/// The images of a split, decoded.
fn array(dataset: &Dataset) -> Array4<f32> {
    let places: Vec<usize> = (0..dataset.images.len()).collect();
    dataset.images.read(&places).unwrap()
}

/// The message of a folder that must be refused.
fn refusal(folder: &Path, image: &ImageSpec) -> String {
    load_folder(folder, image).expect_err("the folder must be refused").to_string()
}

/// An IDX file of bytes.
fn idx_bytes(shape: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|axis| axis.to_be_bytes()));
    bytes.extend_from_slice(elements);
    bytes
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Writes a file, and the folders above it.
fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
