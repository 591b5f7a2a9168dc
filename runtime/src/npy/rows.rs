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
/// The file has the bytes that [`write`](super::write()) gives all rows together. Only where a row has more than three
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
