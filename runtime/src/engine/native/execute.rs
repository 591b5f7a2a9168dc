//! A step at work, as a whole or in pieces.

use std::cell::RefCell;
use std::ops::Range;

use pulp::Arch;

use super::cut::{Piece, Work};
use super::kernels::{Correlate, Planes};
use super::step::{Affine, Combine, Op, Part};
use super::threads::Team;
use super::{elementwise, pool};

thread_local! {
    /// Room for weights that are widened, of a thread that computes pieces.
    static ROOM: RefCell<Vec<f32>> = const { RefCell::new(vec![]) };
}

/// A step and the values that it reads.
pub(super) struct Execution<'a> {
    pub(super) arch: Arch,
    pub(super) op: &'a Op,
    /// Images, of which a dense layer takes several at once.
    pub(super) count: usize,
    /// In the order of [`Op::reads`]; nothing for one that it writes to.
    pub(super) inputs: [&'a [f32]; 2],
}

impl Execution<'_> {
    /// The whole step; `room` is for weights that are widened.
    pub(super) fn whole(&self, output: &mut [f32], room: &mut Vec<f32>) {
        let [input, _] = self.inputs;
        match self.op {
            Op::Affine(affine) => {
                let output = Self::planes(affine, output, affine.first);
                match affine.dense {
                    true => self.outputs(affine, 0..affine.parts[0].panels.outputs, output, room),
                    false => self.rows(affine, 0..affine.rows, output, room),
                }
            }
            Op::Pool(op) => pool::run(op, input, output),
            Op::Map(map) => elementwise::map(self.arch, map, input, output),
            Op::Combine(combine) => self.combine(combine, output),
            Op::Fill(fill) => elementwise::fill(fill, output),
        }
    }

    /// The pieces of a step, by whichever threads are free.
    pub(super) fn pieces(&self, team: &Team, pieces: &[Piece], output: &mut [f32]) {
        let first = pieces[0].first;
        let mut rest = match self.op {
            Op::Affine(affine) => Self::planes(affine, output, first),
            _ => {
                let [_, output] = Planes::of(output, 1, 0).split_at(first);
                output
            }
        };
        let mut shared = Vec::with_capacity(pieces.len());
        for (piece, next) in pieces.iter().zip(&pieces[1..]) {
            let [own, others] = rest.split_at(next.first);
            shared.push((piece, own));
            rest = others;
        }
        shared.extend(pieces.last().map(|last| (last, rest)));
        team.share(shared, |(piece, output)| self.piece(piece, output));
    }

    fn piece(&self, piece: &Piece, mut output: Planes) {
        match (&piece.work, self.op) {
            (Work::Rows(rows), Op::Affine(affine)) => {
                ROOM.with_borrow_mut(|room| self.rows(affine, rows.clone(), output, room));
            }
            (Work::Outputs(outputs), Op::Affine(affine)) => {
                ROOM.with_borrow_mut(|room| self.outputs(affine, outputs.clone(), output, room));
            }
            (Work::Map(map), _) => {
                elementwise::map(self.arch, map, self.inputs[0], output.first());
            }
            (Work::Combine(combine), _) => self.combine(combine, output.first()),
            (Work::Rows(_) | Work::Outputs(_), _) => unreachable!("they are pieces of a layer"),
        }
    }

    /// Rows of a layer's output image, a strip of them by every phase before the next ones.
    fn rows(&self, affine: &Affine, rows: Range<usize>, mut output: Planes, room: &mut Vec<f32>) {
        for begin in rows.clone().step_by(affine.strip) {
            let strip = begin..rows.end.min(begin + affine.strip);
            for number in (0..affine.parts.len()).step_by(affine.beside) {
                let Part { first, stride, rows: all, ref panels, .. } = affine.parts[number];
                let before = |row: usize| row.saturating_sub(first).div_ceil(stride);
                let rows = before(strip.start)..before(strip.end).min(all);
                let (outputs, output) = (0..panels.outputs, output.reborrow());
                self.correlate(affine, number, rows, outputs, output, room);
            }
        }
    }

    /// Outputs of a dense layer for every image.
    fn outputs(&self, affine: &Affine, outputs: Range<usize>, output: Planes, room: &mut Vec<f32>) {
        self.correlate(affine, 0, 0..self.count, outputs, output, room);
    }

    fn combine(&self, combine: &Combine, output: &mut [f32]) {
        let [(a, _), _] = combine.from;
        let [first, second] = self.inputs;
        elementwise::combine(combine, (a != combine.to.0).then_some(first), second, output);
    }

    /// Some rows and outputs of a part, by its number, with those beside it.
    fn correlate(
        &self,
        affine: &Affine,
        number: usize,
        rows: Range<usize>,
        outputs: Range<usize>,
        output: Planes,
        room: &mut Vec<f32>,
    ) {
        let parts = &affine.parts[number..][..affine.beside];
        let layer = Correlate {
            panels: &parts[0].panels,
            runs: &parts[0].runs,
            activations: &affine.activations,
            grid: parts[0].grid,
            beside: &parts[1..],
            rows,
            outputs,
            input: self.inputs[0],
            output,
            room,
        };
        layer.run(self.arch);
    }

    /// A layer's output from a place on.
    fn planes<'a>(affine: &Affine, output: &'a mut [f32], first: usize) -> Planes<'a> {
        let [_, planes] = Planes::of(output, affine.planes, affine.plane).split_at(first);
        planes
    }
}
