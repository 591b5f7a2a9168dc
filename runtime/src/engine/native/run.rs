//! A plan at work.

use std::time::{Duration, Instant};

use pulp::Arch;
use rayon::prelude::*;

use super::kernels::Correlate;
use super::memory::{Memory, Segment};
use super::plan::{Place, Plan};
use super::step::{Affine, Op, Part};
use super::{elementwise, pool};

/// The operations of a step that is worth sharing among threads.
pub(super) const SHARED: u64 = 20_000_000;

/// A plan with the memory that one thread runs it in.
pub(super) struct Worker {
    slots: Vec<Vec<f32>>,
    /// Room for weights that are widened.
    room: Vec<f32>,
}

/// Images of a batch, and where their results go.
pub(super) struct Group<'a, 'o> {
    /// Images.
    pub(super) count: usize,
    /// The first of them among the inputs, and among the outputs.
    pub(super) first: usize,
    pub(super) written: usize,
    pub(super) inputs: &'a [&'a [f32]],
    pub(super) outputs: &'a mut [&'o mut [f32]],
}

/// What is the same for every image.
pub(super) struct Program<'a> {
    pub(super) arch: Arch,
    pub(super) plan: &'a Plan,
    pub(super) memory: &'a Memory,
    /// Whether large steps are shared among the threads of the pool that it runs in.
    pub(super) shared: bool,
}

impl Worker {
    pub(super) fn new(memory: &Memory) -> Self {
        Self { slots: vec![vec![]; memory.sizes.len()], room: vec![] }
    }

    /// Runs a plan over some images; `times` gets what every step took.
    pub(super) fn run(
        &mut self,
        program: &Program,
        group: &mut Group,
        mut times: Option<&mut [Duration]>,
    ) {
        for (slot, &(len, grouped)) in self.slots.iter_mut().zip(&program.memory.sizes) {
            let wanted = if grouped { len * group.count } else { len };
            if slot.len() < wanted {
                slot.resize(wanted, 0.0);
            }
        }
        for &Segment { first, end, dense } in &program.memory.segments {
            let images = if dense { 1 } else { group.count };
            for image in 0..images {
                for step in first..end {
                    let start = times.is_some().then(Instant::now);
                    self.step(program, group, step, image);
                    if let (Some(times), Some(start)) = (times.as_deref_mut(), start) {
                        times[step] += start.elapsed();
                    }
                }
            }
        }
    }

    fn step(&mut self, program: &Program, group: &mut Group, step: usize, image: usize) {
        let op = &program.plan.steps[step].op;
        let target = op.writes();
        let count = if op.is_dense() { group.count } else { 1 };
        let len = program.plan.values[target].len;
        let from = |first: usize| first * len..(first + count) * len;
        let stretch = match program.memory.slots[target].map(|slot| program.memory.sizes[slot].1) {
            Some(true) => from(image),
            Some(false) => 0..len,
            None => from(group.written + image),
        };
        match (&program.plan.values[target].place, program.memory.slots[target]) {
            (Place::Output(output), _) => {
                let whole = std::mem::take(&mut group.outputs[*output]);
                let mut room = std::mem::take(&mut self.room);
                let read = |value| self.read(program, group, value, image, count);
                execute(program, step, count, &read, &mut whole[stretch], &mut room);
                group.outputs[*output] = whole;
                self.room = room;
            }
            (_, Some(slot)) => {
                let mut whole = std::mem::take(&mut self.slots[slot]);
                let mut room = std::mem::take(&mut self.room);
                let read = |value| self.read(program, group, value, image, count);
                execute(program, step, count, &read, &mut whole[stretch], &mut room);
                self.slots[slot] = whole;
                self.room = room;
            }
            _ => {}
        }
    }

    /// What a step reads of a value: that of one image, or of all images of the group.
    fn read<'a>(
        &'a self,
        program: &'a Program,
        group: &'a Group,
        value: usize,
        image: usize,
        count: usize,
    ) -> &'a [f32] {
        let len = program.plan.values[value].len;
        let from = |first: usize| first * len..(first + count) * len;
        match (&program.plan.values[value].place, program.memory.slots[value]) {
            (Place::Input(input), _) => &group.inputs[*input][from(group.first + image)],
            (Place::Output(output), _) => &group.outputs[*output][from(group.written + image)],
            (Place::Constant(values), _) => values,
            (_, Some(slot)) if program.memory.sizes[slot].1 => &self.slots[slot][from(image)],
            (_, Some(slot)) => &self.slots[slot][..len.min(self.slots[slot].len())],
            _ => &[],
        }
    }
}

fn execute<'a>(
    program: &Program,
    step: usize,
    count: usize,
    read: &dyn Fn(usize) -> &'a [f32],
    output: &mut [f32],
    room: &mut Vec<f32>,
) {
    let arch = program.arch;
    match &program.plan.steps[step].op {
        Op::Affine(affine) => {
            let input = read(affine.input);
            let large = program.plan.steps[step].flops >= SHARED;
            if program.shared && large && !affine.dense && !affine.planes {
                return by_rows(arch, affine, input, output);
            }
            for part in &affine.parts {
                let rows = if affine.dense { 0..count } else { 0..part.rows };
                correlate(arch, affine, part, rows, input, output, 0, room);
            }
        }
        Op::Pool(op) => pool::run(op, read(op.input.0), output),
        Op::Map(map) => elementwise::map(arch, map, read(map.from.0), output),
        Op::Combine(combine) => {
            let [a, b] = combine.from.map(|(value, _)| value);
            let a = (a != combine.to.0).then(|| read(a));
            elementwise::combine(combine, a, read(b), output);
        }
        Op::Fill(fill) => elementwise::fill(fill, output),
    }
}

/// Shares the rows of an output image among threads.
fn by_rows(arch: Arch, affine: &Affine, input: &[f32], output: &mut [f32]) {
    let stride = affine.parts.iter().map(|part| part.stride).max().unwrap_or(1);
    let tasks = 2 * rayon::current_num_threads();
    let rows = affine.rows.div_ceil(tasks).next_multiple_of(stride);
    let first = affine.parts.iter().map(|part| part.grid.output[0]).min().unwrap_or(0);
    // From the first row on, so that every task has whole rows; what is behind the last is padding.
    let (_, image) = output.split_at_mut(first);
    let len = image.len().min(affine.rows * affine.row);
    let stretches = image[..len].par_chunks_mut(rows * affine.row).enumerate();
    stretches.for_each(|(task, output)| {
        let (begin, end) = (task * rows, ((task + 1) * rows).min(affine.rows));
        let from = first + begin * affine.row;
        let mut room = vec![];
        for part in &affine.parts {
            let before = |row: usize| row.saturating_sub(part.first).div_ceil(part.stride);
            let rows = before(begin)..before(end).min(part.rows);
            correlate(arch, affine, part, rows, input, output, from, &mut room);
        }
    });
}

#[expect(clippy::too_many_arguments, reason = "they are the kernel's own")]
fn correlate(
    arch: Arch,
    affine: &Affine,
    part: &Part,
    rows: std::ops::Range<usize>,
    input: &[f32],
    output: &mut [f32],
    from: usize,
    room: &mut Vec<f32>,
) {
    let layer = Correlate {
        panels: &part.panels,
        runs: &part.runs,
        activations: &affine.activations,
        grid: part.grid,
        rows,
        input,
        output,
        from,
        room,
    };
    layer.run(arch);
}
