//! What stands for a datum, and the legend that says what it stands for.

use plotters::backend::DrawingBackend;
use plotters::element::{Circle, Cross, PathElement, TriangleMarker};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor};

use super::plot::{Canvas, Drawn};
use super::theme::{self, CLASSES, INK};

/// A sign in a colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mark {
    pub(super) sign: Sign,
    pub(super) color: RGBColor,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sign {
    Dot,
    Triangle,
    Cross,
    Ring,
    Line,
}

/// The height of a line and the width of a sign in a legend, the size of its text, and the room behind a
/// column, in points.
const LINE: f64 = 20.0;
const SIGN: f64 = 26.0;
const TEXT: f64 = 15.0;
const BEHIND: f64 = 16.0;

/// The mark of a class: colours first, then other signs in the same colours.
pub(super) fn class(number: usize) -> Mark {
    let signs = [Sign::Dot, Sign::Triangle, Sign::Cross, Sign::Ring];
    let sign = signs[number / CLASSES.len() % signs.len()];
    Mark { sign, color: CLASSES[number % CLASSES.len()] }
}

impl Mark {
    pub(super) fn line(color: RGBColor) -> Self {
        Self { sign: Sign::Line, color }
    }

    /// Draws the mark at a pixel of the canvas.
    pub(super) fn draw<B: DrawingBackend>(
        self,
        canvas: &Canvas<B>,
        (x, y): (i32, i32),
        radius: f64,
        opacity: f64,
    ) -> Drawn<B> {
        let size = canvas.points(radius).max(1);
        let color = self.color.mix(opacity);
        let stroke = canvas.stroke(&color, 1.2);
        let area = &canvas.area;
        match self.sign {
            Sign::Dot => area.draw(&Circle::new((x, y), size, color.filled())),
            Sign::Triangle => area.draw(&TriangleMarker::new((x, y), size * 5 / 4, color.filled())),
            Sign::Cross => area.draw(&Cross::new((x, y), size, stroke)),
            Sign::Ring => area.draw(&Circle::new((x, y), size, stroke)),
            Sign::Line => {
                let half = canvas.points(0.3 * SIGN);
                let stroke = canvas.stroke(&color, 2.0);
                area.draw(&PathElement::new(vec![(x - half, y), (x + half, y)], stroke))
            }
        }
    }
}

/// The width of a column of a legend, in points; an SVG may be shown in a wider typeface.
pub(super) fn column(entries: &[(Mark, String)]) -> u32 {
    let font = theme::text(TEXT, &INK).font;
    let widths = entries.iter().map(|(_, name)| font.box_size(name).map_or(0, |size| size.0));
    (SIGN + BEHIND) as u32 + widths.max().unwrap_or(0) * 6 / 5
}

/// Draws a legend from the upper left corner of a canvas: so many lines in a column, then the next
/// column.
pub(super) fn legend<B: DrawingBackend>(
    canvas: &Canvas<B>,
    entries: &[(Mark, String)],
    lines: usize,
) -> Drawn<B> {
    let style = canvas.text(TEXT).pos(Pos::new(HPos::Left, VPos::Center));
    let mut left = 0;
    for column in entries.chunks(lines) {
        let mut widest = 0;
        for (line, (mark, name)) in column.iter().enumerate() {
            let y = canvas.points((line as f64 + 0.5) * LINE);
            mark.draw(canvas, (left + canvas.points(0.4 * SIGN), y), 4.0, 1.0)?;
            canvas.area.draw_text(
                name,
                &style,
                (left + canvas.points(SIGN), y + canvas.drop(TEXT)),
            )?;
            let (width, _) = canvas.area.estimate_text_size(name, &style)?;
            widest = widest.max(width as i32);
        }
        left += canvas.points(SIGN + BEHIND) + widest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_classes_have_marks_of_their_own() {
        for one in 0..40 {
            assert!((0..one).all(|other| class(other) != class(one)), "{one}");
        }
    }
}
