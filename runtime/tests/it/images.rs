//! Images: those that are read whatever their form, and those that are refused.

use std::fs;

use image::{DynamicImage, ImageFormat, Luma};

use crate::fixture::{all_well, encoded, not_refused, ring, run, succeed};

#[test]
fn unusable_images_are_refused_by_name() {
    let png = encoded(&ring(0).into(), ImageFormat::Png);
    let jpeg = encoded(&DynamicImage::from(ring(0)), ImageFormat::Jpeg);
    let mut crc = png.clone();
    let data = crc.windows(4).position(|w| w == b"IDAT").unwrap();
    crc[data + 8] ^= 0xff;
    let small =
        DynamicImage::from(ring(0)).resize_exact(1, 1, image::imageops::FilterType::Nearest);
    let wide =
        DynamicImage::from(ring(0)).resize_exact(64, 48, image::imageops::FilterType::Nearest);
    let half = |format| {
        let whole = encoded(&DynamicImage::from(ring(0)).to_rgb8().into(), format);
        whole[..whole.len() / 2].to_vec()
    };
    let floating = image::Rgb32FImage::from_pixel(28, 28, image::Rgb([f32::NAN; 3]));
    let floating = encoded(&floating.into(), ImageFormat::Tiff);
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("I2 truncated BMP", "not a readable image", half(ImageFormat::Bmp)),
        ("I2 truncated GIF", "not a readable image", half(ImageFormat::Gif)),
        ("I2 truncated PNM", "not a readable image", half(ImageFormat::Pnm)),
        ("I2 truncated TIFF", "not a readable image", half(ImageFormat::Tiff)),
        ("I2 truncated WebP", "not a readable image", half(ImageFormat::WebP)),
        ("I1 empty", "empty", Vec::new()),
        ("I2 truncated PNG", "not a readable image", png[..png.len() / 2].to_vec()),
        ("I2 PNG without its end", "not a readable image", png[..data + 20].to_vec()),
        ("I2 truncated JPEG", "not a readable image", jpeg[..jpeg.len() * 3 / 4].to_vec()),
        ("I4 text", "no known image format", b"just some text".to_vec()),
        ("I5 header bomb", "not a readable image", bomb()),
        ("I15 one pixel", "1x1", encoded(&small, ImageFormat::Png)),
        ("I15 wrong size", "64x48 pixels, the model takes 28x28", encoded(&wide, ImageFormat::Png)),
        ("I17 checksum", "not a readable image", crc),
        (
            "I2 truncated JPEG before a trailer",
            "cut short",
            [&jpeg[..jpeg.len() * 3 / 4], b"\xff"].concat(),
        ),
        ("floating point", "floating-point numbers (hint: a .npy array)", floating),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.png");
    let name = path.to_str().unwrap();
    let out = folder.path().join("out.png");
    let mut failures = Vec::new();
    for (case, word, content) in cases {
        fs::write(&path, content).unwrap();
        let output = run(["reconstruct", name, "-o", out.to_str().unwrap()]);
        failures.extend(not_refused(&output, &[name, word]).map(|f| format!("{case}: {f}")));
        if out.exists() {
            failures.push(format!("{case}: an output was written"));
            fs::remove_file(&out).unwrap();
        }
    }
    let output = run(["score", "/no/such.png"]);
    failures.extend(not_refused(&output, &["/no/such.png"]));
    let empty = tempfile::tempdir().unwrap();
    let output = run(["score".as_ref(), empty.path().as_os_str()]);
    failures.extend(not_refused(&output, &["holds no file"]));
    all_well(failures);
}

/// A PNG of a few bytes that declares 65535 by 65535 pixels.
fn bomb() -> Vec<u8> {
    let mut png = encoded(&ring(0).into(), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn one_picture_in_many_forms_scores_the_same() {
    let grey = DynamicImage::from(ring(1));
    let deep = image::ImageBuffer::from_fn(28, 28, |x, y| {
        Luma([u16::from(ring(1).get_pixel(x, y)[0]) * 257])
    });
    let ascii = {
        let pixels: Vec<_> = ring(1).iter().map(u8::to_string).collect();
        format!("P2\n28 28\n255\n{}\n", pixels.join("\n")).into_bytes()
    };
    let cases = [
        ("PNG", encoded(&grey, ImageFormat::Png)),
        ("I8 16 bit", encoded(&DynamicImage::ImageLuma16(deep), ImageFormat::Png)),
        ("I10 alpha", encoded(&grey.to_luma_alpha8().into(), ImageFormat::Png)),
        ("I16 RGB", encoded(&grey.to_rgb8().into(), ImageFormat::Png)),
        ("I19 ASCII PNM", ascii),
        ("BMP", encoded(&grey.to_rgb8().into(), ImageFormat::Bmp)),
        ("TIFF", encoded(&grey, ImageFormat::Tiff)),
    ];
    let folder = tempfile::tempdir().unwrap();
    // I3: the name says JPEG, the content decides.
    let path = folder.path().join("picture.jpg");
    let scores: Vec<_> = cases
        .into_iter()
        .map(|(case, content)| {
            fs::write(&path, content).unwrap();
            (case, mse(&succeed(["score", path.to_str().unwrap()])))
        })
        .collect();
    let off: Vec<_> = scores.iter().filter(|(_, mse)| (mse - scores[0].1).abs() > 1e-6).collect();
    assert!(off.is_empty(), "{scores:?}");
}

#[test]
fn another_size_is_resized_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.png");
    let wide =
        DynamicImage::from(ring(0)).resize_exact(64, 48, image::imageops::FilterType::Triangle);
    fs::write(&path, encoded(&wide, ImageFormat::Png)).unwrap();
    let scores = ["stretch", "crop"]
        .map(|how| mse(&succeed(["score", path.to_str().unwrap(), "--resize", how])));
    assert_ne!(scores[0], scores[1]);
}

fn mse(line: &str) -> f64 {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line["mse"].as_f64().unwrap()
}

#[test]
fn what_is_behind_a_jpeg_is_no_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("motion.jpg");
    let jpeg = encoded(&DynamicImage::from(ring(0)), ImageFormat::Jpeg);
    let scores = [&b""[..], b"ftypmp42\xff\xda\x00\x08\xff", b"\xff\xd9"].map(|behind| {
        fs::write(&path, [&jpeg[..], behind].concat()).unwrap();
        mse(&succeed(["score", path.to_str().unwrap()]))
    });
    assert_eq!(scores, [scores[0]; 3]);
}

#[test]
fn what_is_transparent_has_no_colour_at_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut-out.png");
    // Transparent white beside opaque black.
    let striped = image::RgbaImage::from_fn(56, 56, |x, _| {
        image::Rgba(if x % 2 == 0 { [255, 255, 255, 0] } else { [0, 0, 0, 255] })
    });
    let black = image::GrayImage::new(28, 28);
    let scores = [striped.into(), DynamicImage::from(black)].map(|image: DynamicImage| {
        fs::write(&path, encoded(&image, ImageFormat::Png)).unwrap();
        mse(&succeed(["score", path.to_str().unwrap(), "--resize", "stretch"]))
    });
    assert_eq!(scores[0], scores[1]);
}

#[test]
fn a_long_and_narrow_picture_is_not_scaled_to_cover_a_large_one() {
    let mut spec = vae_infer::Bundle::embedded().manifest.image;
    (spec.width, spec.height, spec.resize) = (512, 512, vae_infer::Resize::Crop);
    let picture = |width| vae_infer::images::Picture {
        name: "narrow".into(),
        pixels: vae_infer::images::Pixels::Integer(DynamicImage::new_luma8(width, 1)),
    };
    let refused = spec.tensor(&picture(32_768)).unwrap_err().to_string();
    assert!(refused.contains("scaled to 16777216x512 (hint: --resize stretch)"), "{refused}");
    assert_eq!(spec.tensor(&picture(64)).unwrap().dim(), (1, 512, 512));
}
