use std::f64::consts::PI;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The shortest and the longest scratch, as a share of the image's shorter side.
const LENGTHS: [f64; 2] = [0.3, 0.7];

/// Draws a straight line somewhere in an image of a height and a width, and gives its pixels.
pub(super) fn scratch(
    generator: &mut ChaCha8Rng,
    (height, width): (usize, usize),
    thickness: usize,
) -> Vec<[usize; 2]> {
    let shorter = height.min(width) as f64;
    let length = shorter * generator.random_range(LENGTHS[0]..=LENGTHS[1]);
    let (sine, cosine) = generator.random_range(0.0..PI).sin_cos();
    // Its middle leaves it room within the image.
    let mut middle = |size: usize, extent: f64| {
        let room = (size as f64 - 1.0 - extent.abs()).max(0.0);
        0.5 * (size as f64 - 1.0 - room) + room * generator.random_range(0.0..=1.0)
    };
    let (y, x) = (middle(height, length * sine), middle(width, length * cosine));
    let steps = 2 * height.max(width);
    let mut line = vec![];
    for step in 0..=steps {
        let along = length * (step as f64 / steps as f64 - 0.5);
        for across in 0..thickness.max(1) {
            let across = across as f64 - 0.5 * (thickness.max(1) - 1) as f64;
            let (row, column) =
                (y + along * sine + across * cosine, x + along * cosine - across * sine);
            let within = |place: f64, size: usize| place.round().clamp(0.0, size as f64 - 1.0);
            line.push([within(row, height) as usize, within(column, width) as usize]);
        }
    }
    line
}
