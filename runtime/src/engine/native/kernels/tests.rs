//! Every instruction set against portable code.

use proptest::prelude::*;
use pulp::Arch;

use super::super::pack::{Layer, Panels};
use super::*;

/// What an instruction set makes of a grid of positions: `rows` by `columns`, of `runs` of `len` numbers
/// each, with a step between positions.
fn sums(arch: Arch, case: &Case) -> Vec<f32> {
    let Case { outputs, rows, columns, step, runs, len, along_rows } = *case;
    let width = columns * step + len;
    let runs: Vec<Run> = (0..runs).map(|run| Run { offset: run * width, len }).collect();
    let depth = runs.len() * len;
    let number = |i: usize| ((i * 7919) % 1009) as f32 / 504.5 - 1.0;
    let weights: Vec<f32> = (0..outputs * depth).map(number).collect();
    let input: Vec<f32> = (0..(rows + runs.len()) * width).map(|i| number(i + 13)).collect();
    let layer = Layer {
        weights: &weights,
        outputs: &(0..outputs).map(|output| output * depth).collect::<Vec<_>>(),
        inputs: &(0..depth).collect::<Vec<_>>(),
        scale: &vec![0.5; outputs],
        bias: (0..outputs).map(number).collect(),
        runs: &runs,
        half: false,
        rounding: None,
        rows: along_rows,
    };
    let panels = Panels::pack(layer, Registers::of(arch));
    let mut output = vec![0.0; rows * columns * outputs];
    arch.dispatch(Correlate {
        panels: &panels,
        runs: &runs,
        activations: &[Activation::LeakyRelu(0.25)],
        grid: Grid {
            columns,
            input: [0, width, step],
            output: [0, columns * outputs, outputs],
            channel: 1,
        },
        rows: 0..rows,
        input: &input,
        output: &mut output,
        from: 0,
        room: &mut vec![],
    });
    output
}

#[derive(Debug, Clone, Copy)]
struct Case {
    outputs: usize,
    rows: usize,
    columns: usize,
    step: usize,
    runs: usize,
    len: usize,
    along_rows: bool,
}

fn agree(case: &Case) -> Result<(), TestCaseError> {
    let portable = sums(Arch::Scalar, case);
    let mut sets = vec![Arch::new()];
    #[cfg(target_arch = "x86_64")]
    sets.extend(pulp::x86::V3::try_new().map(Arch::V3));
    for arch in sets {
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
        outputs in 1..=40_usize,
        (rows, columns) in (1..=5_usize, 1..=30_usize),
        step in 1..=3_usize,
        (runs, len) in (1..=3_usize, 1..=40_usize),
    ) {
        agree(&Case { outputs, rows, columns, step, runs, len, along_rows: false })?;
    }

    #[test]
    fn sums_along_rows_are_those_of_portable_code(
        outputs in 1..=4_usize,
        (rows, columns) in (1..=4_usize, 16..=90_usize),
        (runs, len) in (1..=3_usize, 1..=9_usize),
    ) {
        agree(&Case { outputs, rows, columns, step: 1, runs, len, along_rows: true })?;
    }
}
