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

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// Points off the origin, where a difference of squares loses digits.
    fn points(count: usize) -> Array2<f64> {
        Array2::from_shape_fn((count, 7), |(i, j)| 100.0 + ((i * (j + 3) * 7919) % 1009) as f64)
    }

    #[test]
    fn the_nearest_are_those_of_all_pairs() {
        let (all, rows) = (points(500), points(800) + 0.25);
        let found = Neighbours::new(all.clone()).nearest(rows.view(), 4);
        assert_eq!(found.len(), 800);
        for (row, found) in rows.outer_iter().zip(found) {
            let distance = |point: ndarray::ArrayView1<f64>| (&row - &point).mapv(|v| v * v).sum();
            let mut expected: Vec<f64> = all.outer_iter().map(|p| distance(p).sqrt()).collect();
            expected.sort_by(f64::total_cmp);
            let close = found.iter().zip(&expected).all(|((got, _), e)| (got - e).abs() < 1e-9);
            assert!(close && found.len() == 4, "{found:?}, not {:?}", &expected[..4]);
        }
    }

    #[test]
    fn a_point_is_not_its_own_neighbour_but_its_double_is() {
        let neighbours = Neighbours::new(array![[0.0], [2.0], [2.0], [5.0]]);
        let expected: [&[Neighbour]; 4] = [
            &[(2.0, 1), (2.0, 2)],
            &[(0.0, 2), (2.0, 0)],
            &[(0.0, 1), (2.0, 0)],
            &[(3.0, 1), (3.0, 2)],
        ];
        assert_eq!(neighbours.of_each_other(2), expected);
        let all = neighbours.nearest(array![[1.0]].view(), 9);
        assert_eq!(all, [[(1.0, 0), (1.0, 1), (1.0, 2), (4.0, 3)]]);
    }
}
