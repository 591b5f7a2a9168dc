//! `.npy` arrays, read with their declared size held against what is there, and written whole or row by row.

mod rows;

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageBuffer, Luma, Rgb};
use ndarray::{ArrayD, Axis, Dimension};
use ndarray_npy::npy::header::Header;
use ndarray_npy::{ReadNpyExt, WritableElement, WriteNpyExt};

use crate::images::{Picture, Pixels};
use crate::{Error, write};

pub use rows::Rows;

/// The first bytes of every `.npy` file.
pub const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header that is read; numpy's own are shorter than 1 KiB.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Reads an array of `f4`, `f8`, `u1`, `u2`, `i4` or `i8` as `f32`.
///
/// # Errors
///
/// [`Error::Npy`] for a damaged file, other elements, or more declared data than there is;
/// [`Error::NotFinite`] for a NaN or an infinity.
pub fn floats(name: &str, bytes: &[u8]) -> Result<ArrayD<f32>, Error> {
    let array = match element_type(name, bytes)?.as_str() {
        "f4" => array::<f32>(name, bytes)?,
        "f8" => array::<f64>(name, bytes)?.mapv(|v| v as f32),
        "u1" => array::<u8>(name, bytes)?.mapv(f32::from),
        "u2" => array::<u16>(name, bytes)?.mapv(f32::from),
        "i4" => array::<i32>(name, bytes)?.mapv(|v| v as f32),
        "i8" => array::<i64>(name, bytes)?.mapv(|v| v as f32),
        other => return Err(unsupported(name, other)),
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
    let array = match element_type(name, bytes)?.as_str() {
        "b1" => array::<bool>(name, bytes)?.mapv(i64::from),
        "u1" => array::<u8>(name, bytes)?.mapv(i64::from),
        "i1" => array::<i8>(name, bytes)?.mapv(i64::from),
        "u2" => array::<u16>(name, bytes)?.mapv(i64::from),
        "i2" => array::<i16>(name, bytes)?.mapv(i64::from),
        "u4" => array::<u32>(name, bytes)?.mapv(i64::from),
        "i4" => array::<i32>(name, bytes)?.mapv(i64::from),
        "i8" => array::<i64>(name, bytes)?,
        other => return Err(unsupported(name, other)),
    };
    Ok(array.into_iter().collect())
}

/// Reads an array of pictures: `[N, H, W]` or `[N, H, W, C]`, `u8`, `u16` or floating point.
///
/// # Errors
///
/// [`Error::Npy`] or [`Error::NotFinite`], as [`floats`].
pub fn pictures(name: &str, bytes: &[u8]) -> Result<Vec<Picture>, Error> {
    match element_type(name, bytes)?.as_str() {
        "u1" => split(name, array::<u8>(name, bytes)?, |h, w, channels, values| match channels {
            1 => ImageBuffer::<Luma<u8>, _>::from_raw(w, h, values)
                .map(|i| Pixels::Integer(i.into())),
            _ => {
                ImageBuffer::<Rgb<u8>, _>::from_raw(w, h, values).map(|i| Pixels::Integer(i.into()))
            }
        }),
        "u2" => split(name, array::<u16>(name, bytes)?, |h, w, channels, values| match channels {
            1 => ImageBuffer::<Luma<u16>, _>::from_raw(w, h, values)
                .map(|i| Pixels::Integer(DynamicImage::ImageLuma16(i))),
            _ => ImageBuffer::<Rgb<u16>, _>::from_raw(w, h, values)
                .map(|i| Pixels::Integer(DynamicImage::ImageRgb16(i))),
        }),
        "f4" | "f8" => split(name, floats(name, bytes)?, |h, w, channels, values| {
            let shape = (h as usize, w as usize, channels);
            ndarray::Array3::from_shape_vec(shape, values).ok().map(Pixels::Float)
        }),
        other => Err(unsupported(name, other)),
    }
}

/// The content of a `.npy` file that holds an array.
pub fn encode<A, D>(array: &ndarray::Array<A, D>) -> Vec<u8>
where
    A: WritableElement,
    D: Dimension,
{
    let mut bytes = Vec::new();
    array.write_npy(&mut bytes).expect("memory takes every write, and headers here are short");
    bytes
}

/// Writes an array under a name, or leaves what was there.
///
/// # Errors
///
/// [`Error::Write`].
pub fn write<A, D>(path: &Path, array: &ndarray::Array<A, D>) -> Result<(), Error>
where
    A: WritableElement,
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

/// The element type without its byte order, as `f4`, after the header was held against the
/// file's length: a header of a few bytes may declare more data than any memory holds.
fn element_type(name: &str, bytes: &[u8]) -> Result<String, Error> {
    let wrong = |reason: String| Error::Npy { name: name.to_owned(), reason };
    if !bytes.starts_with(MAGIC) {
        return Err(wrong("it does not begin as one".into()));
    }
    let head = &bytes[..bytes.len().min(MAX_HEADER_BYTES)];
    let declared = match head.get(6..12) {
        Some(&[1, _, a, b, ..]) => u16::from_le_bytes([a, b]) as usize,
        Some(&[2 | 3, _, a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as usize,
        _ => return Err(wrong("its header is cut short or of an unknown version".into())),
    };
    if declared > head.len() {
        return Err(wrong(format!("its header declares {declared} bytes and is cut short")));
    }
    let mut cursor = Cursor::new(head);
    // A syntax error shows the whole header below its first line.
    let first_line = |e: String| e.lines().next().unwrap_or_default().to_owned();
    let header = Header::from_reader(&mut cursor).map_err(|e| wrong(first_line(e.to_string())))?;
    let descriptor = header
        .type_descriptor
        .as_string()
        .ok_or_else(|| wrong("its elements are records".into()))?;
    let kind = descriptor.trim_start_matches(['<', '>', '|', '=']).to_owned();
    let size = kind.get(1..).and_then(|size| size.parse().ok());
    let size: usize = size.ok_or_else(|| unsupported(name, &kind))?;
    // An array with an axis of 0 has no elements, and its other axes are held within memory all the same.
    let axes = header.shape.iter().filter(|&&d| d > 0);
    let within =
        axes.copied().try_fold(size, usize::checked_mul).filter(|&n| n <= isize::MAX as usize);
    if within.is_none() {
        return Err(wrong(format!("its header declares the shape {:?}", header.shape)));
    }
    let wanted = header.shape.iter().copied().try_fold(size, usize::checked_mul);
    let present = bytes.len() - cursor.position() as usize;
    if wanted != Some(present) {
        return Err(wrong(format!(
            "its header declares {:?} elements of {size} bytes, and {present} bytes follow",
            header.shape
        )));
    }
    Ok(kind)
}

fn array<A: ndarray_npy::ReadableElement>(name: &str, bytes: &[u8]) -> Result<ArrayD<A>, Error> {
    ArrayD::<A>::read_npy(bytes)
        .map_err(|e| Error::Npy { name: name.to_owned(), reason: e.to_string() })
}

fn unsupported(name: &str, element: &str) -> Error {
    Error::Npy {
        name: name.to_owned(),
        reason: format!("elements of type `{element}` are not supported here"),
    }
}
