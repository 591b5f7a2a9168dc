//! How well a score ranks abnormal images above normal ones.

use vae_infer::anomaly::Conformal;

/// The area under the ROC curve: the chance that an abnormal image scores above a normal one, where
/// a tie counts half (Mann and Whitney, Annals of Mathematical Statistics 18, 1947). NaN where one of
/// the two is empty.
pub fn auroc(normal: &[f64], abnormal: &[f64]) -> f64 {
    let labelled = |scores: &[f64], abnormal| scores.iter().map(move |&s| (s, abnormal)).collect();
    let mut all: Vec<(f64, bool)> = [labelled(normal, false), labelled(abnormal, true)].concat();
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

/// The share of abnormal images that a calibration on normal ones calls anomalies at a rate of
/// false alarms. NaN where there is no image.
pub fn found_at(rate: f64, calibration: &Conformal, abnormal: &[f64]) -> f64 {
    let found = abnormal.iter().filter(|&&score| calibration.p_value(score) <= rate).count();
    found as f64 / abnormal.len() as f64
}
