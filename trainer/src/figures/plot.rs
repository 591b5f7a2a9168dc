//! Plots: one drawing, as PNG and as SVG.

use std::ops::Range;

use anyhow::{Result, anyhow};
use image::{RgbImage, imageops};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::style::{Color, ShapeStyle, TRANSPARENT, TextStyle, WHITE};

use super::theme::{self, GRID, INK};

/// A drawing that does not know on what it is drawn.
pub(super) trait Plot {
    /// Width and height in points.
    fn size(&self) -> (u32, u32);

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Drawn<B>;
}

pub(super) type Drawn<B, T = ()> =
    Result<T, DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Two axes of numbers.
pub(super) type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// What is drawn on, with the pixels of a point.
pub(super) struct Canvas<B: DrawingBackend> {
    pub(super) area: DrawingArea<B, Shift>,
    scale: u32,
    /// How much too high text is that is centred on a height, as a part of its size.
    rise: f64,
}

/// The axes of a chart.
pub(super) struct Axes {
    pub(super) title: String,
    pub(super) x: (String, Range<f64>),
    pub(super) y: (String, Range<f64>),
    /// Whether values along x are whole numbers.
    pub(super) whole_x: bool,
}

/// The pixels of a PNG for a point, and the pixels drawn for each of these along both axes: what is drawn
/// finer and then averaged has smooth edges.
const PIXELS: u32 = 2;
const FINER: u32 = 2;

/// Room around a chart, for its labels below and beside it, and the sizes of text, in points.
const MARGIN: u32 = 10;
const BELOW: u32 = 42;
const BESIDE: u32 = 58;
const TITLE: f64 = 18.0;
const LABEL: f64 = 15.0;

/// The plot as pixels.
pub(super) fn png(plot: &impl Plot) -> Result<RgbImage> {
    let (width, height) = plot.size();
    let scale = PIXELS * FINER;
    let mut picture = RgbImage::new(width * scale, height * scale);
    let size = picture.dimensions();
    let area = BitMapBackend::with_buffer(&mut picture, size).into_drawing_area();
    render(plot, Canvas { area, scale, rise: theme::RISE })?;
    Ok(imageops::thumbnail(&picture, width * PIXELS, height * PIXELS))
}

/// The plot as the text of an SVG file.
pub(super) fn svg(plot: &impl Plot) -> Result<String> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, plot.size()).into_drawing_area();
    render(plot, Canvas { area, scale: 1, rise: 0.0 })?;
    Ok(text)
}

fn render<B: DrawingBackend>(plot: &impl Plot, canvas: Canvas<B>) -> Result<()> {
    let drawn = canvas.area.fill(&WHITE).and_then(|()| plot.draw(&canvas));
    drawn.and_then(|()| canvas.area.present()).map_err(|e| anyhow!("{e}"))
}

impl<B: DrawingBackend> Canvas<B> {
    /// A length in points, in pixels.
    pub(super) fn points(&self, points: f64) -> i32 {
        (points * f64::from(self.scale)).round() as i32
    }

    /// A line's style.
    pub(super) fn stroke(&self, color: &impl Color, points: f64) -> ShapeStyle {
        color.stroke_width(self.points(points).max(1) as u32)
    }

    /// What is added to the height of text of a size that is centred there, in pixels.
    pub(super) fn drop(&self, points: f64) -> i32 {
        self.points(points * self.rise)
    }

    pub(super) fn text(&self, points: f64) -> TextStyle<'static> {
        theme::text(points * f64::from(self.scale), &INK)
    }

    /// A part of the canvas, by its place and size in points.
    pub(super) fn part(&self, x: u32, y: u32, (width, height): (u32, u32)) -> Self {
        let pixels = |from: u32, length: u32| {
            ((from * self.scale) as i32, ((from + length) * self.scale) as i32)
        };
        let ((left, right), (top, bottom)) = (pixels(x, width), pixels(y, height));
        let (full_width, full_height) = self.area.dim_in_pixel();
        let area =
            self.area.margin(top, full_height as i32 - bottom, left, full_width as i32 - right);
        Self { area, ..*self }
    }

    /// Axes that fill the canvas.
    pub(super) fn axes(&self, axes: &Axes) -> Drawn<B, Chart<'_, B>> {
        let (x_range, y_range) = (axes.x.1.clone(), axes.y.1.clone());
        let mut builder = ChartBuilder::on(&self.area);
        builder
            .margin(self.points(MARGIN.into()))
            .x_label_area_size(self.points(BELOW.into()))
            .y_label_area_size(self.points(BESIDE.into()));
        if !axes.title.is_empty() {
            builder.caption(&axes.title, self.text(TITLE));
        }
        let mut chart = builder.build_cartesian_2d(x_range.clone(), y_range.clone())?;
        let label = |range: Range<f64>| {
            let digits = digits(range.end - range.start);
            move |value: &f64| number(*value, digits)
        };
        let (x_label, y_label) = (label(x_range), label(y_range));
        let whole = |value: &f64| match value.fract() == 0.0 {
            true => number(*value, 0),
            false => String::new(),
        };
        let x_label: &dyn Fn(&f64) -> String = if axes.whole_x { &whole } else { &x_label };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(self.stroke(&GRID, 1.0))
            .axis_style(self.stroke(&INK, 1.0))
            .label_style(self.text(LABEL))
            .axis_desc_style(self.text(LABEL))
            .set_all_tick_mark_size(self.points(4.0))
            .y_label_offset(self.drop(LABEL))
            .x_labels(7)
            .y_labels(7)
            .x_label_formatter(x_label)
            .y_label_formatter(&y_label)
            .x_desc(&axes.x.0)
            .y_desc(&axes.y.0)
            .draw()?;
        Ok(chart)
    }
}

/// Room for axes around a square of data, in points.
pub(super) fn around(side: u32) -> (u32, u32) {
    (side + BESIDE + 2 * MARGIN, side + BELOW + 2 * MARGIN)
}

/// A range that holds all values with some room around them; it is never empty.
pub(super) fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let room = match high - low {
        width if width > 1e-9 * high.abs().max(low.abs()).max(1e-9) => 0.05 * width,
        _ => 0.5 * high.abs().max(1.0),
    };
    low - room..high + room
}

/// The digits behind the point that tell numbers apart in a range of this width.
fn digits(width: f64) -> usize {
    (2.0 - width.log10().floor()).clamp(0.0, 9.0) as usize
}

/// The longest number for which there is room beside a chart.
const LONGEST: usize = 7;

/// A number without idle zeros.
fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    match text {
        "-0" => "0".into(),
        long if long.len() > LONGEST => format!("{value:.1e}"),
        text => text.into(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Draws both forms, and checks that the picture has its size, is not blank, and that the
    /// text is one SVG element that holds every word.
    pub(in crate::figures) fn holds(plot: &impl Plot, words: &[&str]) {
        let picture = png(plot).expect("it can be drawn");
        let (width, height) = plot.size();
        assert_eq!(picture.dimensions(), (PIXELS * width, PIXELS * height));
        let colored = picture.pixels().filter(|p| p.0.iter().max() != p.0.iter().min()).count();
        assert!(colored > 100, "only {colored} pixels have a colour");
        let text = svg(plot).expect("it can be drawn");
        assert!(text.starts_with("<svg ") && text.trim_end().ends_with("</svg>"));
        assert_eq!(text.matches("<text").count(), text.matches("</text>").count());
        for word in words {
            assert!(text.contains(word), "`{word}` is not in the SVG");
        }
    }

    #[test]
    fn numbers_are_short_and_ranges_are_never_empty() {
        assert_eq!(number(0.250, digits(1.0)), "0.25");
        assert_eq!(number(-0.001, digits(1.0)), "0");
        assert_eq!(number(1500.0, digits(1000.0)), "1500");
        assert_eq!(number(12_345_678.0, 0), "1.2e7");
        assert_eq!(number(0.000_000_04, 9), "4.0e-8");
        assert_eq!(range([2.0, 4.0].into_iter()), 1.9..4.1);
        assert_eq!(range([3.0].into_iter()), 1.5..4.5);
        assert_eq!(range([].into_iter()), 0.0..1.0);
    }
}
