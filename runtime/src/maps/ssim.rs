//! The structural similarity index of Wang, Bovik, Sheikh and Simoncelli (IEEE Transactions on Image
//! Processing 13, 2004).

use ndarray::{Array2, ArrayView2, ArrayView3};

mod window;

pub(crate) use window::SIDE;
pub use window::Window;

/// The constants that keep the quotient stable, over the width of the range.
const K1: f64 = 0.01;
const K2: f64 = 0.03;

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

    /// The luminance comparison, equation 6, for values from 0 to `peak`.
    fn luminance(&self, peak: f64) -> f64 {
        let (c1, [x, y]) = ((K1 * peak).powi(2), self.means);
        (2.0 * x * y + c1) / (x * x + y * y + c1)
    }

    /// The product of the comparisons of contrast and of structure, equations 9 and 10 with
    /// C3 = C2 / 2, for values from 0 to `peak`.
    fn contrast_structure(&self, peak: f64) -> f64 {
        let (c2, [xx, yy]) = ((K2 * peak).powi(2), self.variances);
        (2.0 * self.covariance + c2) / (xx + yy + c2)
    }

    /// The index, equation 13, for values from 0 to `peak`.
    fn similarity(&self, peak: f64) -> f64 {
        self.luminance(peak) * self.contrast_structure(peak)
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

/// [`products`], a plane each.
fn planes(image: ArrayView2<f32>, other: ArrayView2<f32>, black: f32) -> [Vec<f64>; 5] {
    let mut planes: [Vec<f64>; 5] = std::array::from_fn(|_| Vec::with_capacity(image.len()));
    for values in products(image, other, black) {
        planes.iter_mut().zip(values).for_each(|(plane, value)| plane.push(value));
    }
    planes
}

/// Means over the window's places within one channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts {
    /// Of the index.
    pub index: f64,
    /// Of the index without its luminance comparison.
    pub contrast_structure: f64,
}

impl Parts {
    /// The parts of one channel.
    ///
    /// # Shapes
    ///
    /// channel, other: `[H, W]`, in the range
    pub fn new(
        channel: ArrayView2<f32>,
        other: ArrayView2<f32>,
        window: &Window,
        [black, white]: [f32; 2],
    ) -> Self {
        let (height, width) = channel.dim();
        let peak = f64::from(white - black);
        let means = planes(channel, other, black).map(|plane| window.means(&plane, height, width));
        let places = means[0].len();
        let at = |place: usize| Moments::new(std::array::from_fn(|i| means[i][place]));
        let mean = |part: fn(&Moments, f64) -> f64| {
            (0..places).map(|place| part(&at(place), peak)).sum::<f64>() / places as f64
        };
        Self {
            index: mean(Moments::similarity),
            contrast_structure: mean(Moments::contrast_structure),
        }
    }
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
    range: [f32; 2],
) -> f64 {
    let channels = image.outer_iter().zip(other.outer_iter());
    let indices = channels.map(|(x, y)| Parts::new(x, y, window, range).index);
    indices.sum::<f64>() / image.shape()[0] as f64
}

/// The index around every pixel, the mean over the channels. At a border it is that of the part of
/// the window within the image.
///
/// # Shapes
///
/// image, other: `[C, H, W]`, in the range, output: `[H, W]`
pub fn ssim_map(
    image: ArrayView3<f32>,
    other: ArrayView3<f32>,
    window: &Window,
    [black, white]: [f32; 2],
) -> Array2<f64> {
    let (channels, height, width) = image.dim();
    let peak = f64::from(white - black);
    let mut map = Array2::zeros((height, width));
    for (x, y) in image.outer_iter().zip(other.outer_iter()) {
        let means = planes(x, y, black).map(|plane| {
            let plane = ArrayView2::from_shape((height, width), &plane);
            let plane = plane.expect("there is a product for every pixel");
            window.means_to_the_border(plane)
        });
        for (place, index) in map.indexed_iter_mut() {
            *index += Moments::new(std::array::from_fn(|i| means[i][place])).similarity(peak);
        }
    }
    map / channels as f64
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

    #[test]
    fn the_map_within_the_borders_has_the_mean_of_the_index() {
        let [x, y] = waves((3, 20, 13));
        let window = Window::fitting(20, 13);
        let map = ssim_map(x.view(), y.view(), &window, UNIT);
        assert_eq!(map.dim(), (20, 13));
        let within = map.slice_each_axis(|_| ndarray::Slice::new(5, Some(-5), 1));
        let index = ssim(x.view(), y.view(), &window, UNIT);
        assert!((within.mean().expect("ten by three") - index).abs() < 1e-12);
    }

    /// Against windows cut off at the border and normalised, in SciPy.
    #[test]
    fn the_map_reaches_the_borders() {
        let [x, y] = waves((3, 20, 13));
        let map = ssim_map(x.view(), y.view(), &Window::fitting(20, 13), UNIT);
        let cases = [([0, 0], 0.060_455_193), ([3, 12], 0.178_967_842), ([10, 6], 0.413_950_291)];
        for (at, expected) in cases {
            assert!((1.0 - map[at] - expected).abs() < 1e-6, "{at:?}: {}", map[at]);
        }
    }

    #[test]
    fn a_change_of_luminance_alone_leaves_contrast_and_structure() {
        let [x, _] = waves((1, 16, 16));
        let lighter = x.mapv(|v| 0.5 * v + 0.5);
        let darker = x.mapv(|v| 0.5 * v);
        let channel = |image: &Array3<f32>| image.index_axis(ndarray::Axis(0), 0).to_owned();
        let (lighter, darker) = (channel(&lighter), channel(&darker));
        let parts = Parts::new(lighter.view(), darker.view(), &Window::fitting(16, 16), UNIT);
        assert!((parts.contrast_structure - 1.0).abs() < 1e-5, "{parts:?}");
        assert!(parts.index < 0.8, "{parts:?}");
    }
}
