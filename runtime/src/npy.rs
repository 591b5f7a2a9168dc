//! `.npy` arrays, read with their declared size held against what is there, and written whole or row by row.

mod element;
mod header;
mod rows;
mod stored;

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;

use image::{DynamicImage, ImageBuffer, Luma, Rgb};
use ndarray::{ArrayD, ArrayRef, Axis, Dimension};

use crate::images::{Picture, Pixels};
use crate::{Error, write};
use header::Header;
use stored::Stored;

pub use element::Element;
pub use header::MAGIC;
pub use rows::Rows;

/// Reads an array of `f4`, `f8`, `u1`, `u2`, `i4` or `i8` as `f32`.
///
/// # Errors
///
/// [`Error::Npy`] for a damaged file, other elements, or more declared data than there is;
/// [`Error::NotFinite`] for a NaN or an infinity.
pub fn floats(name: &str, bytes: &[u8]) -> Result<ArrayD<f32>, Error> {
    let stored = Stored::open(name, bytes)?;
    let array = match stored.kind() {
        "f4" => stored.array::<f32>(),
        "f8" => stored.array::<f64>().mapv(|v| v as f32),
        "u1" => stored.array::<u8>().mapv(f32::from),
        "u2" => stored.array::<u16>().mapv(f32::from),
        "i4" => stored.array::<i32>().mapv(|v| v as f32),
        "i8" => stored.array::<i64>().mapv(|v| v as f32),
        _ => return Err(stored.unsupported()),
    };
    if array.iter().any(|v| !v.is_finite()) {
        return Err(Error::NotFinite { what: format!("`{name}`") });
    }
    Ok(array)
}

/// Reads an array of integer labels of any rank, in order.
///
/// # Errors
///
/// [`Error::Npy`] for a damaged file or elements that are not integers.
pub fn labels(name: &str, bytes: &[u8]) -> Result<Vec<i64>, Error> {
    let stored = Stored::open(name, bytes)?;
    let array = match stored.kind() {
        "b1" => stored.array::<u8>().mapv(|v| i64::from(v != 0)),
        "u1" => stored.array::<u8>().mapv(i64::from),
        "i1" => stored.array::<i8>().mapv(i64::from),
        "u2" => stored.array::<u16>().mapv(i64::from),
        "i2" => stored.array::<i16>().mapv(i64::from),
        "u4" => stored.array::<u32>().mapv(i64::from),
        "i4" => stored.array::<i32>().mapv(i64::from),
        "i8" => stored.array::<i64>(),
        _ => return Err(stored.unsupported()),
    };
    Ok(array.into_iter().collect())
}

/// Reads an array of pictures: `[N, H, W]` or `[N, H, W, C]`, `u8`, `u16` or floating point.
///
/// # Errors
///
/// [`Error::Npy`] or [`Error::NotFinite`], as [`floats`].
pub fn pictures(name: &str, bytes: &[u8]) -> Result<Vec<Picture>, Error> {
    let stored = Stored::open(name, bytes)?;
    match stored.kind() {
        "u1" => split(name, stored.array::<u8>(), |h, w, channels, values| match channels {
            1 => ImageBuffer::<Luma<u8>, _>::from_raw(w, h, values)
                .map(|i| Pixels::Integer(i.into())),
            _ => {
                ImageBuffer::<Rgb<u8>, _>::from_raw(w, h, values).map(|i| Pixels::Integer(i.into()))
            }
        }),
        "u2" => split(name, stored.array::<u16>(), |h, w, channels, values| match channels {
            1 => ImageBuffer::<Luma<u16>, _>::from_raw(w, h, values)
                .map(|i| Pixels::Integer(DynamicImage::ImageLuma16(i))),
            _ => ImageBuffer::<Rgb<u16>, _>::from_raw(w, h, values)
                .map(|i| Pixels::Integer(DynamicImage::ImageRgb16(i))),
        }),
        "f4" | "f8" => split(name, floats(name, bytes)?, |h, w, channels, values| {
            let shape = (h as usize, w as usize, channels);
            ndarray::Array3::from_shape_vec(shape, values).ok().map(Pixels::Float)
        }),
        _ => Err(stored.unsupported()),
    }
}

/// The length of the first axis of the array in a file, which is not read: none where its header is not one that the
/// file's length bears out.
pub fn length(path: &Path) -> Option<usize> {
    // Opening a pipe would wait for a writer.
    let whole = std::fs::metadata(path).ok().filter(Metadata::is_file)?.len();
    let mut begin = vec![];
    File::open(path).ok()?.take(header::MAX_BYTES as u64 + 16).read_to_end(&mut begin).ok()?;
    let (header, elements) = Header::read(&begin).ok()?;
    let before = (begin.len() - elements.len()) as u64;
    let borne_out = before.checked_add(header.declared()? as u64) == Some(whole);
    header.shape.first().copied().filter(|_| borne_out)
}

/// The content of a `.npy` file that holds an array, row-major, as NumPy writes it.
///
/// # Panics
///
/// For an array of more than 64 axes.
pub fn encode<A, D>(array: &ArrayRef<A, D>) -> Vec<u8>
where
    A: Element,
    D: Dimension,
{
    let mut bytes = Header::write::<A>(array.shape()).expect("an array of fewer axes");
    let array = array.as_standard_layout();
    bytes.extend(bytemuck::cast_slice(array.as_slice().unwrap_or_default()));
    bytes
}

/// Writes an array under a name, or leaves what was there.
///
/// # Errors
///
/// [`Error::Write`].
pub fn write<A, D>(path: &Path, array: &ArrayRef<A, D>) -> Result<(), Error>
where
    A: Element,
    D: Dimension,
{
    write::atomically(path, &encode(array))
}

/// Splits `[N, H, W]` or `[N, H, W, C]` into its `N` pictures.
fn split<A: Clone>(
    name: &str,
    array: ArrayD<A>,
    pixels: impl Fn(u32, u32, usize, Vec<A>) -> Option<Pixels>,
) -> Result<Vec<Picture>, Error> {
    let shape = array.shape().to_vec();
    let wrong = || Error::Npy {
        name: name.to_owned(),
        reason: format!(
            "its shape is {shape:?}, pictures are [N, H, W] or [N, H, W, C] with C 1 or 3"
        ),
    };
    let (height, width, channels) = match shape[..] {
        [_, h, w] => (h, w, 1),
        [_, h, w, c @ (1 | 3)] => (h, w, c),
        _ => return Err(wrong()),
    };
    let (height, width) =
        (u32::try_from(height).map_err(|_| wrong())?, u32::try_from(width).map_err(|_| wrong())?);
    if shape.contains(&0) {
        let reason = format!("its shape is {shape:?}, it holds no picture");
        return Err(Error::Npy { name: name.to_owned(), reason });
    }
    array
        .axis_iter(Axis(0))
        .enumerate()
        .map(|(i, element)| {
            let pixels = pixels(height, width, channels, element.iter().cloned().collect());
            Ok(Picture { name: format!("{name}[{i}]"), pixels: pixels.ok_or_else(wrong)? })
        })
        .collect()
}
