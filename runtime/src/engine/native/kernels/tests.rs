//! Every instruction set against portable code.

use half::f16;
use proptest::prelude::*;
use pulp::Arch;

use super::super::pack::{Form, Layer, Panels, Weights};
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

/// What an instruction set makes of a grid of positions: `rows` by `columns`, of `runs` of `len` numbers
/// each, with a step between positions. `apart` of the output, in rows and in columns, is the next position's.
fn sums(arch: Arch, case: &Case) -> Vec<f32> {
    let Case { outputs, rows, columns, step, runs, len, apart, form, activations } = *case;
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
    let weights: Vec<f32> = (0..outputs * depth).map(weight).collect();
    let input: Vec<f32> = (0..(rows + runs.len()) * width).map(|i| number(i + 13)).collect();
    let layer = Layer {
        weights: &weights,
        outputs: (0..outputs).map(|output| output * depth).collect(),
        inputs: (0..depth).collect(),
        scale: &vec![scale; outputs],
        bias: &(0..outputs).map(number).collect::<Vec<_>>(),
        runs: &runs,
        form,
    };
    let panels = Panels::pack(layer, Registers::of(arch));
    // Channels lie in planes where the kernel can write them there.
    let plane = rows * columns * apart * apart;
    let (pixel, channel, planes) = match panels.scatters() && plane > 1 {
        true => (1, plane, outputs),
        false => (outputs, 1, 1),
    };
    let mut output = vec![0.0; plane * outputs];
    let layer = Correlate {
        panels: &panels,
        runs: &runs,
        activations,
        grid: Grid {
            rows,
            columns,
            width: columns * apart,
            input: [0, width, step],
            output: [0, columns * apart * apart * pixel, apart * pixel],
            channel,
        },
        beside: &[],
        rows: 0..rows,
        input: &input,
        output: Planes::of(&mut output, planes, channel),
        outputs: 0..outputs,
        room: &mut vec![],
    };
    layer.run(arch);
    // Pixel by pixel, wherever the channels lie.
    let order = (0..plane).flat_map(|at| (0..outputs).map(move |c| at * pixel + c * channel));
    order.map(|place| output[place]).collect()
}

#[derive(Debug, Clone, Copy)]
struct Case {
    outputs: usize,
    rows: usize,
    columns: usize,
    step: usize,
    runs: usize,
    len: usize,
    apart: usize,
    form: Form,
    activations: &'static [Activation],
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
    let portable = sums(Arch::Scalar, case);
    for arch in instruction_sets().into_iter().filter(|arch| !matches!(arch, Arch::Scalar)) {
        for (place, (a, b)) in sums(arch, case).iter().zip(&portable).enumerate() {
            let near = (a - b).abs() <= 1e-5 * b.abs().max(1.0);
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
        agree(&Case { outputs, rows, columns, step, runs, len, apart, form, activations })?;
    }

    #[test]
    fn sums_along_rows_are_those_of_portable_code(
        outputs in 1..=4_usize,
        (rows, columns) in (2..=5_usize, 64..=150_usize),
        (runs, len) in (1..=3_usize, 1..=9_usize),
        apart in 1..=2_usize,
        activations in prop::sample::select(&ACTIVATIONS[..]),
    ) {
        let form = Form::Rows;
        agree(&Case { outputs, rows, columns, step: 1, runs, len, apart, form, activations })?;
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
        agree(&Case { outputs, rows, columns, step, runs, len, apart, form, activations })?;
    }
}

#[test]
fn rows_without_positions_have_no_sums() {
    let case = Case {
        outputs: 40,
        rows: 2,
        columns: 0,
        step: 1,
        runs: 1,
        len: 9,
        apart: 1,
        form: Form::Plain,
        activations: &[Activation::Relu],
    };
    for arch in instruction_sets() {
        for form in [Form::Plain, Form::Halves] {
            assert!(sums(arch, &Case { form, ..case }).is_empty(), "{arch:?} {form:?}");
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
    let (outputs, depth) = (17, 1 << 16);
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
        let mut output = vec![0.0; outputs];
        let layer = Correlate {
            panels: &panels,
            runs: &runs,
            activations: &[],
            grid: Grid {
                rows: 1,
                columns: 1,
                width: 1,
                input: [0, depth, 0],
                output: [0, outputs, 0],
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
        assert_eq!(output, vec![(255 * 128 * depth) as f32; outputs], "{arch:?}");
    }
}
