//! The IDX format of MNIST and its relatives: arrays of bytes behind a short header, plain or gz.

use std::io::Read;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use vae_infer::images;

use super::Error;

/// An array of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    content: Vec<u8>,
    shape: Vec<usize>,
}

/// The most axes that an array may have.
const MAX_AXES: usize = 4;
/// A deflate stream holds at most this many bytes for each of its own.
const MAX_DEFLATE_RATIO: usize = 1_032;

impl Idx {
    /// Reads a file, plain or gz by its content.
    ///
    /// # Errors
    ///
    /// [`Error::Infer`] where it cannot be read, [`Error::Idx`] where it is cut short, damaged,
    /// longer than its header says, empty, or of another format.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = images::read_file(path)?;
        Self::parse(bytes).map_err(|reason| Error::Idx { path: path.into(), reason })
    }

    /// Understands a file's content, plain or gz. Nothing is allocated on the word of a header.
    ///
    /// # Errors
    ///
    /// One sentence that says what is wrong with the content.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let content = if bytes.starts_with(&[0x1f, 0x8b]) { unpack(&bytes)? } else { bytes };
        let (shape, length) = header(&content)?;
        if content.len() != length {
            let got = content.len();
            return Err(format!(
                "its header declares {shape:?}, {length} bytes with it, and it has {got}"
            ));
        }
        Ok(Self { content, shape })
    }

    /// The length of each axis, none of them 0.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, the last axis running fastest.
    pub fn elements(&self) -> &[u8] {
        &self.content[header_length(self.shape.len())..]
    }

    /// The whole file without its compression, which is what a content hash is of.
    pub fn content(&self) -> &[u8] {
        &self.content
    }
}

fn header_length(axes: usize) -> usize {
    4 + 4 * axes
}

/// The declared shape, and the length in bytes of such a file.
fn header(content: &[u8]) -> Result<(Vec<usize>, usize), String> {
    let axes = axes(content)?;
    let (lengths, _) =
        content.get(4..header_length(axes)).ok_or("its header is cut short")?.as_chunks::<4>();
    let shape: Vec<usize> = lengths.iter().map(|&b| u32::from_be_bytes(b) as usize).collect();
    if shape.contains(&0) {
        return Err(format!("its header declares {shape:?}, which is empty"));
    }
    let length = shape
        .iter()
        .try_fold(1_usize, |n, &axis| n.checked_mul(axis))
        .and_then(|n| n.checked_add(header_length(axes)))
        .ok_or_else(|| format!("its header declares {shape:?}, more than any memory holds"))?;
    Ok((shape, length))
}

fn axes(content: &[u8]) -> Result<usize, String> {
    match *content {
        [] => Err("it is empty".into()),
        [0, 0, 8, axes, ..] if (1..=MAX_AXES).contains(&axes.into()) => Ok(axes.into()),
        [0, 0, 8, axes, ..] => {
            Err(format!("its header declares {axes} axes, expected 1 to {MAX_AXES}"))
        }
        [0, 0, kind @ (9 | 11..=14), _, ..] => {
            Err(format!("its elements are of type {kind:#04x}, expected unsigned bytes (0x08)"))
        }
        _ => Err("it does not begin as an IDX file of bytes (00 00 08)".into()),
    }
}

/// Decompresses one byte more than the header declares at most.
fn unpack(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoder = MultiGzDecoder::new(bytes);
    let mut content = Vec::new();
    let mut read = |content: &mut Vec<u8>, more: usize| {
        let read = decoder.by_ref().take(more as u64).read_to_end(content);
        read.map_err(|e| format!("its gz compression is damaged or cut short: {e}"))
    };
    read(&mut content, header_length(0))?;
    let axes = axes(&content)?;
    read(&mut content, 4 * axes)?;
    let (shape, length) = header(&content)?;
    if length / MAX_DEFLATE_RATIO > bytes.len() {
        let got = bytes.len();
        return Err(format!(
            "its header declares {shape:?}, more than {got} compressed bytes can hold"
        ));
    }
    let rest = length - content.len() + 1;
    read(&mut content, rest)?;
    if content.len() > length {
        return Err(format!("its header declares {shape:?}, and it holds more than that"));
    }
    Ok(content)
}
