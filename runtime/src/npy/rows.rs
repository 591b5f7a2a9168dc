//! Arrays that are written row by row, whatever the number of rows.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::Path;

use ndarray::{ArrayView, Dimension};

use super::Element;
use super::header::Header;
use crate::Error;
use crate::write::StagedFile;

/// An array `[N, ...]` on its way to a file: no more of it is in memory than the rows that are added.
///
/// The file has the bytes that [`write`](super::write()) gives all rows together.
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
/// write::publish([file], false)?;
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
    element: PhantomData<A>,
}

impl<A: Element> Rows<A> {
    /// Begins an array whose rows have this shape, under a hidden name beside its final place. Dropped before it is
    /// published, it leaves nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn create(path: &Path, row: &[usize]) -> Result<Self, Error> {
        let file = BufWriter::new(StagedFile::new(path)?);
        let mut rows = Self { file, row: row.to_owned(), count: 0, element: PhantomData };
        rows.write_header().map_err(Error::write(path))?;
        Ok(rows)
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
        let bytes = bytemuck::cast_slice(rows.as_slice().unwrap_or_default());
        self.file.write_all(bytes).map_err(|cause| self.failed(cause))?;
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
            self.file.seek(SeekFrom::Start(0))?;
            self.write_header()?;
            self.file.flush()
        };
        complete().map_err(|error| self.failed(error))?;
        Ok(self.file.into_parts().0)
    }

    /// Of the same length for every number of rows.
    fn write_header(&mut self) -> io::Result<()> {
        self.file.write_all(&Header::write::<A>(&[&[self.count], &self.row[..]].concat())?)
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::write(self.file.get_ref().path())(cause)
    }
}
