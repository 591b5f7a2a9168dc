//! Connected regions of a map above a level.

use std::mem;

use ndarray::{ArrayView2, Zip};
use serde::Serialize;

use super::checks;
use crate::Error;

#[cfg(test)]
mod tests;

/// Pixels above a level that touch each other, along a side or at a corner.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Region {
    /// The bounding box's leftmost column, counted from 0.
    pub x: usize,
    /// Its topmost row, counted from 0.
    pub y: usize,
    /// Its width in pixels.
    pub width: usize,
    /// Its height in pixels.
    pub height: usize,
    /// The number of pixels above the level.
    pub area: usize,
    /// The largest value.
    pub peak: f32,
    /// The column of the largest value; of equal ones, the first row by row.
    pub peak_x: usize,
    /// Its row.
    pub peak_y: usize,
    /// The mean value over the area.
    pub mean: f64,
}

/// The regions of a map above `level` that have at least `min_area` pixels, from the highest peak to
/// the lowest; equal peaks follow each other row by row.
///
/// Pixels where `mask` is false belong to no region and connect none. The time is linear in the
/// number of pixels, whatever the regions' shapes.
///
/// # Shapes
///
/// map: `[H, W]`, mask: `[H, W]`
///
/// # Errors
///
/// [`Error::Shape`] where the mask has another shape, [`Error::NotFinite`] for such a map,
/// [`Error::Setting`] for a level that is not a number.
pub fn regions(
    map: ArrayView2<f32>,
    mask: Option<ArrayView2<bool>>,
    level: f32,
    min_area: usize,
) -> Result<Vec<Region>, Error> {
    checks::finite(map)?;
    if level.is_nan() {
        let (got, expected) = (level.to_string(), "a number".into());
        return Err(Error::Setting { what: "the regions' level", got, expected });
    }
    // Pixels above the level that no region has taken yet.
    let mut open = map.mapv(|value| value > level);
    if let Some(mask) = mask {
        if mask.dim() != map.dim() {
            let (got, expected) = (mask.shape().to_vec(), format!("{:?}", map.shape()));
            return Err(Error::Shape { what: "the mask", got, expected });
        }
        Zip::from(&mut open).and(mask).for_each(|open, &mask| *open &= mask);
    }

    let (height, width) = map.dim();
    let mut regions = vec![];
    let mut frontier = vec![];
    for (row, column) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        if !mem::take(&mut open[[row, column]]) {
            continue;
        }
        frontier.push([row, column]);
        let mut extent = Extent::at([row, column]);
        while let Some([y, x]) = frontier.pop() {
            extent.add([y, x], map[[y, x]]);
            for y in y.saturating_sub(1)..(y + 2).min(height) {
                for x in x.saturating_sub(1)..(x + 2).min(width) {
                    if mem::take(&mut open[[y, x]]) {
                        frontier.push([y, x]);
                    }
                }
            }
        }
        regions.extend((extent.area >= min_area).then(|| extent.region()));
    }
    regions.sort_by(|a, b| {
        b.peak.total_cmp(&a.peak).then((a.peak_y, a.peak_x).cmp(&(b.peak_y, b.peak_x)))
    });
    Ok(regions)
}

/// A region that grows; places are `[y, x]`.
struct Extent {
    first: [usize; 2],
    last: [usize; 2],
    area: usize,
    peak: f32,
    peak_at: [usize; 2],
    sum: f64,
}

impl Extent {
    /// Nothing yet, around a place that will be added.
    fn at(place: [usize; 2]) -> Self {
        let peak = f32::NEG_INFINITY;
        Self { first: place, last: place, area: 0, peak, peak_at: place, sum: 0.0 }
    }

    fn add(&mut self, place: [usize; 2], value: f32) {
        for (axis, &at) in place.iter().enumerate() {
            self.first[axis] = self.first[axis].min(at);
            self.last[axis] = self.last[axis].max(at);
        }
        self.area += 1;
        self.sum += f64::from(value);
        if value > self.peak || (value == self.peak && place < self.peak_at) {
            (self.peak, self.peak_at) = (value, place);
        }
    }

    fn region(&self) -> Region {
        let ([y, x], [bottom, right]) = (self.first, self.last);
        let [peak_y, peak_x] = self.peak_at;
        Region {
            x,
            y,
            width: right - x + 1,
            height: bottom - y + 1,
            area: self.area,
            peak: self.peak,
            peak_x,
            peak_y,
            mean: self.sum / self.area as f64,
        }
    }
}
