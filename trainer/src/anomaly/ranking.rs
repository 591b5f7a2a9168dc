//! How well a score ranks abnormal images above normal ones.

/// The area under the ROC curve: the chance that an abnormal image scores above a normal one, where
/// a tie counts half (Mann and Whitney, Annals of Mathematical Statistics 18, 1947). NaN where one of
/// the two is empty.
pub fn auroc(normal: &[f64], abnormal: &[f64]) -> f64 {
    let labelled = |scores, abnormal| std::iter::zip(scores, std::iter::repeat(abnormal));
    let mut all: Vec<(&f64, bool)> =
        labelled(normal, false).chain(labelled(abnormal, true)).collect();
    all.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (mut below, mut above) = (0.0, 0.0);
    for tie in all.chunk_by(|(a, _), (b, _)| a == b) {
        let found = tie.iter().filter(|(_, abnormal)| *abnormal).count() as f64;
        let passed = tie.len() as f64 - found;
        above += found * (below + 0.5 * passed);
        below += passed;
    }
    above / (normal.len() as f64 * abnormal.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_share_of_pairs_in_order() {
        let cases: [(&[f64], &[f64], f64); 7] = [
            (&[1.0, 2.0], &[3.0, 4.0], 1.0),
            (&[3.0, 4.0], &[1.0, 2.0], 0.0),
            (&[1.0, 3.0], &[2.0, 4.0, 0.0], 3.0 / 6.0),
            (&[1.0, 2.0, 2.0], &[2.0, 3.0], (1.0 + 0.5 + 0.5 + 3.0) / 6.0),
            (&[5.0; 4], &[5.0; 3], 0.5),
            (&[0.0], &[-0.0], 0.5),
            (&[-1e300, f64::NEG_INFINITY], &[1e300], 1.0),
        ];
        for (normal, abnormal, expected) in cases {
            let area = auroc(normal, abnormal);
            assert!((area - expected).abs() < 1e-15, "{normal:?} {abnormal:?}: {area}");
        }
        assert!(auroc(&[], &[1.0]).is_nan() && auroc(&[1.0], &[]).is_nan());
    }

    #[test]
    fn the_area_of_many_ties_is_that_of_all_pairs() {
        let draw = |i: usize, step: usize| ((i * step) % 17) as f64;
        let normal: Vec<f64> = (0..101).map(|i| draw(i, 5)).collect();
        let abnormal: Vec<f64> = (0..57).map(|i| draw(i, 3) + 2.0).collect();
        let pairs = abnormal.iter().flat_map(|a| normal.iter().map(move |n| (a, n)));
        let won = pairs.map(|(a, n)| match a.total_cmp(n) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        });
        let expected = won.sum::<f64>() / (101.0 * 57.0);
        assert!((auroc(&normal, &abnormal) - expected).abs() < 1e-12);
    }
}
