//! What a bundle knows of the training images, so that an image can be held against them.

use ndarray::{Array1, Array2, ArrayD, ArrayView1, ArrayView2, ArrayView3, Ix1, Ix2};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use statrs::distribution::{ContinuousCDF, Normal};

use super::layers::squared;

/// The numbers of [`Method::Path`](super::Method::Path).
const PATH: usize = 3;
/// The fewest quantiles that make a scale.
const LEAST_QUANTILES: usize = 3;

/// Fitted to training images by `vae-train export`; what a method does not need is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Of posterior means, for [`Method::Mahalanobis`](super::Method::Mahalanobis).
    pub latent: Option<Whitening>,
    /// For [`Method::Path`](super::Method::Path).
    pub path: Option<PathStatistics>,
    /// Of [`Scorer::differences`](super::Scorer::differences), for
    /// [`Method::Nap`](super::Method::Nap).
    pub layers: Option<Whitening>,
    /// The first 8 bytes of the SHA-256 of training images as tensors, some or all of them: a
    /// calibration on one of them would promise too much.
    pub seen: Vec<u64>,
}

/// A linear map after which training vectors have mean 0 and variance 1 along every axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Whitening {
    /// `[D]`
    pub mean: Array1<f32>,
    /// `[K, D]`: principal axes, each over the standard deviation along it.
    pub axes: Array2<f32>,
}

/// The three numbers of the likelihood path over the training images: reconstruction error, norm of
/// the posterior mean, norm of its standard deviation.
#[derive(Debug, Clone, PartialEq)]
pub struct PathStatistics {
    /// `[3, Q]`: of every number, quantiles at (i + 1/2) / Q.
    pub quantiles: Array2<f32>,
    /// Of the numbers as normal scores, D = 3.
    pub whitening: Whitening,
}

impl Whitening {
    /// ‖axes (x − mean)‖², the squared Mahalanobis distance of every x along the axes. That of a row
    /// does not depend on the others.
    ///
    /// # Shapes
    ///
    /// rows: `[N, D]`, output: `N` distances
    ///
    /// # Panics
    ///
    /// Where a row is not `[D]`.
    pub fn distances(&self, rows: ArrayView2<f32>) -> Vec<f64> {
        let along = (&rows - &self.mean).dot(&self.axes.t());
        along.outer_iter().map(squared).collect()
    }
}

impl PathStatistics {
    /// The squared Mahalanobis distances of the three numbers of every image as normal scores.
    pub fn distances(&self, numbers: &[[f64; PATH]]) -> Vec<f64> {
        let scores = Array2::from_shape_fn((numbers.len(), PATH), |(image, place)| {
            normal_score(self.quantiles.row(place), numbers[image][place]) as f32
        });
        self.whitening.distances(scores.view())
    }
}

/// The first 8 bytes of the SHA-256 of an image's values, as they are in memory on a machine with the
/// least significant byte first.
///
/// # Shapes
///
/// image: `[C, H, W]`
pub fn hash(image: ArrayView3<f32>) -> u64 {
    let mut hash = Sha256::new();
    image.iter().for_each(|v| hash.update(v.to_le_bytes()));
    u64::from_le_bytes(*hash.finalize().first_chunk().expect("it has 32"))
}

/// The standard normal quantile at a value's place among quantiles. Beyond the outermost one it goes
/// on at the slope between that and the median.
pub fn normal_score(quantiles: ArrayView1<f32>, value: f64) -> f64 {
    let normal = Normal::standard();
    let count = quantiles.len();
    let share = |place: f64| (place + 0.5) / count as f64;
    let at = |place: usize| f64::from(quantiles[place]);
    let (last, middle) = (count - 1, at(count / 2));
    let edge = normal.inverse_cdf(share(last as f64));
    let beyond = |from: f64, value: f64| match (from - middle).abs() {
        0.0 => 0.0,
        spread => (value - from).abs() / spread * edge,
    };
    if value > at(last) {
        return edge + beyond(at(last), value);
    }
    if value < at(0) {
        return -edge - beyond(at(0), value);
    }
    let above = (0..count).position(|i| at(i) >= value).unwrap_or(last);
    let below = above.saturating_sub(1);
    let step = at(above) - at(below);
    let part = if step > 0.0 { (value - at(below)) / step } else { 0.0 };
    normal.inverse_cdf(share(below as f64 + part))
}

impl Statistics {
    /// Whether there is nothing in them.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The statistics as a safetensors file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = vec![];
        let mut add = |name: String, array: ArrayD<f32>| {
            let bytes = array.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((name, Dtype::F32, array.shape().to_vec(), bytes));
        };
        let mut whitening = |name: &str, whitening: &Whitening| {
            add(format!("{name}.mean"), whitening.mean.clone().into_dyn());
            add(format!("{name}.axes"), whitening.axes.clone().into_dyn());
        };
        self.latent.iter().for_each(|latent| whitening("latent", latent));
        self.layers.iter().for_each(|layers| whitening("hidden", layers));
        self.path.iter().for_each(|path| whitening("path", &path.whitening));
        self.path.iter().for_each(|path| {
            add("path.quantiles".into(), path.quantiles.clone().into_dyn());
        });
        if !self.seen.is_empty() {
            let bytes = self.seen.iter().flat_map(|hash| hash.to_le_bytes()).collect();
            tensors.push(("seen".into(), Dtype::U64, vec![self.seen.len()], bytes));
        }
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name.as_str(), view.expect("sizes and bytes agree"))
        });
        safetensors::serialize(views, None).expect("there are fewer than a header can name")
    }

    /// Reads what [`Statistics::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// One sentence that says what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let whitening = |name: &str| -> Result<Option<Whitening>, String> {
            let mean = array::<Ix1>(&tensors, &format!("{name}.mean"))?;
            let axes = array::<Ix2>(&tensors, &format!("{name}.axes"))?;
            let Some((mean, axes)) = mean.zip(axes) else { return Ok(None) };
            if axes.ncols() != mean.len() {
                return Err(format!("`{name}` has {} values and {}", mean.len(), axes.ncols()));
            }
            Ok(Some(Whitening { mean, axes }))
        };
        let quantiles = array::<Ix2>(&tensors, "path.quantiles")?;
        let path = quantiles.zip(whitening("path")?);
        let path = path.map(|(quantiles, whitening)| PathStatistics { quantiles, whitening });
        if let Some(PathStatistics { quantiles, whitening }) = &path
            && (quantiles.nrows() != PATH
                || whitening.mean.len() != PATH
                || quantiles.ncols() < LEAST_QUANTILES
                || quantiles.outer_iter().any(|row| !row.iter().is_sorted()))
        {
            return Err("`path.quantiles` are not those of three numbers".into());
        }
        let seen = match tensors.tensor("seen") {
            Ok(view) if view.dtype() == Dtype::U64 => {
                let (hashes, _) = view.data().as_chunks::<8>();
                hashes.iter().map(|&hash| u64::from_le_bytes(hash)).collect()
            }
            Ok(_) => return Err("`seen` holds no hashes".into()),
            Err(_) => vec![],
        };
        Ok(Self { latent: whitening("latent")?, path, layers: whitening("hidden")?, seen })
    }
}

/// A tensor of finite `f32`; nothing where there is none of that name.
fn array<D: ndarray::Dimension>(
    tensors: &SafeTensors,
    name: &str,
) -> Result<Option<ndarray::Array<f32, D>>, String> {
    let Ok(view) = tensors.tensor(name) else { return Ok(None) };
    let (values, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|&b| f32::from_le_bytes(b)).collect();
    let whole = view.dtype() == Dtype::F32 && values.iter().all(|v| v.is_finite());
    let array = ArrayD::from_shape_vec(view.shape(), values);
    let array = array.ok().filter(|_| whole).and_then(|a| a.into_dimensionality::<D>().ok());
    array.map(Some).ok_or_else(|| format!("`{name}` is not the array that it should be"))
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, array};

    use super::*;
    use crate::noise;

    fn statistics() -> Statistics {
        let whitening = Whitening { mean: array![1.0, 2.0], axes: array![[0.5, 0.0], [0.0, 2.0]] };
        let unit = Whitening { mean: Array1::zeros(3), axes: Array2::eye(3) };
        let quantiles = array![[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [5.0, 5.0, 5.0]];
        Statistics {
            latent: Some(whitening.clone()),
            path: Some(PathStatistics { quantiles, whitening: unit }),
            layers: Some(whitening),
            seen: vec![1, u64::MAX],
        }
    }

    #[test]
    fn a_distance_is_in_units_of_the_spread() {
        let whitening = statistics().latent.expect("it is there");
        for (x, expected) in [([1.0, 2.0], 0.0), ([3.0, 2.0], 1.0), ([3.0, 1.5], 2.0)] {
            let distance = whitening.distances(array![x].view())[0];
            assert!((distance - expected).abs() < 1e-6, "{x:?}: {distance}");
        }
    }

    /// Also where rows fill no whole block of a matrix product.
    #[test]
    fn a_distance_does_not_depend_on_the_other_rows() {
        let draw = |seed, rows, columns| noise::standard_normal(seed, 0, rows, columns);
        let whitening =
            Whitening { mean: draw(1, 1, 613).row(0).to_owned(), axes: draw(2, 37, 613) };
        let rows = draw(3, 70, 613);
        let together = whitening.distances(rows.view());
        for count in [1, 2, 3, 7, 8, 9, 31, 69] {
            let first = rows.slice_axis(Axis(0), (..count).into());
            assert_eq!(whitening.distances(first), together[..count], "{count}");
            let last = rows.slice_axis(Axis(0), (70 - count..).into());
            assert_eq!(whitening.distances(last), together[70 - count..], "{count}");
        }
        assert!(whitening.distances(Array2::zeros((0, 613)).view()).is_empty());
    }

    #[test]
    fn normal_scores_follow_the_quantiles_and_go_on_beyond_them() {
        let quantiles = array![0.0, 1.0, 3.0];
        // The places 1/6, 1/2 and 5/6 of a standard normal.
        let edge = 0.967_421_566;
        for (value, expected) in
            [(0.0, -edge), (1.0, 0.0), (3.0, edge), (5.0, 2.0 * edge), (-2.0, -3.0 * edge)]
        {
            let score = normal_score(quantiles.view(), value);
            assert!((score - expected).abs() < 1e-6, "{value}: {score}");
        }
        let between = normal_score(quantiles.view(), 2.0);
        assert!((0.4..0.5).contains(&between), "{between}");
        assert!(normal_score(array![5.0, 5.0, 5.0].view(), 6.0).is_finite());
    }

    #[test]
    fn they_are_written_and_read_again() {
        for statistics in [statistics(), Statistics::default()] {
            let bytes = statistics.to_bytes();
            assert_eq!(Statistics::from_bytes(&bytes).expect("they are whole"), statistics);
        }
    }

    #[test]
    fn damaged_statistics_are_refused() {
        let refusal = |change: &dyn Fn(&mut Statistics)| {
            let mut statistics = statistics();
            change(&mut statistics);
            Statistics::from_bytes(&statistics.to_bytes()).expect_err("it is damaged")
        };
        let axes =
            |s: &mut Statistics| s.latent.as_mut().expect("there").axes = Array2::zeros((1, 3));
        assert!(refusal(&axes).contains("`latent` has 2 values and 3"));
        let nan = |s: &mut Statistics| s.layers.as_mut().expect("there").mean[0] = f32::NAN;
        assert!(refusal(&nan).contains("`hidden.mean`"));
        let order = |s: &mut Statistics| s.path.as_mut().expect("there").quantiles[[0, 0]] = 9.0;
        assert!(refusal(&order).contains("three numbers"));
        assert!(Statistics::from_bytes(b"not a file").is_err());
    }
}
