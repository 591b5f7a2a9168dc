//! Every instruction set against portable code.

use std::ops::Range;

use half::f16;
use proptest::prelude::*;
use pulp::Arch;

use super::super::pack::{Form, Layer, Panels, Weights};
use super::super::step::Part;
use super::*;

/// The instruction sets that this processor has, and portable code.
pub(in super::super) fn instruction_sets() -> Vec<Arch> {
    let mut sets = vec![Arch::new(), Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    if let Arch::V4(v4) = Arch::new() {
        sets.push(Arch::V3(*v4));
    }
    sets
}

/// A layer over a grid of `rows` by `columns` positions, whose sums are of `runs` of `len` numbers each.
#[derive(Debug, Clone, Copy)]
struct Case {
    outputs: usize,
    rows: usize,
    columns: usize,
    /// From one position's inputs to the next one's.
    step: usize,
    runs: usize,
    len: usize,
    /// How far outputs lie from one another, in rows and in columns.
    apart: usize,
    /// Phases whose outputs take turns in a row, and whether the last column has none of the second.
    phases: usize,
    odd: bool,
    /// Of so many pieces of the outputs, the number of the one that is computed.
    piece: [usize; 2],
    form: Form,
    activations: &'static [Activation],
}

/// One position.
const CASE: Case = Case {
    outputs: 1,
    rows: 1,
    columns: 1,
    step: 1,
    runs: 1,
    len: 1,
    apart: 1,
    phases: 1,
    odd: false,
    piece: [0, 1],
    form: Form::Plain,
    activations: &[],
};

/// What an instruction set makes of a layer, with its phases `together` or each by itself: the outputs that were
/// computed, and the numbers of every output pixel, which are none where nothing was written.
fn sums(arch: Arch, case: &Case, together: bool) -> (Range<usize>, Vec<f32>) {
    let Case { outputs, rows, columns, step, runs, len, apart, phases, form, .. } = *case;
    let width = columns * step + len;
    let runs: Vec<Run> = (0..runs).map(|run| Run { offset: run * width, len }).collect();
    let depth = runs.len() * len;
    let number = |i: usize| ((i * 7919) % 1009) as f32 / 504.5 - 1.0;
    let weight = |i: usize| match form {
        // As the phases of a transposed convolution have them: every panel ignores other inputs.
        Form::Integers { adjacent, .. } if i % depth < 3 * (i / depth / adjacent) => 0.0,
        Form::Integers { .. } if i.is_multiple_of(5) => 0.0,
        Form::Integers { .. } => ((i * 7919) % 256) as f32 - 128.0,
        Form::Halves => f16::from_f32(number(i)).to_f32(),
        _ => number(i),
    };
    let scale = if let Form::Integers { .. } = form { 1.0 / 128.0 } else { 0.5 };
    let input: Vec<f32> = (0..(rows + runs.len()) * width).map(|i| number(i + 13)).collect();
    let packed = |phase: usize| {
        let layer = Layer {
            weights: &(0..outputs * depth).map(|i| weight(i + phase)).collect::<Vec<f32>>(),
            outputs: (0..outputs).map(|output| output * depth).collect(),
            inputs: (0..depth).collect(),
            scale: &vec![scale; outputs],
            bias: &(0..outputs).map(|output| number(output + phase)).collect::<Vec<_>>(),
            runs: &runs,
            form,
        };
        Panels::pack(layer, Registers::of(arch))
    };
    let packed: Vec<Panels> = (0..phases).map(packed).collect();
    let size = outputs.div_ceil(case.piece[1]).next_multiple_of(packed[0].width());
    let begin = case.piece[0] % outputs.div_ceil(size) * size;
    let computed = begin..outputs.min(begin + size);
    // Channels lie in planes where the kernel can write them there.
    let plane = rows * columns * phases * apart * apart;
    let (pixel, channel, planes) = match packed[0].scatters() && plane > 1 {
        true => (1, plane, outputs),
        false => (outputs, 1, 1),
    };
    let of_row = phases * columns - usize::from(case.odd);
    let part = |(phase, panels): (usize, Panels)| {
        let grid = Grid {
            rows,
            columns,
            width: if together { of_row } else { (of_row - phase).div_ceil(phases) },
            input: [phase, width, step],
            output: [phase, phases * columns * apart, phases].map(|pixels| pixels * apart * pixel),
            channel,
        };
        Part { panels, runs: runs.clone(), rows, first: 0, stride: 1, grid }
    };
    let parts: Vec<Part> = packed.into_iter().enumerate().map(part).collect();
    let mut output = vec![f32::NAN; plane * outputs];
    for parts in parts.chunks(if together { phases } else { 1 }) {
        let layer = Correlate {
            panels: &parts[0].panels,
            runs: &runs,
            activations: case.activations,
            grid: parts[0].grid,
            beside: &parts[1..],
            rows: 0..rows,
            outputs: computed.clone(),
            input: &input,
            output: Planes::of(&mut output, planes, channel),
            room: &mut vec![],
        };
        layer.run(arch);
    }
    // Pixel by pixel, wherever the channels lie.
    let order = (0..plane).flat_map(|at| (0..outputs).map(move |c| at * pixel + c * channel));
    (computed, order.map(|place| output[place]).collect())
}

/// None, those that are compiled into the kernels, one that is called, and two.
const ACTIVATIONS: [&[Activation]; 5] = [
    &[],
    &[Activation::Relu],
    &[Activation::LeakyRelu(0.25)],
    &[Activation::Tanh],
    &[Activation::Clip(-1.0, 1.5), Activation::Sigmoid],
];

fn agree(case: &Case) -> Result<(), TestCaseError> {
    let (_, portable) = sums(Arch::Scalar, &Case { piece: [0, 1], ..*case }, false);
    for arch in instruction_sets() {
        let (computed, sums) = sums(arch, case, true);
        for (place, (a, b)) in sums.iter().zip(&portable).enumerate() {
            let near = match computed.contains(&(place % case.outputs)) {
                true => (a - b).abs() <= 1e-5 * b.abs().max(1.0) || a.is_nan() && b.is_nan(),
                false => a.is_nan(),
            };
            prop_assert!(near, "{arch:?} at {place}: {a}, and {b} in portable code");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn sums_are_those_of_portable_code(
        outputs in prop_oneof![1..=40_usize, 1..=150_usize],
        (rows, columns) in prop_oneof![Just((1, 1)), (1..=5_usize, 1..=30_usize)],
        step in 1..=3_usize,
        (runs, len) in (1..=3_usize, 1..=40_usize),
        apart in 1..=2_usize,
        half in any::<bool>(),
        activations in prop::sample::select(&ACTIVATIONS[..]),
    ) {
        let form = if half { Form::Halves } else { Form::Plain };
        agree(&Case { outputs, rows, columns, step, runs, len, apart, form, activations, ..CASE })?;
    }

    #[test]
    fn some_outputs_are_those_of_all(
        outputs in 1..=150_usize,
        (rows, columns) in prop_oneof![Just((1, 1)), (1..=5_usize, 1..=10_usize)],
        len in 1..=40_usize,
        piece in (0..4_usize, 2..=4_usize),
        rounding in prop::option::of(Just(Rounding { scale: 0.02, low: -3.0, high: 252.0 })),
        half in any::<bool>(),
    ) {
        let form = match rounding {
            Some(rounding) => Form::Integers { rounding, adjacent: outputs },
            None if half => Form::Halves,
            None => Form::Plain,
        };
        agree(&Case { outputs, rows, columns, len, piece: piece.into(), form, ..CASE })?;
    }

    #[test]
    fn sums_along_rows_are_those_of_portable_code(
        outputs in 1..=4_usize,
        (rows, columns) in (2..=5_usize, 64..=150_usize),
        (runs, len) in (1..=3_usize, 1..=9_usize),
        apart in 1..=2_usize,
        (phases, odd) in prop::sample::select(&[(1, false), (2, false), (2, true)][..]),
        activations in prop::sample::select(&ACTIVATIONS[..]),
    ) {
        let form = Form::Rows;
        agree(&Case { outputs, rows, columns, runs, len, apart, phases, odd, form, activations, ..CASE })?;
    }

    #[test]
    fn sums_of_integers_are_those_of_portable_code(
        (phases, adjacent) in (1..=4_usize, 1..=70_usize),
        (rows, columns) in (1..=5_usize, 1..=30_usize),
        step in 1..=3_usize,
        (runs, len) in (1..=3_usize, 1..=40_usize),
        apart in 1..=2_usize,
        zero in 0..=255_u8,
        activations in prop::sample::select(&ACTIVATIONS[..]),
    ) {
        let rounding = Rounding { scale: 0.02, low: -f32::from(zero), high: 255.0 - f32::from(zero) };
        let form = Form::Integers { rounding, adjacent };
        let outputs = phases * adjacent;
        agree(&Case { outputs, rows, columns, step, runs, len, apart, form, activations, ..CASE })?;
    }
}

/// A block of positions by vectors of outputs is a function of its own for every size.
#[test]
fn blocks_of_every_size_are_those_of_portable_code() {
    let rounding = Rounding { scale: 0.02, low: -3.0, high: 252.0 };
    for (outputs, columns) in (1..=6).flat_map(|n| (1..=26).map(move |columns| (8 * n, columns))) {
        let integers = Form::Integers { rounding, adjacent: outputs };
        for form in [Form::Plain, Form::Halves, integers] {
            let case = Case { outputs, columns, len: 35, form, ..CASE };
            agree(&case).unwrap_or_else(|error| panic!("{case:?}: {error}"));
        }
    }
}

#[test]
fn rows_without_positions_have_no_sums() {
    for arch in instruction_sets() {
        for form in [Form::Plain, Form::Halves] {
            let case = Case { outputs: 40, rows: 2, columns: 0, len: 9, form, ..CASE };
            assert!(sums(arch, &case, true).1.is_empty(), "{arch:?} {form:?}");
        }
    }
}

#[test]
fn every_weight_in_half_precision_is_itself() {
    let all = (0..=u16::MAX).map(f16::from_bits).map(f32::from);
    let values: Vec<f32> = all.filter(|value| value.is_finite()).collect();
    let ordinary: Vec<f32> = values.iter().copied().filter(|value| value.abs() <= 31.0).collect();
    let archs = instruction_sets().into_iter();
    for (arch, half) in
        archs.flat_map(|arch| [HalfArch::of(arch), HalfArch::Bits(arch)].map(|half| (arch, half)))
    {
        let registers = Registers { halves: half.order(), ..Registers::of(arch) };
        let weights = match registers.halves {
            HalfOrder::Words => &ordinary,
            #[cfg(target_arch = "x86_64")]
            HalfOrder::Sequence => &values,
        };
        let (runs, outputs) = ([Run { offset: 0, len: 1 }], weights.len());
        let layer = Layer {
            weights,
            outputs: (0..outputs).collect(),
            inputs: vec![0],
            scale: &vec![1.0; outputs],
            bias: &vec![0.0; outputs],
            runs: &runs,
            form: Form::Halves,
        };
        let panels = Panels::pack(layer, registers);
        assert!(matches!(panels.weights, Weights::Halves(_)), "{half:?}");
        // As they are read, and widened beforehand.
        for rows in [1, 2, 20] {
            let mut output = vec![f32::NAN; rows * outputs];
            let layer = Correlate {
                panels: &panels,
                runs: &runs,
                activations: &[],
                grid: Grid {
                    rows,
                    columns: 1,
                    width: 1,
                    input: [0, 1, 0],
                    output: [0, outputs, 0],
                    channel: 1,
                },
                beside: &[],
                rows: 0..rows,
                input: &vec![1.0; rows],
                output: Planes::of(&mut output, 1, 0),
                outputs: 0..outputs,
                room: &mut vec![],
            };
            half.run(layer);
            for sums in output.chunks(outputs) {
                assert!(sums == weights, "{half:?}, {rows} positions");
            }
        }
    }
}

#[test]
fn sums_of_integers_are_exact() {
    // The largest sums that a layer may have: every product is -255 times -128.
    let (outputs, depth, columns) = (17, 1 << 16, 5);
    let runs = [Run { offset: 0, len: depth }];
    for arch in instruction_sets() {
        let layer = Layer {
            weights: &vec![-128.0; outputs * depth],
            outputs: (0..outputs).map(|output| output * depth).collect(),
            inputs: (0..depth).collect(),
            scale: &vec![1.0; outputs],
            bias: &vec![0.0; outputs],
            runs: &runs,
            form: Form::Integers {
                rounding: Rounding { scale: 1.0, low: -255.0, high: 0.0 },
                adjacent: outputs,
            },
        };
        let panels = Panels::pack(layer, Registers::of(arch));
        let mut output = vec![0.0; columns * outputs];
        let layer = Correlate {
            panels: &panels,
            runs: &runs,
            activations: &[],
            grid: Grid {
                rows: 1,
                columns,
                width: columns,
                input: [0, depth, 0],
                output: [0, 0, outputs],
                channel: 1,
            },
            beside: &[],
            rows: 0..1,
            input: &vec![-1e9; depth],
            output: Planes::of(&mut output, 1, 0),
            outputs: 0..outputs,
            room: &mut vec![],
        };
        layer.run(arch);
        assert_eq!(output, vec![(255 * 128 * depth) as f32; columns * outputs], "{arch:?}");
    }
}
