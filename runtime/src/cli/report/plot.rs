//! A plot, drawn as SVG inside the page. The style sheet has its colours.

use maud::{Markup, html};

use super::axis::{Axis, number};

/// Width and height in the units that everything is drawn in.
const SIZE: [f64; 2] = [480.0, 240.0];
/// What is left of the plot, right of it, above and below.
const MARGINS: [f64; 4] = [46.0, 20.0, 20.0, 40.0];
/// No bar is lower: one image among a million is seen.
const LOWEST: f64 = 1.5;

/// An area between two axes.
pub(super) struct Plot {
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Plot {
    pub(super) fn x(&self, value: f64) -> f64 {
        let [left, right, ..] = MARGINS;
        left + self.x.place(value) * (SIZE[0] - left - right)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        let [_, _, top, bottom] = MARGINS;
        SIZE[1] - bottom - self.y.place(value) * (SIZE[1] - top - bottom)
    }

    /// A bar from one value to another, over and up to places along the y axis.
    pub(super) fn bar(
        &self,
        [left, right]: [f64; 2],
        [low, high]: [f64; 2],
        class: &str,
    ) -> Markup {
        let (x, top) = (self.x(left), self.y(high));
        let (width, height) = ((self.x(right) - x).max(0.5), (self.y(low) - top).max(LOWEST));
        html! {
            rect class=(class) x=(px(x)) y=(px(self.y(low) - height)) width=(px(width))
                height=(px(height)) {}
        }
    }

    /// An upright line at a value, named at its top on the side that has room.
    pub(super) fn mark(&self, value: f64, name: &str) -> Markup {
        let (x, [_, _, top, bottom]) = (self.x(value), MARGINS);
        let left = self.x.place(value) > 0.6;
        let (beside, anchor) = if left { (x - 5.0, "end") } else { (x + 5.0, "start") };
        html! {
            line.mark x1=(px(x)) x2=(px(x)) y1=(px(top - 14.0)) y2=(px(SIZE[1] - bottom)) {}
            text.name x=(px(beside)) y=(px(top - 5.0)) text-anchor=(anchor) { (name) }
        }
    }

    /// A line over the whole width, at a value.
    pub(super) fn level(&self, value: f64, class: &str) -> Markup {
        let ([left, right, ..], y) = (MARGINS, px(self.y(value)));
        html! { line class=(class) x1=(left) x2=(SIZE[0] - right) y1=(y) y2=(y) {} }
    }

    /// The axes and their names round what was drawn; y is a share where `share` says so.
    pub(super) fn draw(&self, what: &str, x: &str, share: bool, content: &Markup) -> Markup {
        let [left, right, _, bottom] = MARGINS;
        let floor = SIZE[1] - bottom;
        let up = self.y.ticks().into_iter().map(|(tick, name)| match share {
            true => (tick, format!("{} %", number(100.0 * tick))),
            false => (tick, name),
        });
        html! {
            svg viewBox={ "0 0 " (SIZE[0]) " " (SIZE[1]) } role="img" aria-label=(what) {
                @for (tick, name) in up {
                    (self.level(tick, "grid"))
                    text x=(left - 6.0) y=(px(self.y(tick) + 4.0)) text-anchor="end" { (name) }
                }
                (content)
                line.axis x1=(left) x2=(SIZE[0] - right) y1=(floor) y2=(floor) {}
                @for (tick, name) in self.x.ticks() {
                    @let x = px(self.x(tick));
                    line.axis x1=(x) x2=(x) y1=(floor) y2=(floor + 4.0) {}
                    text x=(x) y=(floor + 17.0) text-anchor="middle" { (name) }
                }
                text x=((left + SIZE[0] - right) / 2.0) y=(SIZE[1] - 5.0) text-anchor="middle" { (x) }
            }
        }
    }
}

/// A length in a tenth of a unit.
pub(super) fn px(length: f64) -> String {
    format!("{length:.1}")
}
