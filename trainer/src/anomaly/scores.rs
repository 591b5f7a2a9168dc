use ndarray::{ArrayView4, Axis};
use vae_infer::anomaly::{Method, Scorer};
use vae_infer::{Bundle, EngineOptions, Error, Model};

/// The images that go through the networks at once.
pub(crate) const BATCH: usize = 64;

/// Scores of images by every method that a bundle can be scored by, in the order of
/// [`Method::ALL`], with `draws` from the posterior where a method draws. What methods share is
/// computed once.
///
/// # Shapes
///
/// images: `[N, C, H, W]`, output: `N` scores by each method
///
/// # Errors
///
/// Those of loading and running the model, and [`Error::NotFinite`] for a score that is not a
/// number.
pub fn scores(
    bundle: &Bundle,
    engine: &EngineOptions,
    images: ArrayView4<f32>,
    draws: usize,
) -> Result<Vec<(Method, Vec<f64>)>, Error> {
    let model = Model::load_with_layers(bundle, engine)?;
    let mut scorer = Scorer::new(bundle, model, Method::Mse, draws)?;
    let mut batches = images.axis_chunks_iter(Axis(0), BATCH);
    let empty = images.slice_axis(Axis(0), (..0).into());
    let mut all = scorer.score_by_all(batches.next().unwrap_or(empty))?;
    for batch in batches {
        for ((_, all), (_, scores)) in all.iter_mut().zip(scorer.score_by_all(batch)?) {
            all.extend(scores);
        }
    }
    Ok(all)
}
