use super::carry::{Carry, Room};
use super::convolution::Convolution;
use super::planes::Planes;
use super::products::{Products, Small};
use super::tiles::{LANES, shares};
use super::window::Window;

/// Positions that are multiplied at once, about, in one image or in several.
const STRETCH: usize = 256;

/// A convolution at work on some images.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) of: Convolution,
    pub(super) planes: &'a Planes,
}

impl Work<'_> {
    /// The outputs of some images.
    #[inline(always)]
    pub(super) fn forward(self, carry: &Carry, input: &[f32], bias: &[f32], output: &mut [f32]) {
        let Self { of, planes } = self;
        let (mut source, mut room) = (vec![], Room::default());
        let finish = |channel: usize, sums: &mut [f32]| {
            sums.iter_mut().for_each(|sum| *sum += bias[channel]);
            of.end.finish(sums);
        };
        let inputs = input.chunks_exact(of.input_len());
        for (input, output) in inputs.zip(output.chunks_exact_mut(of.output_len())) {
            if of.transposed {
                planes.lay(input, &mut source);
            } else {
                planes.split(input, &mut source);
            }
            carry.run(&source, &mut room, output, finish);
        }
    }

    /// The gradients of some images' inputs, where there is what carries to them and their place, and, summed over the
    /// images, those of the weight, `[K, O]` of whole vectors, where its [windows](Planes::windows) are given, and of the
    /// bias, `[C']`.
    #[inline(always)]
    pub(super) fn backward(
        self,
        input: &[f32],
        output: &[f32],
        gradient: &[f32],
        mut inputs: Option<(&Carry, &mut [f32])>,
        windows: Option<&[usize]>,
    ) -> [Vec<f32>; 2] {
        let Self { of, planes } = self;
        let row = of.window.small_channels.next_multiple_of(LANES);
        let mut weight_sums = vec![0.0; windows.map_or(0, |windows| windows.len() * row)];
        let mut bias_sums = vec![0.0; of.output_channels()];
        let [mut masked, mut larges, mut smalls, mut panel] = [const { vec![] }; 4];
        let mut room = Room::default();
        let (count, step) = (input.len() / of.input_len(), (STRETCH / planes.positions()).max(1));
        for first in (0..count).step_by(step) {
            let images = step.min(count - first);
            let of_inputs = first * of.input_len()..(first + images) * of.input_len();
            let outputs = first * of.output_len()..(first + images) * of.output_len();
            let input = &input[of_inputs.clone()];
            masked.clear();
            masked.extend_from_slice(&gradient[outputs.clone()]);
            of.end.turn(&mut masked, &output[outputs]);
            for image in masked.chunks_exact(of.output_len()) {
                let planes = image.chunks_exact(of.output_len() / of.output_channels());
                bias_sums.iter_mut().zip(planes).for_each(|(sum, plane)| *sum += total(plane));
            }
            let (large, small) =
                if of.transposed { (&masked[..], input) } else { (input, &masked[..]) };
            if windows.is_some() || inputs.is_some() && of.transposed {
                planes.split(large, &mut larges);
            }
            if inputs.is_some() && !of.transposed {
                planes.lay(small, &mut smalls);
            }
            if let Some(windows) = windows {
                self.multiply(&larges, small, windows, &mut panel, &mut weight_sums);
            }
            if let Some((carry, inputs)) = &mut inputs {
                let source = match of.transposed {
                    true => larges.chunks_exact(planes.large_len()),
                    false => smalls.chunks_exact(planes.small_len()),
                };
                let images = inputs[of_inputs].chunks_exact_mut(of.input_len());
                for (image, source) in images.zip(source) {
                    carry.run(source, &mut room, image, |_, _| ());
                }
            }
        }
        [weight_sums, bias_sums]
    }

    /// Adds up what every weight has met.
    fn multiply(
        &self,
        larges: &[f32],
        images: &[f32],
        windows: &[usize],
        panel: &mut Vec<f32>,
        sums: &mut [f32],
    ) {
        let Window { small_channels, small: [height, width], .. } = self.of.window;
        let (image, pitch) = (self.planes.large_len(), self.planes.pitch());
        for (first, count) in shares(height, (STRETCH / pitch).max(1)) {
            let lines = first..first + count;
            let small = Small { images, shape: [small_channels, height, width], lines, pitch };
            let planes = &larges[first * pitch..];
            Products {
                planes,
                image,
                offsets: windows,
                small,
                panel: &mut *panel,
                sums: &mut *sums,
            }
            .add();
        }
    }
}

/// Numbers of a gradient that a thread takes at once.
pub(super) const SHARE: usize = 16 * 1024;

#[inline(always)]
pub(super) fn add(sums: &mut [f32], terms: &[f32]) {
    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
}

/// A sum in sixteen lanes.
#[inline(always)]
fn total(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [0.0; 16];
    chunks.iter().for_each(|chunk| add(&mut lanes, chunk));
    lanes.iter().chain(rest).sum()
}
