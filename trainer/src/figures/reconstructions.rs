//! Held-out images over their reconstructions.

use anyhow::Result;

use super::rows::{self, Row};
use super::{Figure, Subject};

const IMAGES: usize = 10;

pub(super) fn draw(subject: &Subject) -> Result<Figure> {
    let images = subject.held_out.select(&subject.held_out.spread(IMAGES));
    let decoded = subject.forward().reconstruct(images.view());
    let rows = [Row::new(subject.held_out.part, images), Row::new("reconstructions", decoded)];
    Figure::picture(&rows::draw(&subject.trained.config.image, &rows, &[])?)
}
