//! The structural similarity index of Wang, Bovik, Sheikh and Simoncelli (IEEE Transactions on Image
//! Processing 13, 2004).

use ndarray::{ArrayView2, ArrayView3, Axis};

/// The window's side in the paper.
const SIDE: usize = 11;
/// The window's standard deviation in pixels.
const SIGMA: f64 = 1.5;
/// The constants that keep the quotient stable, over the width of the range.
const K1: f64 = 0.01;
const K2: f64 = 0.03;

/// A Gaussian window, normalised to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Its weights along one axis.
    weights: Vec<f64>,
}

impl Window {
    /// The paper's window of 11 pixels, or the largest odd one that an image has room for.
    pub fn fitting(height: usize, width: usize) -> Self {
        let room = height.min(width).clamp(1, SIDE);
        let radius = ((room - 1) / 2) as i32;
        let weight = |i: i32| (-f64::from(i * i) / (2.0 * SIGMA * SIGMA)).exp();
        let total: f64 = (-radius..=radius).map(weight).sum();
        Self { weights: (-radius..=radius).map(|i| weight(i) / total).collect() }
    }

    /// Its side in pixels.
    pub fn side(&self) -> usize {
        self.weights.len()
    }

    /// The weighted means over the places where the window lies within the plane, `[H, W]` values
    /// row by row.
    fn means(&self, plane: &[f64], height: usize, width: usize) -> Vec<f64> {
        let margin = self.side() - 1;
        let columns = width - margin;
        let mut along_rows = Vec::with_capacity(height * columns);
        for row in plane.chunks_exact(width) {
            let products = |place: &[f64]| -> f64 {
                place.iter().zip(&self.weights).map(|(value, weight)| value * weight).sum()
            };
            along_rows.extend(row.windows(self.side()).map(products));
        }
        let mut means = vec![0.0; (height - margin) * columns];
        for (row, means) in means.chunks_exact_mut(columns).enumerate() {
            for (weight, values) in
                self.weights.iter().zip(along_rows.chunks_exact(columns).skip(row))
            {
                means.iter_mut().zip(values).for_each(|(mean, value)| *mean += weight * value);
            }
        }
        means
    }
}

/// First and second moments of two images in a window.
struct Moments {
    means: [f64; 2],
    variances: [f64; 2],
    covariance: f64,
}

impl Moments {
    /// From the means of x, y, x², y² and xy.
    fn new([x, y, xx, yy, xy]: [f64; 5]) -> Self {
        Self { means: [x, y], variances: [xx - x * x, yy - y * y], covariance: xy - x * y }
    }

    /// The index, equation 13, for values from 0 to `peak`.
    fn similarity(&self, peak: f64) -> f64 {
        let (c1, c2) = ((K1 * peak).powi(2), (K2 * peak).powi(2));
        let ([x, y], [xx, yy]) = (self.means, self.variances);
        let luminance = (2.0 * x * y + c1) / (x * x + y * y + c1);
        luminance * (2.0 * self.covariance + c2) / (xx + yy + c2)
    }
}

/// The products of two planes, each a value a pixel: x, y, x², y² and xy, with black at 0.
fn products(
    image: ArrayView2<f32>,
    other: ArrayView2<f32>,
    black: f32,
) -> impl Iterator<Item = [f64; 5]> {
    image.into_iter().zip(other).map(move |(x, y)| {
        let (x, y) = (f64::from(x - black), f64::from(y - black));
        [x, y, x * x, y * y, x * y]
    })
}

/// The mean index over the window's places within the image and over the channels.
///
/// # Shapes
///
/// image, other: `[C, H, W]`, in the range
pub fn ssim(
    image: ArrayView3<f32>,
    other: ArrayView3<f32>,
    window: &Window,
    [black, white]: [f32; 2],
) -> f64 {
    let (channels, height, width) = image.dim();
    let peak = f64::from(white - black);
    let channel = |c: usize| -> f64 {
        let (x, y) = (image.index_axis_move(Axis(0), c), other.index_axis_move(Axis(0), c));
        let mut planes: [Vec<f64>; 5] = Default::default();
        for values in products(x, y, black) {
            planes.iter_mut().zip(values).for_each(|(plane, value)| plane.push(value));
        }
        let means = planes.map(|plane| window.means(&plane, height, width));
        let places = means[0].len();
        let at = |place: usize| Moments::new(std::array::from_fn(|i| means[i][place]));
        (0..places).map(|place| at(place).similarity(peak)).sum::<f64>() / places as f64
    };
    (0..channels).map(channel).sum::<f64>() / channels as f64
}

/// The index in one flat window over the whole image, all channels together, with the statistics of
/// a population: what some notebooks call SSIM. It says nothing of local structure.
///
/// # Shapes
///
/// image, other: `[C, H, W]`, in the range
pub fn ssim_global(
    image: ArrayView3<f32>,
    other: ArrayView3<f32>,
    [black, white]: [f32; 2],
) -> f64 {
    let pixels = image.len() as f64;
    let mut sums = [0.0; 5];
    for (x, y) in image.outer_iter().zip(other.outer_iter()) {
        for values in products(x, y, black) {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
    Moments::new(sums.map(|sum| sum / pixels)).similarity(f64::from(white - black))
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    const UNIT: [f32; 2] = [0.0, 1.0];

    /// Two images of waves.
    fn waves(shape: (usize, usize, usize)) -> [Array3<f32>; 2] {
        let place = |(c, i, j): (usize, usize, usize)| (c as f64, i as f64, j as f64);
        let x = Array3::from_shape_fn(shape, |at| {
            let (c, i, j) = place(at);
            (0.5 + 0.5 * (0.3 * i + 0.2 * j + c).sin()) as f32
        });
        let y = Array3::from_shape_fn(shape, |at| {
            let (c, i, j) = place(at);
            (0.5 + 0.4 * (0.35 * i + 0.2 * j + c + 0.1).sin()) as f32
        });
        [x, y]
    }

    fn between(shape: (usize, usize, usize)) -> [f64; 2] {
        let [x, y] = waves(shape);
        let window = Window::fitting(shape.1, shape.2);
        [ssim(x.view(), y.view(), &window, UNIT), ssim_global(x.view(), y.view(), UNIT)]
    }

    /// scikit-image 0.26: `structural_similarity(x, y, channel_axis=0, gaussian_weights=True,
    /// sigma=1.5, use_sample_covariance=False, data_range=1.0)`, and its formula on NumPy's
    /// population moments.
    #[test]
    fn it_is_scikit_images() {
        let cases = [
            ((1, 16, 14), [0.734_714_254, 0.841_786_020]),
            ((3, 20, 13), [0.616_850_229, 0.788_067_430]),
            ((1, 11, 11), [0.957_965_402, 0.939_332_699]),
        ];
        for (shape, expected) in cases {
            let got = between(shape);
            let close = got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-6);
            assert!(close, "{shape:?}: {got:?}, not {expected:?}");
        }
    }

    /// Against the sums over every window of 5x5, written out in NumPy.
    #[test]
    fn a_small_image_gets_the_largest_odd_window() {
        assert!((between((1, 6, 5))[0] - 0.810_986_082).abs() < 1e-6);
        let sides = [(4, 4, 3), (28, 28, 11), (1, 9, 1), (10, 12, 9)];
        for (height, width, side) in sides {
            assert_eq!(Window::fitting(height, width).side(), side, "{height}x{width}");
        }
    }

    #[test]
    fn an_image_is_like_itself_in_any_range() {
        let [x, y] = waves((3, 12, 17));
        let window = Window::fitting(12, 17);
        assert!((ssim(x.view(), x.view(), &window, UNIT) - 1.0).abs() < 1e-12);
        assert!((ssim_global(x.view(), x.view(), UNIT) - 1.0).abs() < 1e-12);
        let wide = |v: &Array3<f32>| v.mapv(|v| v * 2.0 - 1.0);
        let (a, b) = (wide(&x), wide(&y));
        let scaled = ssim(a.view(), b.view(), &window, [-1.0, 1.0]);
        assert!((scaled - ssim(x.view(), y.view(), &window, UNIT)).abs() < 1e-5);
    }
}
