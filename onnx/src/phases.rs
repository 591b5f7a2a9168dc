//! A transposed convolution as a convolution over its input.
//!
//! Output row `stride m + a` of a transposed convolution is a sum over the kernel rows `k` with
//! `(a + padding - k)` divisible by the stride, each applied to input row
//! `m + (a + padding - k) / stride`. The rows of one phase `a` are thus a convolution of their own,
//! and the phases of both axes are its output channels, which `DepthToSpace` interleaves. The
//! kernel's zeros cost arithmetic; integer kernels, which engines have for convolutions and not for
//! transposed ones, win it back. They cost no bytes: the graph holds the taps, and nodes of constants,
//! which engines fold when they load it, sort them.

/// The fewest channels, in and out, of a layer that integer kernels are faster on: engines keep that many
/// eight-bit numbers in a register, and fill it with zeros for fewer.
pub(crate) const LEAST_CHANNELS: usize = 16;

/// Where a kernel's taps go when they are sorted into phases.
#[derive(Debug, PartialEq)]
pub(crate) struct Phases {
    /// Side of the kernel of every phase.
    pub(crate) kernel: usize,
    /// Zeros before the first row and column of the input.
    pub(crate) before: usize,
    /// Input rows that the last row of output needs after the one at its own place.
    pub(crate) after: usize,
    /// Zeros before and after the taps, along either axis. Of the padded taps, which are
    /// `kernel * stride` then, phase `a` has every `stride`-th from the `a`-th on, in the opposite
    /// order.
    pub(crate) zeros: [usize; 2],
}

/// Sorts a kernel's taps into phases.
pub(crate) fn phases(kernel: usize, stride: usize, padding: usize) -> Phases {
    // How far the input row that a tap reads lies from the row of its phase.
    let steps = (0..stride).flat_map(|phase| (0..kernel).map(move |tap| (phase, tap)));
    let steps = steps.filter_map(|(phase, tap)| {
        let distance = (phase + padding) as isize - tap as isize;
        let aligned = distance.rem_euclid(stride as isize) == 0;
        aligned.then(|| distance.div_euclid(stride as isize))
    });
    let (first, last) =
        steps.fold((0, 0), |(first, last), step: isize| (first.min(step), last.max(step)));
    let side = (last - first + 1) as usize;
    let (before, after) = (first.unsigned_abs(), last.unsigned_abs());
    let leading = stride * after - padding;
    Phases { kernel: side, before, after, zeros: [leading, stride * side - kernel - leading] }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use vae_infer::verify::difference;
    use vae_infer::{Engine, EngineOptions, noise};
    use vae_models::VaeConfig;

    use super::*;
    use crate::graph::decoder_with;
    use crate::nodes::Deconvolution;

    #[test]
    fn taps_are_sorted_into_phases() {
        let cases = [
            // Even rows read tap 1 at their own place; odd ones tap 2 there and tap 0 one further.
            ((3, 2, 1), Phases { kernel: 2, before: 0, after: 1, zeros: [1, 0] }),
            ((4, 2, 1), Phases { kernel: 3, before: 1, after: 1, zeros: [1, 1] }),
            // A stride of one turns the kernel around.
            ((2, 1, 0), Phases { kernel: 2, before: 1, after: 0, zeros: [0, 0] }),
            // The third phase has no tap.
            ((2, 3, 0), Phases { kernel: 1, before: 0, after: 0, zeros: [0, 1] }),
        ];
        for ((kernel, stride, padding), expected) in cases {
            assert_eq!(phases(kernel, stride, padding), expected, "{kernel} {stride} {padding}");
        }
    }

    /// A decoder of transposed convolutions with every stride, padding and output padding.
    const CONFIG: &str = r#"
latent = 3
likelihood = { kind = "squared_error" }
encoder = [{ block = "flatten" }]
decoder = [
  { block = "dense", units = 192 },
  { block = "unflatten", channels = 16, height = 4, width = 3 },
  { block = "deconv", channels = 16, kernel = 3, stride = 2, padding = 1, activation = "relu" },
  { block = "deconv", channels = 17, kernel = 4, stride = 2, padding = 1, activation = { leaky_relu = 0.1 } },
  { block = "deconv", channels = 16, kernel = 5, stride = 3, padding = 2, output_padding = 1 },
  { block = "deconv", channels = 18, kernel = 2, stride = 3 },
  { block = "deconv", channels = 16, kernel = 3, stride = 1, padding = 2, activation = "silu" },
  { block = "deconv", channels = 16, kernel = 1, stride = 1, padding = 1 },
  { block = "conv", channels = 2, kernel = 1 },
  { block = "crop", height = 116, width = 78 },
]
"#;

    #[test]
    fn both_forms_decode_the_same_picture() {
        let config: VaeConfig = toml::from_str(CONFIG).expect("the test's own TOML");
        let image = [2, 116, 78];
        let vae = config.init(image, &Device::flex()).expect("it fits");
        let latent = noise::standard_normal(0, 0, 2, 3).into_dyn();
        let [transposed, by_phases] =
            [Deconvolution::Transposed, Deconvolution::Phases].map(|form| {
                let graph = decoder_with(form, &vae, &config, image).expect("it fits");
                let tract = EngineOptions::new(Engine::Tract);
                let mut session = tract
                    .load("decoder", graph.to_bytes(), &graph.spec())
                    .expect("tract takes both");
                session.run(&[latent.view()]).expect("it runs").remove(0)
            });
        let difference = difference(by_phases.view(), transposed.view());
        assert!(difference < 1e-6, "{difference}");
    }
}
