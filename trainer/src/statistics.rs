//! What a bundle keeps of the training images, so that others can be held against them.

use ndarray::{Array2, ArrayView2, ArrayView4, Axis, Slice, concatenate};
use vae_infer::anomaly::{
    Method, PathStatistics, Scorer, Statistics, Whitening, hash, normal_score, path,
};
use vae_infer::{Bundle, EngineOptions, Error, Model, score};

use crate::pca::Pca;

/// The most training images that statistics are fitted to.
pub const TRAINING_IMAGES: usize = 4096;
/// The images that the statistics of a latent vector are fitted to.
const LATENT_IMAGES: usize = 1024;
/// The fewest that say something about a spread.
const LEAST_IMAGES: usize = 16;
/// The images that go through the networks at once.
const BATCH: usize = 64;
/// The most values of a latent vector whose covariances are kept.
const MOST_LATENT: usize = 1024;
/// The most principal axes that are kept.
const MOST_AXES: usize = 1024;
/// The least variance along an axis, as a share of the largest one: below it lie rounding errors.
const LEAST_VARIANCE: f64 = 1e-7;
/// What the variance of layers along an axis is raised by, as a share of the largest one: without it
/// the axes along which training images hardly differ drown the others.
const RIDGE: f64 = 1e-3;
/// The quantiles of a number of the likelihood path.
const QUANTILES: usize = 129;
/// The share of images that the location and the spread of the path are taken from.
const INLIERS: f64 = 0.9;
/// Concentration steps, which settle within a few.
const STEPS: usize = 10;

/// Fits the statistics of every method that costs little room, and those of `method`.
///
/// Nothing but the hashes for fewer than 16 images.
///
/// # Shapes
///
/// images: `[N, C, H, W]`, for which [`TRAINING_IMAGES`] are enough
///
/// # Errors
///
/// Those of running the model.
pub fn fit(
    bundle: &Bundle,
    engine: &EngineOptions,
    images: ArrayView4<f32>,
    method: Method,
) -> Result<Statistics, Error> {
    let seen = images.outer_iter().map(hash).collect();
    if images.len_of(Axis(0)) < LEAST_IMAGES {
        return Ok(Statistics { seen, ..Statistics::default() });
    }
    let inside = method.looks_inside() && !bundle.manifest.encoder.layers.is_empty();
    let model = match inside {
        true => Model::load_with_layers(bundle, engine)?,
        false => Model::load(bundle, engine)?,
    };
    // Layers have many more axes than a latent vector, and take as many more images.
    let step = if inside { 1 } else { images.len_of(Axis(0)).div_ceil(LATENT_IMAGES) };
    let images = images.slice_axis(Axis(0), Slice::new(0, None, step as isize));
    // The method that needs no statistics stands in while they are fitted.
    let mut scorer = Scorer::new(bundle, model, Method::Mse, 1)?;
    let (mut means, mut numbers, mut layers) = (vec![], vec![], vec![]);
    for batch in images.axis_chunks_iter(Axis(0), BATCH) {
        let encoding = scorer.encode(batch)?;
        let reconstruction = scorer.decode(&encoding)?;
        let parts = score(bundle.manifest.likelihood, batch, &reconstruction)?;
        numbers.extend(path(&parts, &encoding.posterior).unwrap_or_default());
        means.push(encoding.posterior.mean.clone());
        if inside {
            layers.push(scorer.differences(&encoding, &reconstruction)?);
        }
    }
    let stacked = |parts: &[Array2<f32>]| {
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        concatenate(Axis(0), &views).ok()
    };
    let narrow = bundle.manifest.latent <= MOST_LATENT;
    let latent = stacked(&means).filter(|_| narrow).map(|means| whitening(means.view(), 0.0));
    let layers = stacked(&layers).map(|layers| whitening(layers.view(), RIDGE));
    let path = (!numbers.is_empty()).then(|| path_statistics(&numbers));
    Ok(Statistics { latent, path, layers, seen })
}

/// The mean of vectors, and their principal axes over the standard deviation along each, the one with
/// the largest variance first; variances are raised by a share of that one. Vectors that are all the
/// same have no axis.
///
/// # Shapes
///
/// vectors: `[N, D]`
fn whitening(vectors: ArrayView2<f32>, ridge: f64) -> Whitening {
    let mean = vectors.mean_axis(Axis(0)).expect("there are vectors");
    let mut axes = Array2::zeros((0, mean.len()));
    if let Some(pca) = Pca::fit(vectors.mapv(f64::from), MOST_AXES) {
        let largest = pca.variances().first().copied().unwrap_or_default();
        let varies = |&(_, &variance): &(_, &f64)| variance > LEAST_VARIANCE * largest;
        for (axis, &variance) in pca.axes().zip(pca.variances()).filter(varies) {
            let row = axis.mapv(|v| (v / (variance + ridge * largest).sqrt()) as f32);
            axes.push_row(row.view()).expect("axes have one length");
        }
    }
    Whitening { mean, axes }
}

/// The quantiles of the path's numbers, and the robust spread of their normal scores: that of the
/// images that lie closest together, by concentration steps (Rousseeuw and Van Driessen,
/// Technometrics 41, 1999).
fn path_statistics(numbers: &[[f64; 3]]) -> PathStatistics {
    let mut quantiles = Array2::zeros((3, QUANTILES));
    for (place, mut row) in quantiles.outer_iter_mut().enumerate() {
        let values: Vec<f64> = numbers.iter().map(|numbers| numbers[place]).collect();
        for (i, quantile) in row.iter_mut().enumerate() {
            let share = (i as f64 + 0.5) / QUANTILES as f64;
            *quantile =
                vae_infer::compare::quantile(&values, share).expect("they are finite") as f32;
        }
    }
    let scores = Array2::from_shape_fn((numbers.len(), 3), |(row, column)| {
        normal_score(quantiles.row(column), numbers[row][column]) as f32
    });
    let inliers = (INLIERS * numbers.len() as f64).ceil() as usize;
    let mut fitted = whitening(scores.view(), 0.0);
    for _ in 0..STEPS {
        let distances = fitted.distances(scores.view());
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.sort_by(|&i, &j| distances[i].total_cmp(&distances[j]));
        order.truncate(inliers);
        order.sort_unstable();
        fitted = whitening(scores.select(Axis(0), &order).view(), 0.0);
    }
    PathStatistics { quantiles, whitening: fitted }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use vae_infer::noise;

    use super::*;

    /// Draws with a spread of 3 along (1, 1), of 0.5 across, and none along the third axis.
    fn draws(count: usize) -> Array2<f32> {
        let normal = noise::standard_normal(1, 0, count, 2);
        Array2::from_shape_fn((count, 3), |(i, j)| {
            let (along, across) = (3.0 * normal[[i, 0]], 0.5 * normal[[i, 1]]);
            [along + across, along - across, 7.0][j] + 1.0
        })
    }

    #[test]
    fn whitened_vectors_have_unit_variance_along_every_axis() {
        for count in [2, 2000] {
            let draws = draws(count);
            let fitted = whitening(draws.view(), 0.0);
            let axes = fitted.axes.nrows();
            assert_eq!(axes, (count - 1).min(2), "what does not vary has no axis");
            let mean = fitted.distances(draws.view()).iter().sum::<f64>() / count as f64;
            let expected = axes as f64;
            assert!((mean - expected).abs() < 1e-3 * expected, "{count}: {mean}, not {expected}");
        }
        let fitted = whitening(draws(2000).view(), 0.0);
        let distance = |x: [f32; 3]| fitted.distances(array![x].view())[0];
        assert!(distance([1.0, 1.0, 8.0]) < 0.01);
        assert!(distance([3.0, -1.0, 8.0]) > 5.0 * distance([3.0, 3.0, 8.0]), "across is farther");
    }

    /// The variance across is a 36th of that along.
    #[test]
    fn a_ridge_shortens_what_lies_along_axes_of_little_variance() {
        let [plain, ridged] = [0.0, 1.0 / 36.0].map(|ridge| whitening(draws(2000).view(), ridge));
        let ratio = |x: [f32; 3]| {
            ridged.distances(array![x].view())[0] / plain.distances(array![x].view())[0]
        };
        assert!((ratio([101.0, -99.0, 8.0]) - 0.5).abs() < 0.03, "across");
        assert!((ratio([101.0, 101.0, 8.0]) - 36.0 / 37.0).abs() < 0.03, "along");
    }

    #[test]
    fn outliers_do_not_widen_the_path() {
        let normal = noise::standard_normal(2, 0, 1000, 3);
        let mut numbers: Vec<[f64; 3]> =
            normal.outer_iter().map(|row| [0, 1, 2].map(|i| f64::from(row[i]))).collect();
        let clean = path_statistics(&numbers);
        for numbers in numbers.iter_mut().take(50) {
            numbers[0] += 30.0;
        }
        let spoilt = path_statistics(&numbers);
        let far = [4.0, -4.0, 4.0];
        let [clean, spoilt] = [clean, spoilt].map(|fitted| fitted.distances(&[far])[0]);
        assert!(spoilt > 0.5 * clean, "{spoilt} of {clean}");
        assert!(clean > 20.0, "{clean}");
    }
}
