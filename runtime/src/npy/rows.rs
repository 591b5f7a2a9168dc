//! Arrays that are written row by row, whatever the number of rows.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::Path;

use ndarray::{ArrayView, Dimension};
use ndarray_npy::npy::header::{Header, Layout};
use ndarray_npy::{WritableElement, WriteDataError};

use crate::Error;
use crate::write::StagedFile;

/// An array `[N, ...]` on its way to a file: no more of it is in memory than the rows that are added.
///
/// The file has the bytes that [`write`](super::write) gives all rows together. Only where a row has more than three
/// dimensions may its header be longer.
///
/// ```
/// use ndarray::Array2;
/// use vae_infer::{npy, write};
///
/// # fn main() -> Result<(), vae_infer::Error> {
/// # let folder = tempfile::tempdir().expect("a writable folder");
/// # let path = folder.path().join("latents.npy");
/// let mut rows = npy::Rows::create(&path, &[8])?;
/// for _ in 0..3 {
///     rows.add(Array2::<f32>::zeros((64, 8)).view())?;
/// }
/// let file = rows.finish()?;
/// assert!(!path.exists(), "it gets its name when it is whole");
/// write::publish([file])?;
/// # let bytes = std::fs::read(&path).expect("it was written");
/// # assert_eq!(bytes, npy::encode(&Array2::<f32>::zeros((192, 8))));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Rows<A> {
    file: BufWriter<StagedFile>,
    row: Vec<usize>,
    count: usize,
    /// The bytes in front of the rows.
    header: usize,
    element: PhantomData<A>,
}

impl<A: WritableElement + Clone> Rows<A> {
    /// Begins an array whose rows have this shape, under a hidden name beside its final place. Dropped before it is
    /// published, it leaves nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn create(path: &Path, row: &[usize]) -> Result<Self, Error> {
        // Whatever the number of rows will be, its header has room here.
        let header = header::<A>(usize::MAX, row).map_err(Error::write(path))?;
        let mut file = BufWriter::new(StagedFile::new(path)?);
        file.write_all(&header).map_err(Error::write(path))?;
        let (row, header) = (row.to_owned(), header.len());
        Ok(Self { file, row, count: 0, header, element: PhantomData })
    }

    /// Adds rows behind those that are there.
    ///
    /// # Shapes
    ///
    /// rows: `[n, ...]`, with a row's shape after the `n`
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for rows of another shape, else [`Error::Write`].
    pub fn add<D: Dimension>(&mut self, rows: ArrayView<A, D>) -> Result<(), Error> {
        let count = match rows.shape() {
            [count, row @ ..] if *row == *self.row => *count,
            got => {
                let (got, expected) = (got.to_owned(), format!("rows of {:?}", self.row));
                return Err(Error::Shape { what: "a part of an array", got, expected });
            }
        };
        let rows = rows.as_standard_layout();
        let written = A::write_slice(rows.as_slice().unwrap_or_default(), &mut self.file);
        written.map_err(|error| match error {
            WriteDataError::Io(cause) => self.failed(cause),
            WriteDataError::FormatData(cause) => self.failed(io::Error::other(cause)),
        })?;
        self.count += count;
        Ok(())
    }

    /// The whole file, to be [published](crate::write::publish), alone or with others.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn finish(mut self) -> Result<StagedFile, Error> {
        let mut complete = || {
            let header = padded(header::<A>(self.count, &self.row)?, self.header);
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&header)?;
            self.file.flush()
        };
        complete().map_err(|error| self.failed(error))?;
        Ok(self.file.into_parts().0)
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::write(self.file.get_ref().path())(cause)
    }
}

/// The header of an array of so many rows; one of thousands of dimensions, which no program reads, is refused.
fn header<A: WritableElement>(count: usize, row: &[usize]) -> io::Result<Vec<u8>> {
    let shape = [&[count], row].concat();
    let header = Header { type_descriptor: A::type_descriptor(), layout: Layout::Standard, shape };
    let bytes = header.to_bytes().map_err(io::Error::other)?;
    u16::try_from(bytes.len()).map_err(|_| io::Error::other("an array of too many dimensions"))?;
    Ok(bytes)
}

/// A header with blanks up to its new length, which bytes 8 and 9 of it tell without the first ten.
fn padded(mut header: Vec<u8>, length: usize) -> Vec<u8> {
    if header.len() < length {
        header.pop();
        header.resize(length - 1, b' ');
        header.push(b'\n');
        header[8..10].copy_from_slice(&(length as u16 - 10).to_le_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ndarray::{Array, Array4, ArrayD, Axis, IxDyn};

    use super::super::{encode, floats};
    use super::*;
    use crate::write::publish;

    /// An array's file, written in parts of so many rows.
    fn written(array: &ArrayD<f32>, part: usize) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.npy");
        let mut rows = Rows::create(&path, &array.shape()[1..]).expect("a file");
        for part in array.axis_chunks_iter(Axis(0), part) {
            rows.add(part).expect("rows");
        }
        publish([rows.finish().expect("all rows")]).expect("a name");
        fs::read(path).expect("it is there")
    }

    #[test]
    fn a_file_has_the_same_bytes_whatever_it_is_written_in() {
        for shape in [&[7][..], &[0, 3], &[70, 3], &[9, 5, 4], &[100, 28, 28, 1], &[1, 2, 3, 4]] {
            let array = Array::from_shape_fn(IxDyn(shape), |at| {
                at.as_array_view().iter().fold(0, |sum, i| 10 * sum + i) as f32
            });
            for part in [1, 4, 64] {
                assert_eq!(written(&array, part), encode(&array), "{shape:?} by {part}");
            }
        }
    }

    /// Its header needs a line more for the largest number of rows than for two.
    #[test]
    fn a_header_that_was_made_too_long_is_padded() {
        let array =
            ArrayD::from_elem(IxDyn(&[2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]), 0.5);
        let (long, short) = (written(&array, 1), encode(&array));
        assert_eq!((long.len(), short.len()), (192 + 8, 128 + 8));
        assert_eq!(floats("long", &long).expect("an array"), array);
    }

    #[test]
    fn rows_of_another_shape_are_refused_and_what_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.npy");
        let mut rows = Rows::create(&path, &[2, 3, 1]).expect("a file");
        rows.add(Array4::<f32>::zeros((5, 2, 3, 1)).view()).expect("rows");
        for wrong in [vec![], vec![5], vec![5, 2, 3], vec![5, 3, 2, 1]] {
            let refused = rows.add(ArrayD::<f32>::zeros(wrong).view());
            assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
        }
        let file = rows.finish().expect("all rows");
        let there = || fs::read_dir(&folder).expect("a folder").count();
        assert_eq!((there(), path.exists()), (1, false));
        drop(file);
        assert_eq!(there(), 0);
        assert!(Rows::<f32>::create(&path, &[1; 100_000]).is_err());
    }
}
