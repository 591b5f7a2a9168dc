//! A bundle as one file: a ZIP archive of which no byte is compressed, at the end of a file.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zip::read::{ArchiveOffset, Config};
use zip::result::{ZipError, ZipResult};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, System, ZipArchive, ZipWriter};

use super::Bundle;
use crate::Error;

/// Bytes at whose multiples the members' contents begin: what vector instructions and the mapping
/// of a file into memory ask for.
const ALIGNMENT: u16 = 64;
/// The most bytes that an archive without the fields of ZIP64 can hold, less than its headers take.
const MAX_BYTES: u64 = u32::MAX as u64 - (1 << 20);

/// An archive of which every member is stored as it is.
pub(super) struct Archive {
    path: PathBuf,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    /// The archive that a file ends with, if any.
    ///
    /// Of a file that ends otherwise, its last 22 bytes are read and no more.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let mut file = File::open(path).map_err(Error::read(path))?;
        let Some(end) = End::of(&mut file).map_err(Error::read(path))? else { return Ok(None) };
        let wrong = |reason| Error::Bundle { path: path.into(), reason };
        end.check().map_err(wrong)?;
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, BufReader::new(file));
        let archive = Self { path: path.into(), zip: zip.map_err(damaged(path))? };
        archive.check()?;
        Ok(Some(archive))
    }

    /// The members' names.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.zip.file_names_raw()
    }

    /// Where in the file it begins.
    pub(super) fn start(&self) -> Result<usize, Error> {
        let members = 0..self.zip.len();
        let starts = members.map(|i| Ok(self.zip.by_index_data(i)?.header_start()));
        let starts: Vec<_> = starts.collect::<ZipResult<_>>().map_err(damaged(&self.path))?;
        Ok(starts.into_iter().min().unwrap_or_default() as usize)
    }

    /// The content of a member of at most `limit` bytes.
    pub(super) fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let path = &self.path;
        let member = match self.zip.by_name(name) {
            Err(ZipError::FileNotFound) => {
                let reason = format!("it holds no {name}");
                return Err(Error::Bundle { path: path.clone(), reason });
            }
            member => member.map_err(damaged(path))?,
        };
        if member.size() > limit {
            return Err(Error::TooLarge { path: path.join(name), bytes: member.size(), limit });
        }
        let mut content = Vec::new();
        let read = member.take(limit.saturating_add(1)).read_to_end(&mut content);
        read.map_err(|e| damaged(path)(e.into()))?;
        Ok(content)
    }

    /// Refuses members that are not plain, stored files.
    fn check(&self) -> Result<(), Error> {
        let wrong = |reason| Error::Bundle { path: self.path.clone(), reason };
        if self.zip.has_duplicate_names() {
            return Err(wrong("its archive holds two files of one name".into()));
        }
        for i in 0..self.zip.len() {
            let member = self.zip.by_index_data(i).map_err(damaged(&self.path))?;
            let name = String::from_utf8_lossy(member.name_raw());
            let name = name.escape_debug();
            if member.encrypted() {
                return Err(wrong(format!("`{name}` in its archive is encrypted")));
            }
            if member.compression() != CompressionMethod::Stored
                || member.compressed_size() != member.size()
            {
                return Err(wrong(format!("`{name}` in its archive is compressed")));
            }
            if !member.is_file() {
                return Err(wrong(format!("`{name}` in its archive is not a file")));
            }
        }
        Ok(())
    }
}

/// The record at the end of an archive that has no comment.
struct End {
    /// This disk's number, and that of the disk on which the directory starts.
    disks: [u16; 2],
    /// The members on this disk, and on all.
    members: [u16; 2],
    directory_bytes: u32,
    directory_start: u32,
    comment_bytes: u16,
    /// The file's size up to this record.
    place: u64,
}

impl End {
    const BYTES: u64 = 22;
    const SIGNATURE: &[u8] = b"PK\x05\x06";

    fn of(file: &mut File) -> std::io::Result<Option<Self>> {
        let size = file.metadata()?.len();
        let Some(place) = size.checked_sub(Self::BYTES) else { return Ok(None) };
        let mut record = [0; Self::BYTES as usize];
        file.seek(SeekFrom::Start(place))?;
        file.read_exact(&mut record)?;
        if !record.starts_with(Self::SIGNATURE) {
            return Ok(None);
        }
        let u16_at = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        Ok(Some(Self {
            disks: [u16_at(4), u16_at(6)],
            members: [u16_at(8), u16_at(10)],
            directory_bytes: u32_at(12),
            directory_start: u32_at(16),
            comment_bytes: u16_at(20),
            place,
        }))
    }

    /// Refuses a directory that is too large to be a bundle's, or that lies elsewhere, before any
    /// memory is taken for it.
    fn check(&self) -> Result<(), String> {
        const MEMBERS: u16 = 5;
        const MAX_DIRECTORY_BYTES: u32 = 1 << 16;
        if self.disks != [0; 2] || self.members[0] != self.members[1] || self.comment_bytes != 0 {
            return Err("its archive is in parts, or has a comment".into());
        }
        let [_, members] = self.members;
        if members > MEMBERS || self.directory_bytes > MAX_DIRECTORY_BYTES {
            return Err(format!(
                "its archive holds {members} files, a bundle has {MEMBERS} at most"
            ));
        }
        if u64::from(self.directory_start) + u64::from(self.directory_bytes) != self.place {
            return Err("its archive is cut short, or was put together wrongly".into());
        }
        Ok(())
    }
}

/// Writes a bundle's archive behind what is in `content`.
pub(super) fn write(bundle: &Bundle, content: Vec<u8>) -> Result<Vec<u8>, Error> {
    let files = bundle.files();
    let bytes: u64 = files.iter().map(|(_, file)| file.len() as u64).sum();
    if content.len() as u64 + bytes > MAX_BYTES {
        let reason = format!("its archive would have more than {MAX_BYTES} bytes");
        let model = bundle.manifest.name.clone();
        return Err(Error::Unsupported { model, operation: "be packed", reason });
    }
    let options = SimpleFileOptions::DEFAULT
        .compression_method(CompressionMethod::Stored)
        .system(System::Unix)
        .unix_permissions(0o644)
        .with_alignment(ALIGNMENT);
    let mut place = Cursor::new(content);
    let written = place.seek(SeekFrom::End(0)).map_err(ZipError::from).and_then(|_| {
        let mut zip = ZipWriter::new(place);
        for (name, file) in files {
            zip.start_file(name, options)?;
            zip.write_all(file)?;
        }
        zip.finish()
    });
    Ok(written.map_err(damaged(bundle.source()))?.into_inner())
}

fn damaged(path: &Path) -> impl FnOnce(ZipError) -> Error {
    move |error| match error {
        ZipError::Io(cause) if cause.raw_os_error().is_some() => Error::read(path)(cause),
        other => {
            Error::Bundle { path: path.into(), reason: format!("its archive is damaged: {other}") }
        }
    }
}
