use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;

/// The rows that are held against all points at once.
const BLOCK: usize = 128;

/// A point's distance, and its place among the points.
pub(super) type Neighbour = (f64, usize);

/// Points whose nearest ones are looked for, all of them one by one.
///
/// Letters: `N` points, `Z` coordinates.
pub(super) struct Neighbours {
    /// `[N, Z]`
    points: Array2<f64>,
    /// The squared length of each, `[N]`.
    squares: Array1<f64>,
}

impl Neighbours {
    pub(super) fn new(points: Array2<f64>) -> Self {
        let squares = points.outer_iter().map(|point| point.dot(&point)).collect();
        Self { points, squares }
    }

    /// The `k` points nearest to every row, the nearest first and of those equally far the first
    /// one first; all where there are fewer.
    ///
    /// # Shapes
    ///
    /// rows: `[M, Z]`
    pub(super) fn nearest(&self, rows: ArrayView2<f64>, k: usize) -> Vec<Vec<Neighbour>> {
        self.search(rows, k, |_, _| true)
    }

    /// The `k` points nearest to every point but for itself.
    pub(super) fn of_each_other(&self, k: usize) -> Vec<Vec<Neighbour>> {
        self.search(self.points.view(), k, |row, place| row != place)
    }

    fn search(
        &self,
        rows: ArrayView2<f64>,
        k: usize,
        takes: impl Fn(usize, usize) -> bool + Sync,
    ) -> Vec<Vec<Neighbour>> {
        let blocks: Vec<_> = rows.axis_chunks_iter(Axis(0), BLOCK).enumerate().collect();
        let nearest = |(number, block): (usize, ArrayView2<f64>)| {
            // |x - p|² - |x|², which is ordered as the distance is.
            let closeness = &self.squares - &(block.dot(&self.points.t()) * 2.0);
            let of_row = |(i, closeness): (usize, ndarray::ArrayView1<f64>)| {
                let takes = |place: &usize| takes(number * BLOCK + i, *place);
                let places = (0..closeness.len()).filter(takes);
                let mut found: Vec<_> = places.map(|place| (closeness[place], place)).collect();
                if k < found.len() {
                    found.select_nth_unstable_by(k, order);
                    found.truncate(k);
                }
                for (distance, place) in &mut found {
                    let difference = &block.row(i) - &self.points.row(*place);
                    *distance = difference.dot(&difference).sqrt();
                }
                found.sort_unstable_by(order);
                found
            };
            closeness.outer_iter().enumerate().map(of_row).collect::<Vec<_>>()
        };
        blocks.into_par_iter().flat_map_iter(nearest).collect()
    }
}

fn order(a: &Neighbour, b: &Neighbour) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}
