//! Images decoded from draws of the prior.

use anyhow::Result;
use ndarray::{Axis, Slice};
use vae_infer::noise;

use super::rows::{self, Row};
use super::subject::Place;
use super::{Figure, Subject};

const ROWS: usize = 6;
const COLUMNS: usize = 12;

pub(super) fn draw(subject: &Subject) -> Result<Figure> {
    if let Some(reason) = subject.no_prior() {
        return Ok(Figure::LeftOut(reason));
    }
    let config = &subject.trained.config;
    let seed = subject.seed(Place::Samples);
    let latents = noise::standard_normal(seed, 0, ROWS * COLUMNS, config.model.latent);
    let images = subject.forward().decode(latents.view());
    let row = |number: usize| {
        let range = Slice::from(number * COLUMNS..(number + 1) * COLUMNS);
        Row::new("", images.slice_axis(Axis(0), range).to_owned())
    };
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    Figure::picture(&rows::draw(&config.image, &rows, &[])?)
}
