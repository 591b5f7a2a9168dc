//! The way from one image to another: straight through latent space, between the posterior means.

use anyhow::Result;
use ndarray::{Array2, Axis, Slice, concatenate};

use super::rows::{self, Row};
use super::theme::short;
use super::{Figure, Subject};

const PAIRS: usize = 5;
const STEPS: usize = 8;

pub(super) fn draw(subject: &Subject) -> Result<Figure> {
    if subject.skips {
        return Ok(Figure::LeftOut(
            "the decoder needs the skips of an image, and between two images there are none",
        ));
    }
    let places = subject.held_out.spread(2 * PAIRS);
    let (pairs, _) = places.as_chunks::<2>();
    if pairs.is_empty() {
        return Ok(Figure::LeftOut("there is only one held-out image"));
    }
    let rows = pairs.iter().map(|pair| row(subject, pair)).collect::<Result<Vec<_>>>()?;
    Figure::picture(&rows::draw(&subject.trained.config.image, &rows, &[0, STEPS])?)
}

/// The first image, the decoded steps between the two, and the second image.
fn row(subject: &Subject, &[from, to]: &[usize; 2]) -> Result<Row> {
    let mean = &subject.codes.mean;
    let latents = Array2::from_shape_fn((STEPS, mean.ncols()), |(step, z)| {
        let t = step as f32 / (STEPS - 1) as f32;
        (1.0 - t) * mean[[from, z]] + t * mean[[to, z]]
    });
    let ends = subject.held_out.select(&[from, to]);
    let [first, last] = [0..1, 1..2].map(|end| ends.slice_axis(Axis(0), Slice::from(end)));
    let steps = subject.forward().decode(latents.view());
    let name = match subject.held_out.labels.is_empty() {
        true => String::new(),
        false => format!("{} to {}", short(subject.class(from), 16), short(subject.class(to), 16)),
    };
    Ok(Row::new(name, concatenate(Axis(0), &[first, steps.view(), last])?))
}
