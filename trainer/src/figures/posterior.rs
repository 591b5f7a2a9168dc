//! The posteriors of some held-out images in the first two latent dimensions: draws, the mean, and the
//! ellipse of two standard deviations.

use std::f64::consts::TAU;
use std::ops::Range;

use anyhow::Result;
use plotters::backend::DrawingBackend;
use plotters::element::{Circle, PathElement};
use plotters::style::{Color, WHITE};
use vae_infer::noise;

use super::marks::{Mark, Sign, column, legend};
use super::plot::{Axes, Canvas, Chart, Drawn, Plot, around, range};
use super::subject::Place;
use super::theme::{CLASSES, GREY, short};
use super::{Figure, Subject};

const IMAGES: usize = 6;
const DRAWS: usize = 100;
/// The standard deviations that an ellipse holds.
const SIGMAS: f64 = 2.0;

/// The side of the plane, and room for the title, in points.
const SIDE: u32 = 480;
const TITLE: u32 = 26;

/// A posterior in two dimensions.
struct Cloud {
    name: String,
    mean: [f64; 2],
    deviation: [f64; 2],
    draws: Vec<(f64, f64)>,
}

struct Clouds {
    clouds: Vec<Cloud>,
    part: &'static str,
}

pub(super) fn draw(subject: &Subject) -> Result<Figure> {
    let Some(log_var) = &subject.codes.log_var else {
        return Ok(Figure::LeftOut("a plain autoencoder has a point for every image"));
    };
    let (mean, latent) = (&subject.codes.mean, subject.codes.mean.ncols());
    if latent < 2 {
        return Ok(Figure::LeftOut("it takes two latent dimensions"));
    }
    let places = subject.held_out.spread(IMAGES);
    let seed = subject.seed(Place::Posterior);
    let cloud = |(number, &place): (usize, &usize)| {
        let pair = |of: &dyn Fn(usize) -> f32| [0, 1].map(|z| f64::from(of(z)));
        let center = pair(&|z| mean[[place, z]]);
        let deviation = pair(&|z| (0.5 * log_var[[place, z]]).exp());
        let epsilon = noise::standard_normal(seed, (number * DRAWS) as u64, DRAWS, latent);
        let at = |row: usize, z: usize| center[z] + deviation[z] * f64::from(epsilon[[row, z]]);
        let class = subject.class(place);
        Cloud {
            name: if class.is_empty() { format!("image {}", number + 1) } else { short(class, 18) },
            mean: center,
            deviation,
            draws: (0..DRAWS).map(|row| (at(row, 0), at(row, 1))).collect(),
        }
    };
    let clouds = places.iter().enumerate().map(cloud).collect();
    Figure::plot(&Clouds { clouds, part: subject.held_out.part })
}

/// The points of an ellipse along the axes.
fn ellipse(mean: [f64; 2], radii: [f64; 2]) -> impl Iterator<Item = (f64, f64)> {
    (0..=96).map(move |step| {
        let (sin, cos) = (TAU * f64::from(step) / 96.0).sin_cos();
        (mean[0] + radii[0] * cos, mean[1] + radii[1] * sin)
    })
}

impl Cloud {
    fn ellipse(&self) -> impl Iterator<Item = (f64, f64)> {
        ellipse(self.mean, self.deviation.map(|deviation| SIGMAS * deviation))
    }
}

impl Clouds {
    /// The prior and the images, by their marks.
    fn entries(&self) -> Vec<(Mark, String)> {
        let mut entries = vec![(Mark::line(GREY), "prior, 2 sigma".to_owned())];
        let names = self.clouds.iter().zip(CLASSES);
        entries.extend(names.map(|(c, color)| (Mark { sign: Sign::Dot, color }, c.name.clone())));
        entries
    }

    /// Ranges of equal width that hold everything, so that a circle looks like one.
    fn ranges(&self) -> [Range<f64>; 2] {
        let points = || {
            let own = self.clouds.iter().flat_map(|c| c.ellipse().chain(c.draws.iter().copied()));
            own.chain(ellipse([0.0; 2], [SIGMAS; 2]))
        };
        let ranges = [range(points().map(|p| p.0)), range(points().map(|p| p.1))];
        let half = ranges.iter().map(|r| 0.5 * (r.end - r.start)).fold(0.0, f64::max);
        ranges.map(|range| {
            let middle = 0.5 * (range.start + range.end);
            middle - half..middle + half
        })
    }

    fn cloud<B: DrawingBackend>(
        &self,
        number: usize,
        canvas: &Canvas<B>,
        chart: &mut Chart<B>,
    ) -> Drawn<B> {
        let (cloud, color) = (&self.clouds[number], CLASSES[number]);
        let dot = Mark { sign: Sign::Dot, color };
        for point in &cloud.draws {
            dot.draw(canvas, chart.plotting_area().map_coordinate(point), 2.0, 0.5)?;
        }
        let points: Vec<_> = cloud.ellipse().collect();
        let outline = PathElement::new(points, canvas.stroke(&color, 1.6));
        chart.draw_series(std::iter::once(outline))?;
        let mean = (cloud.mean[0], cloud.mean[1]);
        for (radius, color) in [(5.0, WHITE), (3.6, color)] {
            let dot = Circle::new(mean, canvas.points(radius), color.filled());
            chart.draw_series(std::iter::once(dot))?;
        }
        Ok(())
    }
}

impl Plot for Clouds {
    fn size(&self) -> (u32, u32) {
        let (width, height) = around(SIDE);
        (width + column(&self.entries()), height + TITLE)
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Drawn<B> {
        let (width, height) = around(SIDE);
        let [x, y] = self.ranges();
        let part = canvas.part(0, 0, (width, height + TITLE));
        let mut chart = part.axes(&Axes {
            title: format!(
                "{DRAWS} draws of the posteriors of {} {}",
                self.clouds.len(),
                self.part
            ),
            x: ("z1".into(), x),
            y: ("z2".into(), y),
            whole_x: false,
        })?;
        let prior: Vec<_> = ellipse([0.0; 2], [SIGMAS; 2]).collect();
        let prior = PathElement::new(prior, canvas.stroke(&GREY, 1.0));
        chart.draw_series(std::iter::once(prior))?;
        for number in 0..self.clouds.len() {
            self.cloud(number, canvas, &mut chart)?;
        }
        let entries = self.entries();
        let room = (self.size().0 - width, height);
        legend(&canvas.part(width, 20, room), &entries, entries.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::plot::tests::holds;

    fn clouds() -> Clouds {
        let cloud = |name: &str, x: f64, deviation: [f64; 2]| Cloud {
            name: name.into(),
            mean: [x, 0.0],
            deviation,
            draws: vec![(x, deviation[1])],
        };
        let clouds = vec![cloud("one", 0.0, [0.1, 0.2]), cloud("two", 30.0, [1.0, 0.0])];
        Clouds { clouds, part: "test images" }
    }

    #[test]
    fn ellipses_have_axes_and_names() {
        holds(&clouds(), &["z1", "z2", "one", "two", "prior", "test images"]);
    }

    #[test]
    fn both_axes_have_one_unit_and_hold_two_standard_deviations() {
        let [x, y] = clouds().ranges();
        assert!(((x.end - x.start) - (y.end - y.start)).abs() < 1e-9);
        assert!(x.start < -2.0 && x.end > 32.0 && y.start < -2.0 && y.end > 2.0);
        let highest = clouds().clouds[0].ellipse().map(|p| p.1).fold(0.0, f64::max);
        assert!((highest - 0.4).abs() < 1e-9);
    }
}
