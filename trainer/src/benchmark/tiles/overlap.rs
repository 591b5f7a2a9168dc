//! How well maps find the pixels of defects.

use ndarray::{Array2, ArrayView2};

/// Of the pixels that belong to no defect, one in this many along either axis counts: neighbours of
/// a smooth map say the same.
const STEP: usize = 8;
/// The rate of false alarms up to which regions are looked for (Bergmann et al., MVTec AD, CVPR 2019).
const MOST_FALSE: f64 = 0.3;

/// Pixels of the maps of many images: their values, and how large a defect they belong to.
#[derive(Debug, Default)]
pub(super) struct Pixels {
    /// The pixels of the region that a pixel belongs to; 0 for those that belong to none.
    seen: Vec<(f32, u32)>,
}

impl Pixels {
    /// Takes the pixels of a map.
    ///
    /// # Shapes
    ///
    /// map, mask: `[H, W]`
    pub(super) fn add(&mut self, map: ArrayView2<f32>, mask: ArrayView2<bool>) {
        let areas = areas(mask);
        for ((place, &value), &area) in map.indexed_iter().zip(&areas) {
            let (y, x) = place;
            if area > 0 || (y % STEP == 0 && x % STEP == 0) {
                self.seen.push((value, area));
            }
        }
    }

    /// The area under the ROC curve of pixels, and the area under the curve of per-region overlap: the
    /// share of a region that is found, its mean over regions, over rates of false pixels up to 30 %,
    /// as a share of the whole. None without pixels of both kinds.
    pub(super) fn areas(mut self) -> Option<[f64; 2]> {
        self.seen.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
        let pixels = |area: u32| if area > 0 { 1.0 } else { 0.0 };
        let regions = |area: u32| if area > 0 { 1.0 / f64::from(area) } else { 0.0 };
        Some([self.under(1.0, pixels)?, self.under(MOST_FALSE, regions)?])
    }

    /// The area under the curve of the weight that is found over the rate of false pixels, up to such
    /// a rate and over it.
    fn under(&self, most: f64, weight: impl Fn(u32) -> f64) -> Option<f64> {
        let normal = self.seen.iter().filter(|(_, area)| *area == 0).count() as f64;
        let total: f64 = self.seen.iter().map(|&(_, area)| weight(area)).sum();
        if normal == 0.0 || total == 0.0 {
            return None;
        }
        let (mut rate, mut found, mut under) = (0.0, 0.0, 0.0);
        for tie in self.seen.chunk_by(|(a, _), (b, _)| a == b) {
            let more = tie.iter().map(|&(_, area)| weight(area)).sum::<f64>() / total;
            let step = tie.iter().filter(|(_, area)| *area == 0).count() as f64 / normal;
            let part = if step > 0.0 { ((most - rate) / step).min(1.0) } else { 1.0 };
            under += part * step * (found + 0.5 * part * more);
            (rate, found) = (rate + step, found + more);
            if rate >= most {
                break;
            }
        }
        Some(under / most)
    }
}

/// For every pixel of a region, of those that touch along a side or at a corner, its area; 0 elsewhere.
fn areas(mask: ArrayView2<bool>) -> Array2<u32> {
    let (height, width) = mask.dim();
    let mut areas = Array2::zeros((height, width));
    let mut open = mask.to_owned();
    for first in (0..height).flat_map(|y| (0..width).map(move |x| [y, x])) {
        if !std::mem::take(&mut open[first]) {
            continue;
        }
        let mut region = vec![first];
        let mut looked = 0;
        while let Some(&[y, x]) = region.get(looked) {
            looked += 1;
            for y in y.saturating_sub(1)..(y + 2).min(height) {
                for x in x.saturating_sub(1)..(x + 2).min(width) {
                    if std::mem::take(&mut open[[y, x]]) {
                        region.push([y, x]);
                    }
                }
            }
        }
        for &place in &region {
            areas[place] = region.len() as u32;
        }
    }
    areas
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn pixels(seen: &[(f32, u32)]) -> [f64; 2] {
        Pixels { seen: seen.to_vec() }.areas().expect("there are both kinds")
    }

    #[test]
    fn regions_touch_at_corners_too() {
        let mask = array![
            [true, false, false, true],
            [false, true, false, true],
            [false, false, false, false],
            [true, false, false, false],
        ];
        let expected = array![[2, 0, 0, 2], [0, 2, 0, 2], [0; 4], [1, 0, 0, 0]];
        assert_eq!(areas(mask.view()), expected);
    }

    #[test]
    fn of_normal_pixels_some_are_taken_and_of_defects_all() {
        let mut mask = Array2::from_elem((16, 16), false);
        mask[[1, 1]] = true;
        let map = Array2::from_shape_fn((16, 16), |(y, x)| (16 * y + x) as f32);
        let mut pixels = Pixels::default();
        pixels.add(map.view(), mask.view());
        assert_eq!(pixels.seen, [(0.0, 0), (8.0, 0), (17.0, 1), (128.0, 0), (136.0, 0)]);
    }

    #[test]
    fn areas_of_known_curves() {
        // Nothing normal above the defects; nothing abnormal above normal pixels; all the same.
        assert_eq!(pixels(&[(3.0, 2), (2.0, 2), (1.0, 0), (0.0, 0)]), [1.0, 1.0]);
        assert_eq!(pixels(&[(0.0, 1), (1.0, 0), (2.0, 0)]), [0.0, 0.0]);
        let [roc, overlap] = pixels(&[(1.0, 1), (1.0, 0), (1.0, 0)]);
        assert!((roc - 0.5).abs() < 1e-12 && (overlap - 0.15).abs() < 1e-12, "{roc}, {overlap}");
        // A small region is found and a large one is not: one pixel of four, and a half of the regions.
        let mut seen = vec![(9.0, 1)];
        seen.extend([(0.0, 3); 3]);
        seen.extend([(1.0, 0); 10]);
        let [roc, overlap] = pixels(&seen);
        assert!((roc - 0.25).abs() < 1e-12 && (overlap - 0.5).abs() < 1e-12, "{roc}, {overlap}");
        // The second region is found behind one of ten normal pixels: 0.5 up to 0.1, then 1.
        let mut seen = vec![(9.0, 1), (8.0, 0), (7.0, 1)];
        seen.extend((0..9).map(|i| (i as f32 / 10.0, 0)));
        let [_, overlap] = pixels(&seen);
        assert!((overlap - (0.05 + 0.2) / 0.3).abs() < 1e-12, "{overlap}");
        assert!(Pixels { seen: vec![(1.0, 0)] }.areas().is_none());
        assert!(Pixels { seen: vec![(1.0, 4)] }.areas().is_none());
    }
}
