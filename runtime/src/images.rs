//! Reading pictures: image files, folders of them, `.npy` arrays and standard input.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use ndarray::{Array3, Axis, Slice};

use crate::panics::caught;
use crate::{Error, npy};

/// A picture and the name under which it is reported.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The file, or an array's element as `file.npy[3]`.
    pub name: String,
    /// Its content.
    pub pixels: Pixels,
}

/// The content of a picture, as it was stored.
#[derive(Debug, Clone)]
pub enum Pixels {
    /// A decoded image of 8 or 16 bit integers.
    Integer(DynamicImage),
    /// Values that are already in a network's range, `[H, W, C]`.
    Float(Array3<f32>),
}

impl Picture {
    /// Its width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        match &self.pixels {
            Pixels::Integer(image) => (image.width() as usize, image.height() as usize),
            Pixels::Float(values) => (values.dim().1, values.dim().0),
        }
    }
}

impl Pixels {
    /// The memory that they take, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Integer(image) => image.as_bytes().len(),
            Self::Float(values) => size_of::<f32>() * values.len(),
        }
    }

    /// The part whose leftmost column and topmost row are `[x, y]`, of a width and a height, as far
    /// as it lies within.
    pub(crate) fn cut(&self, [x, y]: [usize; 2], [width, height]: [usize; 2]) -> Self {
        match self {
            Self::Integer(image) => {
                let [x, y, width, height] = [x, y, width, height].map(|v| v as u32);
                Self::Integer(image.crop_imm(x, y, width, height))
            }
            Self::Float(values) => {
                let within = |start: usize, length: usize, axis| {
                    let end = values.len_of(axis);
                    Slice::from(start.min(end)..(start + length).min(end))
                };
                let rows = values.slice_axis(Axis(0), within(y, height, Axis(0)));
                let part = rows.slice_axis(Axis(1), within(x, width, Axis(1)));
                Self::Float(part.to_owned())
            }
        }
    }
}

/// The most bytes of one file that are read.
pub const MAX_FILE_BYTES: u64 = 4 << 30;
/// The longest side of an image that is decoded.
pub const MAX_IMAGE_SIDE: u32 = 32_768;
/// The most memory that decoding one image may take.
pub const MAX_IMAGE_BYTES: u64 = 1 << 30;

/// The extensions that a folder is searched for.
const EXTENSIONS: [&str; 14] = [
    "png", "jpg", "jpeg", "bmp", "gif", "pbm", "pgm", "ppm", "pnm", "tif", "tiff", "webp", "pam",
    "npy",
];

/// Reads one input: an image file, a `.npy` file of many images, or `-` for standard input.
///
/// The format is told from the content, not from the file's name. Images are turned upright by
/// their EXIF orientation; of an animation the first frame is taken. A `.npy` array is
/// `[N, H, W]` or `[N, H, W, C]`, `u8` or `u16` (scaled as an image file) or floating point
/// (taken as it is).
///
/// # Errors
///
/// [`Error::Read`], [`Error::TooLarge`], [`Error::Image`] or [`Error::Npy`], with the input's name.
pub fn read(path: &Path) -> Result<Vec<Picture>, Error> {
    let (name, bytes) = content(path)?;
    if bytes.starts_with(npy::MAGIC) {
        let broken = |reason| Error::Npy { name: name.clone(), reason };
        return guarded(|| npy::pictures(&name, &bytes), broken);
    }
    let image = decode(&bytes).map_err(|reason| Error::Image { name: name.clone(), reason })?;
    Ok(vec![Picture { name, pixels: Pixels::Integer(image) }])
}

/// The name and the whole content of a regular file, or of standard input for `-`.
///
/// # Errors
///
/// [`Error::Read`] or [`Error::TooLarge`].
pub fn content(path: &Path) -> Result<(String, Vec<u8>), Error> {
    if path == Path::new("-") {
        let content = read_limited(path, std::io::stdin().lock(), 0, MAX_FILE_BYTES)?;
        return Ok(("standard input".to_owned(), content));
    }
    Ok((path.display().to_string(), read_file(path)?))
}

/// The whole content of a regular file.
///
/// # Errors
///
/// [`Error::Read`] or [`Error::TooLarge`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    read_at_most(path, MAX_FILE_BYTES)
}

/// The whole content of a regular file of at most `limit` bytes.
///
/// # Errors
///
/// [`Error::Read`] or [`Error::TooLarge`].
pub fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    // Looked at before it is opened: opening a pipe waits for a writer that may never come.
    let metadata = std::fs::metadata(path).map_err(Error::read(path))?;
    if !metadata.is_file() {
        let kind = if metadata.is_dir() { "it is a folder" } else { "it is not a regular file" };
        return Err(Error::read(path)(std::io::Error::other(kind)));
    }
    within(path, metadata.len(), limit)?;
    let file = std::fs::File::open(path).map_err(Error::read(path))?;
    read_limited(path, file, metadata.len() as usize, limit)
}

/// Reads to the end; `size` is what is expected.
fn read_limited(path: &Path, reader: impl Read, size: usize, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(size);
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::read(path))?;
    within(path, bytes.len() as u64, limit)?;
    Ok(bytes)
}

fn within(path: &Path, bytes: u64, limit: u64) -> Result<(), Error> {
    if bytes > limit {
        return Err(Error::TooLarge { path: path.into(), bytes, limit });
    }
    Ok(())
}

/// Decodes an image file's content within the limits of this module, upright.
///
/// # Errors
///
/// One sentence that says what is wrong with the content.
pub fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    guarded(|| upright(bytes), |reason| reason)
}

/// What comes of a picture, or that what decodes or resizes it panics.
pub(crate) fn guarded<T, E>(
    work: impl FnOnce() -> Result<T, E>,
    broken: impl FnOnce(String) -> E,
) -> Result<T, E> {
    caught(work).unwrap_or_else(|panic| Err(broken(format!("its decoder gave up: {panic}"))))
}

/// [`decode`] without care for a decoder's panics.
fn upright(bytes: &[u8]) -> Result<DynamicImage, String> {
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    if reader.format().is_none() {
        return Err("its content is of no known image format".into());
    }
    if reader.format() == Some(ImageFormat::Jpeg) && !ends(bytes) {
        return Err("it is cut short".into());
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_IMAGE_SIDE);
    limits.max_image_height = Some(MAX_IMAGE_SIDE);
    limits.max_alloc = Some(MAX_IMAGE_BYTES);
    reader.limits(limits);

    let mut decoder = reader.into_decoder().map_err(|e| e.to_string())?;
    if decoder.total_bytes() > MAX_IMAGE_BYTES {
        let (width, height) = decoder.dimensions();
        return Err(format!("{width}x{height} pixels are more than {MAX_IMAGE_BYTES} bytes"));
    }
    if matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F) {
        return Err("its pixels are floating-point numbers (hint: a .npy array)".into());
    }
    let orientation = decoder.orientation().map_err(|e| e.to_string())?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Whether a JPEG file's image has an end, whatever is behind it: the decoder shows what is missing as grey.
fn ends(jpeg: &[u8]) -> bool {
    let mut rest = jpeg.get(2..).unwrap_or_default();
    while let Some(marker) = rest.iter().position(|&byte| byte == 0xff) {
        rest = &rest[marker + 1..];
        let skipped = match *rest {
            [0xd9, ..] => return true,
            // Filling, a 0xff among compressed pixels, and the markers within them.
            [0xff, ..] => 0,
            [0x00 | 0x01 | 0xd0..=0xd8, ..] => 1,
            [_, high, low, ..] => 1 + usize::from(u16::from_be_bytes([high, low])),
            _ => return false,
        };
        rest = rest.get(skipped..).unwrap_or_default();
    }
    false
}

/// The inputs that a list of files and folders stands for: a folder is searched through, its
/// images and `.npy` files come in the order of their paths, and hidden ones are passed over.
///
/// # Errors
///
/// [`Error::Read`] for what is not there, [`Error::Image`] for a folder with no image in it.
pub fn expand(inputs: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for input in inputs {
        if input == Path::new("-") {
            files.push(input.clone());
            continue;
        }
        let metadata = std::fs::metadata(input).map_err(Error::read(input))?;
        if !metadata.is_dir() {
            files.push(input.clone());
            continue;
        }
        let found = within_folder(input)?;
        if found.is_empty() {
            let reason = format!(
                "the folder holds no file named {}",
                EXTENSIONS.map(|e| format!(".{e}")).join(", ")
            );
            return Err(Error::Image { name: input.display().to_string(), reason });
        }
        files.extend(found);
    }
    Ok(files)
}

/// The images and `.npy` files below a folder in the order of their paths, none of them hidden.
///
/// # Errors
///
/// [`Error::Read`].
pub fn within_folder(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    walk(folder, &mut files)?;
    Ok(files)
}

/// Collects a folder's images. Links to folders are not followed, so a walk always ends.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).map_err(Error::read(folder))? {
        let entry = entry.map_err(Error::read(folder))?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(Error::read(&entry.path()))?;
        if kind.is_dir() || is_image(Path::new(&name)) {
            found.push((name, kind));
        }
    }
    // By name, folder after folder, is the order of paths, and takes less than to compare them whole.
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    for (name, kind) in found {
        let path = folder.join(name);
        if kind.is_dir() {
            match walk(&path, files) {
                // It was removed meanwhile.
                Err(_) if !path.exists() => {}
                walked => walked?,
            }
        } else if !(kind.is_symlink() && path.is_dir()) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a file's name is one that a folder is searched for.
pub fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_panics_is_what_is_wrong_with_its_image() {
        assert_eq!(guarded(|| Ok(3), |reason| reason), Ok(3));
        let panicked = guarded(|| -> Result<u8, _> { panic!("at row {}", 7) }, |reason| reason);
        assert_eq!(panicked, Err("its decoder gave up: at row 7".into()));
        let unknown = "its content is of no known image format";
        assert_eq!(decode(b"nothing").err(), Some(unknown.into()));
    }

    #[test]
    fn a_folder_is_in_the_order_of_its_paths() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = ["b.png", "a-b/x.png", "a/y/1.png", "a/y.png", "a.png", ".x.png", "a/t.txt"];
        for file in inside.map(|file| folder.path().join(file)) {
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, "").expect("a file");
        }
        let found = within_folder(folder.path()).expect("a folder");
        let expected = ["a/y/1.png", "a/y.png", "a-b/x.png", "a.png", "b.png"];
        assert_eq!(found, expected.map(|file| folder.path().join(file)));
        assert!(found.is_sorted());
    }
}
