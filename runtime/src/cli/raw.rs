//! Frames without headers, one after the other, as `ffmpeg -f rawvideo` writes them.

use std::io::Read;
use std::str::FromStr;
use std::thread;

use anyhow::{Context, Result, bail};
use image::{DynamicImage, ImageBuffer};
use vae_infer::images::{MAX_IMAGE_BYTES, MAX_IMAGE_SIDE, Picture, Pixels};

use super::inputs::Item;
use super::options::BATCH;
use super::source::{Inlet, Queue};

/// Frames of up to this many bytes together wait, or one.
const WAITING_BYTES: usize = 256 << 20;

/// How a frame lies in its bytes: row by row from the top, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    width: u32,
    height: u32,
    format: Format,
}

/// The bytes of a pixel, under the names that FFmpeg has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Gray8,
    Gray16Le,
    Rgb24,
    Rgb48Le,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "gray8" | "gray" => Ok(Self::Gray8),
            "gray16le" => Ok(Self::Gray16Le),
            "rgb24" => Ok(Self::Rgb24),
            "rgb48le" => Ok(Self::Rgb48Le),
            _ => Err(format!(
                "pixels are gray8, gray16le, rgb24 or rgb48le, not `{name}` (hint: ffmpeg -pix_fmt)"
            )),
        }
    }
}

impl FromStr for Raw {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (size, format) = text
            .split_once(':')
            .ok_or("it is written as WIDTHxHEIGHT:PIXELS, like 640x480:gray8")?;
        let format = format.parse()?;
        let sides = size.split_once('x').map(|(width, height)| (width.parse(), height.parse()));
        let Some((Ok(width), Ok(height))) = sides else {
            return Err(format!("a size is written as 640x480, not `{size}`"));
        };
        let raw = Self { width, height, format };
        let within = |side| (1..=MAX_IMAGE_SIDE).contains(&side);
        if !(within(width) && within(height)) || raw.bytes() as u64 > MAX_IMAGE_BYTES {
            return Err(format!(
                "frames are 1 to {MAX_IMAGE_SIDE} pixels wide and high and at most \
                 {MAX_IMAGE_BYTES} bytes"
            ));
        }
        Ok(raw)
    }
}

impl Raw {
    /// The size of a frame.
    fn bytes(self) -> usize {
        let pixel = match self.format {
            Format::Gray8 => 1,
            Format::Gray16Le => 2,
            Format::Rgb24 => 3,
            Format::Rgb48Le => 6,
        };
        self.width as usize * self.height as usize * pixel
    }

    /// The picture of a frame's bytes.
    fn picture(self, bytes: Vec<u8>) -> DynamicImage {
        let Self { width, height, format } = self;
        let deep = |bytes: &[u8]| -> Vec<u16> {
            bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
        };
        let whole = "a frame has the bytes of all its pixels";
        match format {
            Format::Gray8 => {
                DynamicImage::ImageLuma8(ImageBuffer::from_raw(width, height, bytes).expect(whole))
            }
            Format::Gray16Le => DynamicImage::ImageLuma16(
                ImageBuffer::from_raw(width, height, deep(&bytes)).expect(whole),
            ),
            Format::Rgb24 => {
                DynamicImage::ImageRgb8(ImageBuffer::from_raw(width, height, bytes).expect(whole))
            }
            Format::Rgb48Le => DynamicImage::ImageRgb16(
                ImageBuffer::from_raw(width, height, deep(&bytes)).expect(whole),
            ),
        }
    }

    /// The next frame's bytes; nothing where the stream ends before them.
    fn next(self, input: &mut impl Read, index: usize) -> Result<Option<Vec<u8>>> {
        let size = self.bytes();
        let mut bytes = Vec::with_capacity(size);
        input.take(size as u64).read_to_end(&mut bytes).context("cannot read standard input")?;
        match size - bytes.len() {
            0 => Ok(Some(bytes)),
            missing if missing == size && index > 0 => Ok(None),
            missing if missing == size => bail!(
                "no frame came on standard input (hint: what does the program before the pipe say?)"
            ),
            missing => bail!(
                "standard input ends within frame[{index}]: {missing} of its {size} bytes are \
                 missing (hint: is it {}x{} pixels of that format?)",
                self.width,
                self.height
            ),
        }
    }
}

/// Frames that a thread reads. Where as many wait as there is room for, the input waits too, or with
/// `drop` the oldest frame is dropped.
pub(super) fn frames(raw: Raw, input: impl Read + Send + 'static, drop: bool) -> Queue {
    let room = (WAITING_BYTES / raw.bytes()).clamp(1, BATCH);
    let (inlet, queue) = Queue::new(room, drop, None);
    thread::spawn(move || bring(raw, input, &inlet));
    queue
}

/// Brings frames to their queue until there are no more.
fn bring(raw: Raw, mut input: impl Read, inlet: &Inlet) {
    for index in 0.. {
        let bytes = match raw.next(&mut input, index) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            Err(error) => return inlet.end(error),
        };
        let picture = Picture {
            name: format!("frame[{index}]"),
            pixels: Pixels::Integer(raw.picture(bytes)),
        };
        let stem = format!("frame-{index:06}").into();
        if !inlet.put(Ok(Item { picture, stem })) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_a_size_and_what_a_pixel_is() {
        let raw = |text: &str| text.parse::<Raw>();
        let expected = Raw { width: 640, height: 480, format: Format::Gray8 };
        assert_eq!((raw("640x480:gray8"), raw("640x480:gray")), (Ok(expected), Ok(expected)));
        let bytes = ["gray", "gray16le", "rgb24", "rgb48le"]
            .map(|format| raw(&format!("3x2:{format}")).map(Raw::bytes));
        assert_eq!(bytes, [Ok(6), Ok(12), Ok(18), Ok(36)]);
        for wrong in ["", "640x480", "x:gray", "-1x2:gray", "1x0:gray", "1x99999:gray", "1x1:nv12"]
        {
            assert!(raw(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pixels_lie_row_by_row_and_the_low_byte_comes_first() {
        let raw = Raw { width: 1, height: 2, format: Format::Gray16Le };
        let picture = raw.picture(vec![1, 2, 3, 4]);
        let pixels: Vec<_> = picture.to_luma16().into_raw();
        assert_eq!(pixels, [0x0201, 0x0403]);
    }
}
