//! The posterior means of held-out images on a plane, coloured by label.

use anyhow::Result;
use plotters::backend::DrawingBackend;

use super::marks::{self, Mark, Sign, column, legend};
use super::plot::{Axes, Canvas, Drawn, Plot, around, range};
use super::principal::{MAX_DIMENSIONS, principal};
use super::theme::{PAIR, short};
use super::{Figure, Subject};

/// The side of the plane, and room for the title, in points.
const SIDE: u32 = 480;
const TITLE: u32 = 26;
/// Classes in a column of the legend, and the most that it names.
const LINES: usize = 24;
const MAX_NAMED: usize = 2 * LINES;
/// Characters of a class's name.
const NAME: usize = 14;

struct Scatter {
    points: Vec<(f64, f64)>,
    /// The class of each point; empty where there are no labels.
    labels: Vec<usize>,
    classes: Vec<String>,
    axes: [String; 2],
    title: String,
}

pub(super) fn draw(subject: &Subject) -> Result<Figure> {
    let mean = &subject.codes.mean;
    let (count, latent) = mean.dim();
    if latent < 2 {
        return Ok(Figure::LeftOut("there is one latent dimension, and a plane has two"));
    }
    if count < 2 {
        return Ok(Figure::LeftOut("there is one held-out image, and a scatter takes two"));
    }
    let (points, axes) = if latent == 2 {
        (mean.mapv(f64::from), ["z1", "z2"].map(String::from))
    } else {
        let components = principal(mean.view());
        let of = match latent > MAX_DIMENSIONS {
            true => format!(" of the {MAX_DIMENSIONS} widest dimensions"),
            false => String::new(),
        };
        let name = |number: usize| {
            let share = 100.0 * components.shares[number - 1];
            format!("principal component {number}{of} ({share:.0} % of the variance)")
        };
        (components.points.clone(), [name(1), name(2)])
    };
    Figure::plot(&Scatter {
        points: points.outer_iter().map(|row| (row[0], row[1])).collect(),
        labels: subject.held_out.labels.clone(),
        classes: subject.trained.info.classes.clone(),
        axes,
        title: format!("posterior means of {count} {}", subject.held_out.part),
    })
}

impl Scatter {
    /// The marks of the classes that there are, with their names.
    fn entries(&self) -> Vec<(Mark, String)> {
        if self.labels.is_empty() {
            return vec![];
        }
        let all = self.classes.iter().enumerate();
        let mut entries: Vec<_> =
            all.map(|(number, name)| (marks::class(number), short(name, NAME))).collect();
        if entries.len() > MAX_NAMED {
            let more = format!("{} more", entries.len() - MAX_NAMED + 1);
            entries.truncate(MAX_NAMED - 1);
            entries.push((marks::class(MAX_NAMED - 1), more));
        }
        entries
    }

    fn mark(&self, place: usize) -> Mark {
        match self.labels.get(place) {
            Some(&label) => marks::class(label),
            None => Mark { sign: Sign::Dot, color: PAIR[0] },
        }
    }
}

impl Plot for Scatter {
    fn size(&self) -> (u32, u32) {
        let (width, height) = around(SIDE);
        let entries = self.entries();
        let columns = entries.len().div_ceil(LINES) as u32;
        (width + columns * column(&entries), height + TITLE)
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Drawn<B> {
        let (width, height) = around(SIDE);
        let [x, y] = self.axes.clone();
        let chart_canvas = canvas.part(0, 0, (width, height + TITLE));
        let chart = chart_canvas.axes(&Axes {
            title: self.title.clone(),
            x: (x, range(self.points.iter().map(|point| point.0))),
            y: (y, range(self.points.iter().map(|point| point.1))),
            whole_x: false,
        })?;
        let radius = if self.points.len() > 1_000 { 2.0 } else { 3.0 };
        for (place, point) in self.points.iter().enumerate() {
            let pixel = chart.plotting_area().map_coordinate(point);
            self.mark(place).draw(canvas, pixel, radius, 0.75)?;
        }
        let entries = self.entries();
        if entries.is_empty() {
            return Ok(());
        }
        let room = (self.size().0 - width, height + TITLE - 20);
        legend(&canvas.part(width, 20, room), &entries, LINES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::plot::tests::holds;

    fn scatter(classes: usize) -> Scatter {
        let points = (0..200).map(|i| (f64::from(i).sin(), f64::from(i).cos()));
        Scatter {
            points: points.collect(),
            labels: if classes > 0 { (0..200).map(|i| i % classes).collect() } else { vec![] },
            classes: (0..classes).map(|i| format!("class {i}")).collect(),
            axes: ["z1", "z2"].map(String::from),
            title: "posterior means of 200 <images>".into(),
        }
    }

    #[test]
    fn points_have_axes_and_classes_a_legend() {
        holds(&scatter(3), &["z1", "z2", "class 2", "200 &lt;images&gt;"]);
        holds(&scatter(0), &["z1", "z2"]);
        holds(&scatter(100), &["class 46", "53 more"]);
        let mut collapsed = scatter(2);
        collapsed.points.fill((0.0, 0.0));
        holds(&collapsed, &["z1"]);
    }
}
