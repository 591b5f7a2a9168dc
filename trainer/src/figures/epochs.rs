//! The frames of a run as an animation.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame};
use plotters::style::text_anchor::{HPos, VPos};
use vae_infer::images;

use super::page::Page;
use super::{Figure, Subject, theme};
use crate::frames;

/// The most frames that are shown, with the first and the last one.
const MAX_FRAMES: usize = 120;
/// How long a frame is shown: up to so many frames, above that number, and the last one.
const FEW: usize = 40;
const SLOW: Duration = Duration::from_millis(250);
const FAST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_millis(2500);
/// The least size of an image, the room below all for the epoch, and the margin, in pixels.
const LEAST: usize = 64;
const BELOW: u32 = 36;
const MARGIN: u32 = 8;
/// How fast colours are chosen, from 1, the best ones, to 30.
const SPEED: i32 = 10;

pub(super) fn draw(subject: &Subject) -> Result<Figure> {
    let run = &subject.trained.run;
    let last = run.metrics()?.last().map_or(0, |line| line.epoch);
    let mut frames = frames::list(&run.frames())?;
    frames.retain(|&(epoch, _)| epoch <= last);
    if frames.is_empty() {
        return Ok(Figure::LeftOut("the run has kept no frames"));
    }
    let [_, height, width] = subject.trained.config.image.shape();
    Ok(Figure::Files(vec![("gif", animate(&thinned(frames), [height, width])?)]))
}

/// Evenly chosen frames, with the first and the last one.
fn thinned(frames: Vec<(usize, PathBuf)>) -> Vec<(usize, PathBuf)> {
    let (count, kept) = (frames.len(), frames.len().min(MAX_FRAMES));
    (0..kept).map(|i| frames[i * (count - 1) / (kept - 1).max(1)].clone()).collect()
}

/// The content of a GIF file that is repeated forever, of frames with images of a height and a width.
fn animate(frames: &[(usize, PathBuf)], image: [usize; 2]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, SPEED);
    encoder.set_repeat(Repeat::Infinite)?;
    for (place, (epoch, path)) in frames.iter().enumerate() {
        let sheet = images::decode(&images::read_file(path)?)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("`{}` is damaged", path.display()))?;
        let delay = match place + 1 == frames.len() {
            true => LAST,
            false if frames.len() <= FEW => SLOW,
            false => FAST,
        };
        let picture = captioned(&sheet, image, &format!("epoch {epoch}"))?.into_rgba8();
        let delay = Delay::from_saturating_duration(delay);
        encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay))?;
    }
    drop(encoder);
    Ok(bytes)
}

fn captioned(sheet: &DynamicImage, image: [usize; 2], caption: &str) -> Result<DynamicImage> {
    let large = theme::enlarge(sheet, image, LEAST);
    let [high, wide] = image.map(|side| side as u32 * (large.width() / sheet.width()));
    let (width, height) = large.dimensions();
    let mut page = Page::new(width + 2 * MARGIN, height + MARGIN + BELOW);
    page.put(&large, MARGIN, MARGIN);
    for (x, y) in (0..width / wide).flat_map(|x| (0..height / high).map(move |y| (x, y))) {
        page.frame(MARGIN + x * wide, MARGIN + y * high, (wide, high));
    }
    let middle = (MARGIN + height + BELOW / 2) as i32;
    page.write(caption, (MARGIN as i32, middle), (HPos::Left, VPos::Center))?;
    Ok(page.finish())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::codecs::gif::GifDecoder;
    use image::{AnimationDecoder, RgbImage};

    use super::*;
    use crate::figures::png;

    #[test]
    fn every_epoch_is_a_frame_and_the_last_one_stays() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let frame = |epoch: usize| {
            let color = image::Rgb([60 * epoch as u8, 0, 0]);
            let path = folder.path().join(format!("{epoch}.png"));
            let picture = RgbImage::from_pixel(16, 12, color).into();
            std::fs::write(&path, png(&picture).expect("a picture")).expect("it is writable");
            (epoch, path)
        };
        let bytes = animate(&[frame(0), frame(1), frame(4)], [6, 4]).expect("frames");
        let frames = GifDecoder::new(Cursor::new(bytes)).expect("a GIF").into_frames();
        let frames = frames.collect_frames().expect("whole frames");
        let delays: Vec<_> = frames.iter().map(|f| f.delay().numer_denom_ms().0).collect();
        assert_eq!(delays, [250, 250, 2500]);
        let size = (11 * 16 + 2 * MARGIN, 11 * 12 + MARGIN + BELOW);
        for (frame, red) in frames.iter().zip([0, 60, 240]) {
            assert_eq!(frame.buffer().dimensions(), size);
            assert_eq!(frame.buffer().get_pixel(100, 100).0, [red, 0, 0, 255]);
        }
    }

    #[test]
    fn many_frames_are_thinned_out_between_the_first_and_the_last() {
        let frames = |count: usize| (0..count).map(|i| (i, PathBuf::new())).collect::<Vec<_>>();
        let kept = thinned(frames(1001));
        assert_eq!((kept.len(), kept[0].0, kept[MAX_FRAMES - 1].0), (MAX_FRAMES, 0, 1000));
        assert_eq!(thinned(frames(1)).len(), 1);
    }
}
