//! A plan at work.

use std::time::{Duration, Instant};

use ndarray::ArrayViewD;
use pulp::Arch;

use super::cut::Piece;
use super::execute::Execution;
use super::memory::{Memory, Segment};
use super::plan::{Place, Plan};
use super::threads::Team;

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
    pub(super) inputs: &'a [ArrayViewD<'a, f32>],
    pub(super) outputs: &'a mut [&'o mut [f32]],
}

/// What is the same for every image.
pub(super) struct Program<'a> {
    pub(super) arch: Arch,
    pub(super) plan: &'a Plan,
    pub(super) memory: &'a Memory,
    /// The pieces of every step, where a team shares them.
    pub(super) pieces: Option<(&'a Team<'a>, &'a [Vec<Piece>])>,
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
            (Place::Input(input), _) => {
                &group.inputs[*input].as_slice().unwrap_or(&[])[from(group.first + image)]
            }
            (Place::Output(output), _) => &group.outputs[*output][from(group.written + image)],
            (Place::Constant(values), _) => values,
            (_, Some(slot)) if program.memory.sizes[slot].1 => &self.slots[slot][from(image)],
            (_, Some(slot)) => &self.slots[slot][..len.min(self.slots[slot].len())],
            _ => &[],
        }
    }
}

/// Runs a step over images, of which only a dense layer takes several.
fn execute<'a>(
    program: &Program,
    step: usize,
    count: usize,
    read: &dyn Fn(usize) -> &'a [f32],
    output: &mut [f32],
    room: &mut Vec<f32>,
) {
    let op = &program.plan.steps[step].op;
    let mut inputs: [&[f32]; 2] = [&[]; 2];
    for (input, value) in inputs.iter_mut().zip(op.reads()) {
        // What it writes to is read where it is written.
        *input = value.filter(|&value| value != op.writes()).map_or(&[], read);
    }
    let execution = Execution { arch: program.arch, op, count, inputs };
    match program.pieces.map(|(team, pieces)| (team, &pieces[step][..])) {
        None | Some((_, [])) => execution.whole(output, room),
        Some((team, pieces)) => execution.pieces(team, pieces, output),
    }
}
