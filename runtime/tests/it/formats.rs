//! Images in the less usual forms of their formats: each is read for what it shows, or refused.

use std::fs;
use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat};

use crate::fixture::{all_well, encoded, not_refused, ring, run, succeed};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The kinds of PNG pixels.
const GREY: u8 = 0;
const PALETTE: u8 = 3;

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(kind);
    sum.update(data);
    let length = data.len() as u32;
    [&length.to_be_bytes(), kind.as_slice(), data, &sum.sum().to_be_bytes()].concat()
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn header(side: u32, depth: u8, kind: u8) -> Vec<u8> {
    let side = side.to_be_bytes();
    chunk(b"IHDR", &[&side, side.as_slice(), &[depth, kind, 0, 0, 0]].concat())
}

/// The rows of a ring, thresholded to the smallest and the largest value of a bit depth.
fn rows(depth: u8) -> Vec<u8> {
    let image = ring(1);
    let mut rows = Vec::new();
    for y in 0..28 {
        rows.push(0);
        let levels: Vec<u8> = (0..28).map(|x| u8::from(image.get_pixel(x, y)[0] > 127)).collect();
        let full = ((1_u16 << depth) - 1) as u8;
        for pixels in levels.chunks((8 / depth).into()) {
            let shifts = (0..8 / depth).rev().map(|i| i * depth);
            rows.push(pixels.iter().zip(shifts).fold(0, |byte, (l, s)| byte | (l * full) << s));
        }
    }
    rows
}

fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
    [SIGNATURE.to_vec(), chunks.concat(), chunk(b"IEND", &[])].concat()
}

/// A PNG of the thresholded ring with chunks between header and pixels.
fn grey(depth: u8, between: &[Vec<u8>]) -> Vec<u8> {
    let pixels = chunk(b"IDAT", &deflated(&rows(depth)));
    png(&[vec![header(28, depth, GREY)], between.to_vec(), vec![pixels]].concat())
}

fn palette(depth: u8, transparency: &[Vec<u8>]) -> Vec<u8> {
    let colours = 1 << depth;
    let mut table = vec![0; colours * 3];
    table[(colours - 1) * 3..].fill(255);
    let before = vec![header(28, depth, PALETTE), chunk(b"PLTE", &table)];
    let pixels = vec![chunk(b"IDAT", &deflated(&rows(depth)))];
    png(&[before, transparency.to_vec(), pixels].concat())
}

/// An animation: the ring, then a black frame.
fn animated_png() -> Vec<u8> {
    let frame = |number: u32| {
        let side = 28_u32.to_be_bytes();
        let place = [0; 8];
        let times = [0, 1, 0, 10, 0, 0];
        let parts: [&[u8]; 5] = [&number.to_be_bytes(), &side, &side, &place, &times];
        chunk(b"fcTL", &parts.concat())
    };
    let control = chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    let black = deflated(&vec![0; rows(8).len()]);
    let second = chunk(b"fdAT", &[2_u32.to_be_bytes().as_slice(), &black].concat());
    let first = chunk(b"IDAT", &deflated(&rows(8)));
    png(&[header(28, 8, GREY), control, frame(0), first, frame(1), second])
}

fn animated_gif() -> Vec<u8> {
    let thresholded = image::load_from_memory(&grey(8, &[])).unwrap();
    let black = DynamicImage::new_luma8(28, 28);
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for image in [thresholded, black] {
        encoder.encode_frame(Frame::new(image.to_rgba8())).unwrap();
    }
    drop(encoder);
    bytes
}

fn mse(name: &str, content: &[u8]) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let line: serde_json::Value =
        serde_json::from_str(&succeed(["score", path.to_str().unwrap()])).unwrap();
    line["mse"].as_f64().unwrap()
}

#[test]
fn one_drawing_in_many_forms_scores_the_same() {
    let bomb = deflated(&vec![b' '; 64 << 20]);
    let text = chunk(b"zTXt", &[b"note\0\0", bomb.as_slice()].concat());
    let profile = chunk(b"iCCP", &[b"bomb\0\0", bomb.as_slice()].concat());
    let gamma = chunk(b"gAMA", &10_000_u32.to_be_bytes());
    let cases = [
        ("I9 2 bit", grey(2, &[])),
        ("I9 1 bit", grey(1, &[])),
        ("I9 4 bit", grey(4, &[])),
        ("I9 palette of 2", palette(1, &[])),
        ("I9 palette of 16", palette(4, &[])),
        ("I9 palette with an opaque tRNS", palette(2, &[chunk(b"tRNS", &[255; 4])])),
        ("I7 text bomb", grey(8, &[text])),
        ("I7 profile bomb", grey(8, &[profile])),
        ("I18 gamma", grey(8, &[gamma])),
        ("I13 APNG", animated_png()),
        ("I13 GIF", animated_gif()),
    ];
    let expected = mse("plain.png", &grey(8, &[]));
    let scores = cases.map(|(case, content)| (case, mse("picture.png", &content)));
    let off: Vec<_> = scores.iter().filter(|(_, mse)| (mse - expected).abs() > 1e-6).collect();
    assert!(off.is_empty(), "{expected}: {off:?}");
}

/// JPEG is lossy: these are near the picture that they were made from.
#[test]
fn the_rarer_jpegs_show_their_picture() {
    let plain = mse("plain.jpg", &encoded(&DynamicImage::from(ring(1)), ImageFormat::Jpeg));
    for (case, content) in [
        ("I12 progressive, 4:1:1", include_bytes!("../data/progressive-411.jpg").as_slice()),
        ("I11 CMYK with Adobe's marker", include_bytes!("../data/cmyk.jpg")),
    ] {
        let score = mse("picture.jpg", content);
        assert!((score - plain).abs() < 0.1 * plain, "{case}: {score}, plain {plain}");
    }
}

/// I12: the eight orientations of EXIF, each of a picture turned the other way.
#[test]
fn orientations_are_undone() {
    let upright = {
        let mut image = ring(1);
        (0..10).for_each(|i| image.put_pixel(2 + i, 2, image::Luma([255])));
        DynamicImage::from(image)
    };
    // What a camera stores for an orientation: the inverse of what a viewer does.
    let stored = [
        upright.clone(),
        upright.fliph(),
        upright.rotate180(),
        upright.flipv(),
        upright.rotate90().fliph(),
        upright.rotate270(),
        upright.rotate270().fliph(),
        upright.rotate90(),
    ];
    let plain = mse("plain.jpg", &encoded(&upright, ImageFormat::Jpeg));
    for (orientation, image) in (1_u8..).zip(stored) {
        let jpeg = encoded(&image, ImageFormat::Jpeg);
        let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let length = (exif.len() as u16 + 2).to_be_bytes();
        let turned = [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat();
        let score = mse("picture.jpg", &turned);
        assert!((score - plain).abs() < 0.1 * plain, "{orientation}: {score}, upright {plain}");
    }
}

#[test]
fn what_would_fill_the_memory_or_needs_another_decoder_is_refused() {
    let excess = {
        let mut pixels = rows(8);
        pixels.resize(256 << 20, 0);
        png(&[header(28, 8, GREY), chunk(b"IDAT", &deflated(&pixels))])
    };
    let wide = png(&[header(32_000, 8, GREY), chunk(b"IDAT", &deflated(&vec![0; 1 << 20]))]);
    let avif = b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B".to_vec();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    let name = path.to_str().unwrap();
    let mut failures = Vec::new();
    for (case, content) in [("I5 bomb", wide), ("I14 AVIF", avif)] {
        fs::write(&path, content).unwrap();
        let output = run(["score", name]);
        failures.extend(
            not_refused(&output, &[name, "not a readable image"]).map(|f| format!("{case}: {f}")),
        );
    }
    all_well(failures);
    // I6: what follows the last row is not inflated into memory; the picture is whole.
    assert!((mse("picture.png", &excess) - mse("plain.png", &grey(8, &[]))).abs() < 1e-6);
}

/// Keeps the PNG writer of these tests honest: its own files decode to what they were made of.
#[test]
fn the_forms_are_what_they_claim() {
    for depth in [1, 2, 4, 8] {
        let image = image::load(Cursor::new(grey(depth, &[])), ImageFormat::Png).unwrap();
        let white = image.to_luma8().pixels().filter(|p| p[0] == 255).count();
        let expected = ring(1).pixels().filter(|p| p[0] > 127).count();
        assert_eq!(white, expected, "{depth} bit");
    }
}
