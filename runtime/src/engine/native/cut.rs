//! Steps cut into pieces, for several threads that compute one image.

use std::iter;
use std::ops::Range;

use super::plan::Plan;
use super::step::{Affine, Combine, Map, Op, Part, Step};
use super::view::Walk;

/// Operations of a piece, at least: for fewer it is not worth to hand it over.
const LEAST: u64 = 500_000;
/// The smallest pieces are this part of what a thread does of a step, or of a batch.
pub(super) const PIECES: u64 = 8;
/// Panels of a dense layer that a single image reads at once.
const TOGETHER: usize = 4;
/// Operations in the time that a byte of weights takes to be read, or a number to be moved.
pub(super) const BYTE: u64 = 4;
const NUMBER: u64 = 16;

/// What one thread does of a step. It alone writes to the output, in every plane from its first number to the
/// next piece's.
pub(super) struct Piece {
    pub(super) first: usize,
    pub(super) work: Work,
}

pub(super) enum Work {
    /// Rows of the output image of a layer.
    Rows(Range<usize>),
    /// Outputs of a dense layer.
    Outputs(Range<usize>),
    /// A stretch of the output, whose places are counted from the piece's first number.
    Map(Map),
    Combine(Combine),
}

/// The pieces of every step for so many threads, none where it is not worth cutting; and the operations of the
/// steps that are cut.
pub(super) fn cut(plan: &Plan, threads: usize) -> (Vec<Vec<Piece>>, u64) {
    let mut shared = 0;
    let pieces = plan.steps.iter().map(|step| {
        let cost = cost(step);
        let most = (cost / LEAST).min(PIECES * threads as u64) as usize;
        let pieces = if most > 1 { pieces(&step.op, most, threads) } else { vec![] };
        if pieces.len() < 2 {
            return vec![];
        }
        shared += cost;
        pieces
    });
    (pieces.collect(), shared)
}

/// The operations that a processor does in the time that a step takes, roughly.
fn cost(step: &Step) -> u64 {
    match &step.op {
        Op::Affine(_) => step.flops.max(BYTE * step.op.weights() as u64),
        Op::Map(map) => NUMBER * numbers(&map.walk),
        Op::Combine(combine) => NUMBER * numbers(&combine.walk),
        Op::Pool(_) | Op::Fill(_) => 0,
    }
}

fn numbers<const N: usize>(walk: &Walk<N>) -> u64 {
    walk.iter().map(|axis| axis.0 as u64).product()
}

fn pieces(op: &Op, most: usize, threads: usize) -> Vec<Piece> {
    match op {
        Op::Affine(affine) if affine.dense => outputs(&affine.parts[0], most, threads),
        Op::Affine(affine) => rows(affine, most, threads),
        Op::Map(map) => stretches(&map.walk, map.to.1, most, threads, |walk, [from, _]| {
            let from = (map.from.0, map.from.1 + from);
            Work::Map(Map { from, to: (map.to.0, 0), walk, ..*map })
        }),
        Op::Combine(combine) => {
            stretches(&combine.walk, combine.to.1, most, threads, |walk, [a, b, _]| {
                let [(x, a_place), (y, b_place)] = combine.from;
                let from = [(x, a_place + a), (y, b_place + b)];
                Work::Combine(Combine { from, to: (combine.to.0, 0), walk, ..*combine })
            })
        }
        Op::Pool(_) | Op::Fill(_) => vec![],
    }
}

/// Units by pieces, each a part of what is left and `most` at most: they are few, and the last ones, for which threads wait
/// for each other, are small.
pub(super) fn shared_out(
    units: usize,
    most: usize,
    threads: usize,
) -> impl Iterator<Item = Range<usize>> {
    let least = units.div_ceil(most);
    let mut begin = 0;
    iter::from_fn(move || {
        let left = units - begin;
        let share = begin..begin + left.div_ceil(2 * threads).max(least).min(left);
        begin = share.end;
        (!share.is_empty()).then_some(share)
    })
}

/// Outputs of a dense layer by whole panels of its weights.
fn outputs(part: &Part, most: usize, threads: usize) -> Vec<Piece> {
    let outputs = part.panels.outputs;
    // For every piece the inputs become integers anew.
    let most = if part.panels.integers() { most.min(threads) } else { most };
    // Whole groups of panels that are read at once, where there are enough for all threads.
    let panels = outputs.div_ceil(part.panels.width());
    let together = if panels / TOGETHER >= 2 * threads { TOGETHER } else { 1 };
    let width = together * part.panels.width();
    let piece = |panels: Range<usize>| {
        let outputs = panels.start * width..outputs.min(panels.end * width);
        Piece { first: part.grid.output[0] + outputs.start, work: Work::Outputs(outputs) }
    };
    shared_out(outputs.div_ceil(width), most, threads).map(piece).collect()
}

/// Whole rows, and of a transposed layer as many of every phase.
fn rows(affine: &Affine, most: usize, threads: usize) -> Vec<Piece> {
    let stride = affine.parts.iter().map(|part| part.stride).max().unwrap_or(1);
    let piece = |strides: Range<usize>| {
        let rows = strides.start * stride..affine.rows.min(strides.end * stride);
        Piece { first: affine.first + rows.start * affine.row, work: Work::Rows(rows) }
    };
    shared_out(affine.rows.div_ceil(stride), most, threads).map(piece).collect()
}

/// Stretches of the output, which is the last of the views that are walked along: the axis with its longest
/// steps is cut, if these lead over all that lies along the others.
fn stretches<const N: usize>(
    walk: &Walk<N>,
    first: usize,
    most: usize,
    threads: usize,
    work: impl Fn(Walk<N>, [usize; N]) -> Work,
) -> Vec<Piece> {
    let step = |axis: usize| walk[axis].1[N - 1];
    let Some(axis) = (0..walk.len()).max_by_key(|&axis| step(axis)) else { return vec![] };
    let others = (0..walk.len()).filter(|&other| other != axis);
    let reach: usize = others.map(|other| (walk[other].0 - 1) * step(other)).sum();
    if reach >= step(axis) {
        return vec![];
    }
    let (size, strides) = walk[axis];
    let piece = |share: Range<usize>| {
        let mut part = walk.clone();
        part[axis].0 = share.len();
        let places = strides.map(|stride| share.start * stride);
        Piece { first: first + share.start * step(axis), work: work(part, places) }
    };
    shared_out(size, most, threads).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::super::elementwise;
    use super::super::kernels::Activation;
    use super::super::step::{Function, Pairwise};
    use super::super::view::View;
    use super::*;

    /// The first numbers of pieces, and the sizes along their walks.
    fn cuts(op: &Op, most: usize) -> Vec<(usize, Vec<usize>)> {
        let sizes = |work: &Work| match work {
            Work::Map(map) => map.walk.iter().map(|axis| axis.0).collect(),
            Work::Combine(combine) => combine.walk.iter().map(|axis| axis.0).collect(),
            Work::Rows(_) | Work::Outputs(_) => vec![],
        };
        pieces(op, most, 2).iter().map(|piece| (piece.first, sizes(&piece.work))).collect()
    }

    #[test]
    fn shares_hold_every_unit_once_and_become_smaller() {
        for (units, most, threads) in
            (0..70).flat_map(|units| (2..40).map(move |most| (units, most, 1 + units % 5)))
        {
            let shares: Vec<_> = shared_out(units, most, threads).collect();
            assert!(shares.iter().cloned().flatten().eq(0..units), "{units} {most} {threads}");
            assert!(shares.is_sorted_by_key(|share| usize::MAX - share.len()), "{shares:?}");
            assert!(shares.len() <= most, "{shares:?} are more than {most}");
        }
        let sizes =
            |threads| shared_out(64, 16, threads).map(|share| share.len()).collect::<Vec<_>>();
        assert_eq!(sizes(2), [16, 12, 9, 7, 5, 4, 4, 4, 3]);
        assert_eq!(sizes(8), [4; 16]);
    }

    #[test]
    fn a_copy_is_cut_along_the_longest_steps_of_its_output() {
        let copy = Function::Activation(Activation::Identity);
        let planes = View::planes(0, [2, 9, 5], [1; 4]);
        let last = View::channels_last(1, [2, 9, 5], [1; 4]);
        let rows = Op::Map(Map::new(copy, &planes, &last).expect("one walk"));
        let first = last.offset;
        let row = 7 * 2;
        let expected = [3, 3, 3].map(|rows| vec![rows, 2, 5]);
        let firsts = [0, 3, 6].map(|begin| first + begin * row);
        assert_eq!(cuts(&rows, 3), firsts.into_iter().zip(expected).collect::<Vec<_>>());
        let to_planes = Op::Map(Map::new(copy, &last, &planes).expect("one walk"));
        let firsts: Vec<usize> = cuts(&to_planes, 4).iter().map(|(first, _)| *first).collect();
        assert_eq!(firsts, [planes.offset, planes.offset + 11 * 7], "one plane each");
    }

    #[test]
    fn pieces_together_do_what_the_step_does() {
        let (a, b) = (View::row_major(0, &[6, 7, 5]), View::channels_last(1, [6, 7, 5], [0; 4]));
        let to = View::channels_last(2, [6, 7, 5], [1, 2, 1, 0]);
        let step = Combine::new(Pairwise::Sub, &a, &b, &to).expect("one walk");
        let numbers: Vec<f32> = (0..210).map(|n| n as f32).collect();
        let mut whole = vec![0.0; View::image_len([6, 7, 5], to.halo)];
        elementwise::combine(&step, Some(&numbers), &numbers, &mut whole);
        for most in [2, 3, 7, 50] {
            let mut parts = vec![0.0; whole.len()];
            for piece in pieces(&Op::Combine(step.clone()), most, 2) {
                let Work::Combine(part) = piece.work else { panic!("another step") };
                let output = &mut parts[piece.first..];
                elementwise::combine(&part, Some(&numbers), &numbers, output);
            }
            assert!(parts == whole, "{most} pieces");
        }
    }
}
