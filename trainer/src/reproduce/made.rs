//! Images that stand in for a seed's data in a quick run: drawings whose classes can be told apart.

use std::ops::Range;
use std::path::Path;

use ndarray::{Array1, Array4};
use vae_infer::{Error, npy};

/// Images to train on, and to test on.
const COUNTS: [(&str, &str, usize); 2] =
    [("train.npy", "train_label.npy", 200), ("test.npy", "test_label.npy", 50)];

/// Writes images (`[N, H, W, C]`, `u8`) of some classes to a folder, to train on and to test on, with
/// labels from 0 on.
///
/// # Errors
///
/// Where they cannot be written.
pub(crate) fn write(
    folder: &Path,
    [channels, height, width]: [usize; 3],
    classes: Range<i64>,
) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|cause| Error::Write { path: folder.into(), cause })?;
    for (file, label_file, count) in COUNTS {
        let labels = Array1::from_shape_fn(count, |n| n as i64 % (classes.end - classes.start));
        let images = Array4::from_shape_fn((count, height, width, channels), |(n, y, x, c)| {
            let at = |place: usize, size: usize| (place as f64 + 0.5) / size as f64 - 0.5;
            shade(n, classes.start + labels[n], at(y, height), at(x, width), c)
        });
        npy::write(&folder.join(file), &images)?;
        npy::write(&folder.join(label_file), &labels)?;
    }
    Ok(())
}

/// An ellipse whose proportions follow its class, at a place that follows its number.
fn shade(number: usize, class: i64, y: f64, x: f64, channel: usize) -> u8 {
    let wave = |step: f64| (number as f64 * step).sin();
    let (dy, dx) = (y - 0.12 * wave(0.7), x - 0.12 * wave(1.3));
    let angle = class as f64 * 0.35;
    let (along, across) =
        (dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin());
    let distance = (along / 0.34).powi(2) + (across / (0.16 + 0.02 * wave(0.31))).powi(2);
    let tint = 1.0 - 0.2 * channel as f64;
    (255.0 * tint * (-distance.powi(2)).exp()) as u8
}
