//! A transposed convolution as a convolution over its input.
//!
//! Output row `stride m + a` of a transposed convolution is a sum over the kernel rows `k` with
//! `(a + padding - k)` divisible by the stride, each applied to input row
//! `m + (a + padding - k) / stride`. The rows of one phase `a` are thus a convolution of their own,
//! and the phases of both axes are its output channels, which `DepthToSpace` interleaves. The
//! kernel's zeros cost arithmetic; integer kernels, which engines have for convolutions and not for
//! transposed ones, win it back.

/// The fewest channels, in and out, of a layer that integer kernels are faster on: engines keep that many
/// eight-bit numbers in a register, and fill it with zeros for fewer.
pub(crate) const LEAST_CHANNELS: usize = 16;

/// The convolution of all phases.
#[derive(Debug, PartialEq)]
pub(crate) struct Phases {
    /// `[stride * stride * out, in, kernel, kernel]`, the phases in the order of `DepthToSpace`'s
    /// mode `DCR`: row, column, channel.
    pub(crate) weight: Vec<f32>,
    /// Side of its kernel.
    pub(crate) kernel: usize,
    /// Zeros before the first row and column.
    pub(crate) before: usize,
    /// Input rows that the last row of output needs after the one at its own place.
    pub(crate) after: usize,
}

/// Sorts a kernel's taps into phases.
///
/// # Shapes
///
/// weight: `[in, out, kernel, kernel]`
pub(crate) fn phases(
    weight: &[f32],
    [inputs, outputs, kernel]: [usize; 3],
    stride: usize,
    padding: usize,
) -> Phases {
    // Every phase and kernel row, with the step from the phase's row to the input row it reads.
    let taps: Vec<(usize, usize, isize)> = (0..stride)
        .flat_map(|phase| (0..kernel).map(move |tap| (phase, tap)))
        .filter_map(|(phase, tap)| {
            let distance = (phase + padding) as isize - tap as isize;
            let aligned = distance.rem_euclid(stride as isize) == 0;
            aligned.then(|| (phase, tap, distance.div_euclid(stride as isize)))
        })
        .collect();
    let first = taps.iter().map(|tap| tap.2).min().unwrap_or(0).min(0);
    let last = taps.iter().map(|tap| tap.2).max().unwrap_or(0).max(0);
    let side = (last - first + 1) as usize;

    let mut sorted = vec![0.0; stride * stride * outputs * inputs * side * side];
    for &(row_phase, row_tap, row) in &taps {
        for &(column_phase, column_tap, column) in &taps {
            let (row, column) = ((row - first) as usize, (column - first) as usize);
            for output in 0..outputs {
                for input in 0..inputs {
                    let channel = (row_phase * stride + column_phase) * outputs + output;
                    let to = ((channel * inputs + input) * side + row) * side + column;
                    let from =
                        ((input * outputs + output) * kernel + row_tap) * kernel + column_tap;
                    sorted[to] = weight[from];
                }
            }
        }
    }
    Phases {
        weight: sorted,
        kernel: side,
        before: first.unsigned_abs(),
        after: last.unsigned_abs(),
    }
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
    fn a_stride_of_two_has_phases_of_one_and_two_taps() {
        // One channel, kernel [k0 k1 k2] along both axes as an outer product with [1 10 100].
        let weight: Vec<f32> =
            [1.0, 10.0, 100.0].iter().flat_map(|r| [r * 1.0, r * 2.0, r * 3.0]).collect();
        let phases = phases(&weight, [1, 1, 3], 2, 1);
        assert_eq!((phases.kernel, phases.before, phases.after), (2, 0, 1));
        // Even rows read k1 at their own place; odd ones k2 there and k0 one further.
        let rows = [[10.0, 0.0], [100.0, 1.0]];
        let columns = [[2.0, 0.0], [3.0, 1.0]];
        let expected: Vec<f32> = rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| (row, column)))
            .flat_map(|(row, column)| row.iter().flat_map(move |r| column.map(|c| r * c)))
            .collect();
        assert_eq!(phases.weight, expected);
    }

    #[test]
    fn a_stride_of_one_turns_the_kernel_around() {
        let phases = phases(&[1.0, 2.0, 3.0, 4.0], [1, 1, 2], 1, 0);
        assert_eq!(phases.weight, [4.0, 3.0, 2.0, 1.0]);
        assert_eq!((phases.kernel, phases.before, phases.after), (2, 1, 0));
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
                    .load("decoder", &graph.to_bytes(), &graph.spec())
                    .expect("tract takes both");
                session.run(&[latent.view()]).expect("it runs").remove(0)
            });
        let difference = difference(by_phases.view(), transposed.view());
        assert!(difference < 1e-6, "{difference}");
    }
}
