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

use crate::images::{self, Picture, Pixels};
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

/// How many pictures [`pictures`] gives of a file, as its header says and its length bears out. None where it is no array
/// of pictures, or larger than what is read.
pub fn count_pictures(path: &Path) -> Option<usize> {
    // Opening a pipe would wait for a writer.
    let whole = std::fs::metadata(path).ok().filter(Metadata::is_file)?.len();
    if whole > images::MAX_FILE_BYTES {
        return None;
    }
    let mut begin = vec![];
    File::open(path).ok()?.take(header::MAX_BYTES as u64 + 16).read_to_end(&mut begin).ok()?;
    let (header, elements) = Header::read(&begin).ok()?;
    let before = (begin.len() - elements.len()) as u64;
    let borne_out = before.checked_add(header.declared()? as u64) == Some(whole);
    let [count, ..] = sides(&header.shape).filter(|_| borne_out)?;
    (!header.shape.contains(&0)).then_some(count)
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

/// Number, height, width and channels of the pictures in an array of this shape.
fn sides(shape: &[usize]) -> Option<[usize; 4]> {
    match *shape {
        [n, h, w] => Some([n, h, w, 1]),
        [n, h, w, c @ (1 | 3)] => Some([n, h, w, c]),
        _ => None,
    }
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
    let [_, height, width, channels] = sides(&shape).ok_or_else(wrong)?;
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

#[cfg(test)]
mod tests {
    use ndarray::{Array3, ArrayD, IxDyn};

    use super::*;

    #[test]
    fn pictures_are_counted_where_there_are_any() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.npy");
        for (shape, count) in [
            (&[7, 2, 3][..], Some(7)),
            (&[7, 2, 3, 1], Some(7)),
            (&[7, 2, 3, 3], Some(7)),
            (&[7, 2, 3, 2], None),
            (&[7, 2], None),
            (&[0, 2, 3], None),
            (&[7, 0, 3], None),
        ] {
            write(&path, &ArrayD::<u8>::zeros(IxDyn(shape))).expect("an array");
            assert_eq!(count_pictures(&path), count, "{shape:?}");
        }
        let whole = encode(&Array3::<f32>::zeros((2, 3, 4)));
        for bytes in [&whole[..whole.len() - 1], &[&whole[..], b"x"].concat(), b"P5 1 1 255 x"] {
            std::fs::write(&path, bytes).expect("a file");
            assert_eq!(count_pictures(&path), None);
        }
        assert_eq!(count_pictures(folder.path()), None);
        assert_eq!(count_pictures(&folder.path().join("none.npy")), None);
    }
}
