use ndarray::{Array2, array};
use proptest::prelude::*;

use super::*;

fn found(map: &Array2<f32>, level: f32, min_area: usize) -> Vec<Region> {
    regions(map.view(), None, level, min_area).expect("a finite map")
}

#[test]
fn a_region_has_its_box_its_peak_and_its_mean() {
    let map = array![
        [0.0, 0.0, 2.0, 0.0, 0.0],
        [0.0, 4.0, 0.0, 0.0, 9.0],
        [0.0, 3.0, 4.0, 0.0, 0.0],
        [1.0, 0.0, 0.0, 0.0, 9.0],
    ];
    let speck = |x, y| Region {
        x,
        y,
        width: 1,
        height: 1,
        area: 1,
        peak: 9.0,
        peak_x: x,
        peak_y: y,
        mean: 9.0,
    };
    let large = Region {
        x: 1,
        y: 0,
        width: 2,
        height: 3,
        area: 4,
        peak: 4.0,
        peak_x: 1,
        peak_y: 1,
        mean: 13.0 / 4.0,
    };
    assert_eq!(found(&map, 1.0, 0), [speck(4, 1), speck(4, 3), large]);
    assert_eq!(found(&map, 1.0, 2), [large]);
    assert_eq!(found(&map, 9.0, 0), [], "the level itself is not above it");
}

#[test]
fn a_mask_takes_pixels_out_and_cuts_regions_in_two() {
    let map = Array2::<f32>::ones((3, 5));
    let mask = Array2::from_shape_fn((3, 5), |(_, x)| x != 2);
    let halves = regions(map.view(), Some(mask.view()), 0.0, 1).expect("one shape");
    let boxes: Vec<_> = halves.iter().map(|r| (r.x, r.width, r.area)).collect();
    assert_eq!(boxes, [(0, 2, 6), (3, 2, 6)]);
    let other = Array2::from_elem((5, 3), true);
    let refused = regions(map.view(), Some(other.view()), 0.0, 1);
    assert!(matches!(refused, Err(Error::Shape { .. })));
}

/// A spiral of one pixel's width, with one pixel between its turns.
fn spiral(side: usize) -> Array2<f32> {
    let mut map = Array2::zeros((side, side));
    let (mut y, mut x, mut turn) = (0_usize, 0_usize, 0);
    let mut length = side - 1;
    map[[0, 0]] = 1.0;
    while length > 0 {
        for _ in 0..length {
            match turn % 4 {
                0 => x += 1,
                1 => y += 1,
                2 => x -= 1,
                _ => y -= 1,
            }
            map[[y, x]] = 1.0;
        }
        turn += 1;
        // The first three sides are full; of those that follow, two at a time are 2 shorter.
        if turn >= 3 && turn % 2 == 1 {
            length = length.saturating_sub(2);
        }
    }
    map
}

#[test]
fn no_shape_is_too_long_for_it() {
    let side = 801;
    let checkerboard = Array2::from_shape_fn((side, side), |(y, x)| ((y + x) % 2) as f32);
    let whole = Array2::ones((side, side));
    for (name, map) in [("spiral", spiral(side)), ("checkerboard", checkerboard), ("whole", whole)]
    {
        let area = map.sum() as usize;
        let [region] = found(&map, 0.5, 1)[..] else { panic!("{name} is one region") };
        assert_eq!((region.width, region.height, region.area), (side, side, area), "{name}");
    }
    let grid = Array2::from_shape_fn((side, side), |(y, x)| ((y + 1) * (x + 1) % 2) as f32);
    assert_eq!(found(&grid, 0.5, 1).len(), 401 * 401, "pixels that do not touch");
}

#[test]
fn no_number_is_no_level_and_no_map() {
    let map = Array2::<f32>::zeros((2, 2));
    assert!(matches!(regions(map.view(), None, f32::NAN, 1), Err(Error::Setting { .. })));
    let wrong = array![[f32::NAN]];
    assert!(matches!(regions(wrong.view(), None, 0.0, 1), Err(Error::NotFinite { .. })));
    assert_eq!(found(&Array2::zeros((0, 3)), 0.0, 0), []);
}

/// Labels every pixel with the smallest index that it is connected to, by spreading labels to
/// neighbours until nothing changes.
fn labels(inside: &Array2<bool>) -> Array2<Option<usize>> {
    let width = inside.ncols();
    let mut labels =
        Array2::from_shape_fn(inside.dim(), |at| inside[at].then_some(at.0 * width + at.1));
    loop {
        let spread = Array2::from_shape_fn(inside.dim(), |(y, x)| {
            let own = labels[[y, x]]?;
            let near = labels
                .indexed_iter()
                .filter(|&((v, u), _)| v.abs_diff(y) <= 1 && u.abs_diff(x) <= 1);
            near.filter_map(|(_, &label)| label).chain([own]).min()
        });
        if spread == labels {
            return labels;
        }
        labels = spread;
    }
}

/// The regions read off the labels, in no order.
fn naive(map: &Array2<f32>, inside: &Array2<bool>) -> Vec<Region> {
    let labels = labels(inside);
    let all: std::collections::BTreeSet<usize> = labels.iter().copied().flatten().collect();
    let region = |label| {
        let pixels: Vec<_> =
            labels.indexed_iter().filter(|(_, l)| **l == Some(label)).map(|(at, _)| at).collect();
        let (ys, xs) = (pixels.iter().map(|p| p.0), pixels.iter().map(|p| p.1));
        let peak = pixels.iter().map(|&at| map[at]).fold(f32::MIN, f32::max);
        let at = pixels.iter().find(|&&at| map[at] == peak).expect("it is one of them");
        let (x, y) = (xs.clone().min().unwrap_or(0), ys.clone().min().unwrap_or(0));
        let sum: f32 = pixels.iter().map(|&at| map[at]).sum();
        Region {
            x,
            y,
            width: xs.max().unwrap_or(0) - x + 1,
            height: ys.max().unwrap_or(0) - y + 1,
            area: pixels.len(),
            peak,
            peak_x: at.1,
            peak_y: at.0,
            mean: f64::from(sum) / pixels.len() as f64,
        }
    };
    all.into_iter().map(region).collect()
}

/// Maps of small integers, whose sums are exact in any order, with a mask.
fn maps() -> impl Strategy<Value = (Array2<f32>, Array2<bool>)> {
    (1..9_usize, 1..9_usize).prop_flat_map(|(height, width)| {
        let pixels = proptest::collection::vec((0..6_u8, 0..6_u8), height * width);
        pixels.prop_map(move |pixels| {
            let at = |(y, x): (usize, usize)| pixels[y * width + x];
            let map = Array2::from_shape_fn((height, width), |i| at(i).0.into());
            (map, Array2::from_shape_fn((height, width), |i| at(i).1 > 0))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(500)
    })]

    #[test]
    fn they_are_those_of_a_naive_fill(
        (map, mask) in maps(), level in 0..5_u8, min_area in 0..4_usize,
    ) {
        let inside = Zip::from(&map).and(&mask).map_collect(|&v, &m| m && v > level.into());
        let mut expected = naive(&map, &inside);
        expected.retain(|region| region.area >= min_area);
        let got = regions(map.view(), Some(mask.view()), level.into(), min_area);
        let mut got = got.expect("a finite map");
        let order = |r: &Region| (-r.peak as i32, r.peak_y, r.peak_x);
        prop_assert!(got.is_sorted_by_key(order));
        got.sort_by_key(|r| (r.peak_y, r.peak_x));
        expected.sort_by_key(|r| (r.peak_y, r.peak_x));
        prop_assert_eq!(got, expected);
    }
}
