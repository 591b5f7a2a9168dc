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
                let mut output = planes(affine, &mut output[affine.first..]);
                if affine.dense {
                    for part in &affine.parts {
                        let output = output.reborrow();
                        let part = std::slice::from_ref(part);
                        self.correlate(affine, part, 0..self.count, output, affine.first, room);
                    }
                    return;
                }
                for first in (0..affine.rows).step_by(affine.strip) {
                    let rows = first..affine.rows.min(first + affine.strip);
                    self.rows(affine, rows, output.reborrow(), affine.first, room);
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
                self.rows(affine, rows.clone(), output, from, &mut room);
            }
            (Work::Part(number), Op::Affine(affine)) => {
                let part = &affine.parts[*number..=*number];
                self.correlate(affine, part, 0..1, output, from, &mut room);
            }
            (Work::Map(map), _) => {
                elementwise::map(self.arch, map, self.inputs[0], output.first());
            }
            (Work::Combine(combine), _) => self.combine(combine, output.first()),
            (Work::Rows(_) | Work::Part(_), _) => {}
        }
    }

    /// Rows of a layer's output image, by every phase.
    fn rows(
        &self,
        affine: &Affine,
        rows: Range<usize>,
        mut output: Planes,
        from: usize,
        room: &mut Vec<f32>,
    ) {
        for parts in affine.parts.chunks(affine.beside) {
            let Part { first, stride, .. } = parts[0];
            let before = |row: usize| row.saturating_sub(first).div_ceil(stride);
            let rows = before(rows.start)..before(rows.end).min(parts[0].rows);
            self.correlate(affine, parts, rows, output.reborrow(), from, room);
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
        parts: &[Part],
        rows: Range<usize>,
        output: Planes,
        from: usize,
        room: &mut Vec<f32>,
    ) {
        let layer = Correlate {
            panels: &parts[0].panels,
            runs: &parts[0].runs,
            activations: &affine.activations,
            grid: parts[0].grid,
            beside: &parts[1..],
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
