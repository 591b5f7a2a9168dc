//! A step at work, as a whole or in pieces.

use std::ops::Range;

use pulp::Arch;

use super::cut::{Piece, Work};
use super::kernels::{Correlate, Planes};
use super::step::{Affine, Combine, Op, Part};
use super::{elementwise, pool};

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
                for part in &affine.parts {
                    let rows = if affine.dense { 0..self.count } else { 0..part.rows };
                    let output = planes(affine, &mut output[affine.first..]);
                    self.correlate(affine, part, rows, output, affine.first, room);
                }
            }
            Op::Pool(op) => pool::run(op, input, output),
            Op::Map(map) => elementwise::map(self.arch, map, input, output),
            Op::Combine(combine) => self.combine(combine, output),
            Op::Fill(fill) => elementwise::fill(fill, output),
        }
    }

    /// The pieces of a step, by whichever threads of the pool are free.
    pub(super) fn pieces(&self, pieces: &[Piece], output: &mut [f32]) {
        let output = &mut output[pieces[0].first..];
        let output = match self.op {
            Op::Affine(affine) => planes(affine, output),
            _ => Planes::of(output, 1, 0),
        };
        self.share(pieces, output);
    }

    /// Pieces with the output from the first one on.
    fn share(&self, pieces: &[Piece], output: Planes) {
        if let [piece] = pieces {
            return self.piece(piece, output);
        }
        let (before, after) = pieces.split_at(pieces.len() / 2);
        let [first, second] = output.split_at(after[0].first - before[0].first);
        rayon::join(|| self.share(before, first), || self.share(after, second));
    }

    fn piece(&self, piece: &Piece, mut output: Planes) {
        let (from, mut room) = (piece.first, vec![]);
        match (&piece.work, self.op) {
            (Work::Rows(rows), Op::Affine(affine)) => {
                for part in &affine.parts {
                    let before = |row: usize| row.saturating_sub(part.first).div_ceil(part.stride);
                    let rows = before(rows.start)..before(rows.end).min(part.rows);
                    self.correlate(affine, part, rows, output.reborrow(), from, &mut room);
                }
            }
            (Work::Part(number), Op::Affine(affine)) => {
                self.correlate(affine, &affine.parts[*number], 0..1, output, from, &mut room);
            }
            (Work::Map(map), _) => {
                elementwise::map(self.arch, map, self.inputs[0], output.first());
            }
            (Work::Combine(combine), _) => self.combine(combine, output.first()),
            (Work::Rows(_) | Work::Part(_), _) => {}
        }
    }

    fn combine(&self, combine: &Combine, output: &mut [f32]) {
        let [(a, _), _] = combine.from;
        let [first, second] = self.inputs;
        elementwise::combine(combine, (a != combine.to.0).then_some(first), second, output);
    }

    fn correlate(
        &self,
        affine: &Affine,
        part: &Part,
        rows: Range<usize>,
        output: Planes,
        from: usize,
        room: &mut Vec<f32>,
    ) {
        let layer = Correlate {
            panels: &part.panels,
            runs: &part.runs,
            activations: &affine.activations,
            grid: part.grid,
            rows,
            input: self.inputs[0],
            output,
            from,
            room,
        };
        layer.run(self.arch);
    }
}

/// A layer's output from its first number on.
fn planes<'a>(affine: &Affine, output: &'a mut [f32]) -> Planes<'a> {
    Planes::of(output, affine.planes, affine.plane)
}
