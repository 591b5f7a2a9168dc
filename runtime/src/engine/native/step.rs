//! The steps of a plan.

use super::kernels::{Activation, Grid, Run};
use super::pack::Panels;
use super::view::{Picture, View, Walk, walk};

/// A step, with what it is called where its time is told.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) op: Op,
    /// Operations for one image.
    pub(super) flops: u64,
}

/// What a step does to the values that it reads.
pub(super) enum Op {
    Affine(Affine),
    Pool(Pool),
    Map(Map),
    Combine(Combine),
    Fill(Fill),
}

/// A layer with weights: for every output position, a sum over weighted inputs.
pub(super) struct Affine {
    /// One, or the phases of a transposed convolution.
    pub(super) parts: Vec<Part>,
    /// What its sums go through, in order.
    pub(super) activations: Vec<Activation>,
    pub(super) input: usize,
    pub(super) output: usize,
    /// The place of the output's first number.
    pub(super) first: usize,
    /// Rows of the output image, and from one to the next.
    pub(super) rows: usize,
    pub(super) row: usize,
    /// Output rows that every phase writes before the next ones, while they and their inputs are in the cache.
    pub(super) strip: usize,
    /// Consecutive parts whose outputs take turns in a row, and which are computed together.
    pub(super) beside: usize,
    /// The planes that an output's channels lie in, and from one to the next; one where they lie side by side.
    pub(super) planes: usize,
    pub(super) plane: usize,
    /// Whether the positions are the images of a batch.
    pub(super) dense: bool,
}

/// Positions that share their weights.
pub(super) struct Part {
    pub(super) panels: Panels,
    pub(super) runs: Vec<Run>,
    /// Rows of positions, the output row of the first, and from one to the next.
    pub(super) rows: usize,
    pub(super) first: usize,
    pub(super) stride: usize,
    pub(super) grid: Grid,
}

/// The largest number or the mean of windows, by channel.
pub(super) struct Pool {
    pub(super) mean: bool,
    pub(super) kernel: [usize; 2],
    pub(super) strides: [usize; 2],
    pub(super) before: [usize; 2],
    /// Value, offset and layout.
    pub(super) input: (usize, usize, Picture),
    pub(super) output: (usize, usize, Picture),
}

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Function {
    Activation(Activation),
    Elu(f32),
    Softplus,
    Exp,
    Log,
    Sqrt,
    Neg,
    Abs,
    Reciprocal,
}

/// A function of two numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pairwise {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
}

/// A function of every number of a view.
#[derive(Clone)]
pub(super) struct Map {
    pub(super) function: Function,
    pub(super) from: (usize, usize),
    pub(super) to: (usize, usize),
    pub(super) walk: Walk<2>,
}

/// A function of the numbers of two views, pair by pair.
#[derive(Clone)]
pub(super) struct Combine {
    pub(super) function: Pairwise,
    pub(super) from: [(usize, usize); 2],
    pub(super) to: (usize, usize),
    pub(super) walk: Walk<3>,
}

/// Zeros.
pub(super) struct Fill {
    pub(super) to: usize,
    pub(super) strips: Vec<(usize, Walk<1>)>,
}

impl Map {
    pub(super) fn new(function: Function, from: &View, to: &View) -> Option<Self> {
        let places = [from, to].map(|view| (view.value, view.offset));
        Some(Self {
            function,
            from: places[0],
            to: places[1],
            walk: longest_last(walk([from, to])?),
        })
    }
}

impl Combine {
    pub(super) fn new(function: Pairwise, a: &View, b: &View, to: &View) -> Option<Self> {
        let [a_place, b_place, to_place] = [a, b, to].map(|view| (view.value, view.offset));
        let walk = longest_last(walk([a, b, to])?);
        Some(Self { function, from: [a_place, b_place], to: to_place, walk })
    }
}

impl Fill {
    /// Zeros in all of some views of one value.
    pub(super) fn zeros(views: Vec<View>) -> Self {
        let to = views.first().map_or(0, |view| view.value);
        let strip = |view: &View| {
            let mut walk = walk([view])?;
            walk.sort_by_key(|&(_, [stride])| std::cmp::Reverse(stride));
            // Neighbours are one stretch.
            let mut merged: Walk<1> = vec![];
            for (size, [stride]) in walk {
                match merged.last_mut() {
                    Some((outer, [step])) if *step == size * stride => {
                        (*outer, *step) = (*outer * size, stride);
                    }
                    _ => merged.push((size, [stride])),
                }
            }
            Some((view.offset, merged))
        };
        Self { to, strips: views.iter().filter_map(strip).collect() }
    }
}

/// A walk that stays near in memory: its innermost loop is the longest of those that step from number to
/// number in one of the views, and around it steps are the larger the further out they are.
fn longest_last<const N: usize>(mut walk: Walk<N>) -> Walk<N> {
    let nearest = |(_, strides): &(usize, [usize; N])| strides.iter().copied().min();
    walk.sort_by_key(|axis| std::cmp::Reverse(nearest(axis)));
    let steps = |axis: &(usize, [usize; N])| axis.1.contains(&1);
    if let Some(place) = (0..walk.len()).filter(|&i| steps(&walk[i])).max_by_key(|&i| walk[i].0) {
        let axis = walk.remove(place);
        walk.push(axis);
    }
    walk
}

impl Op {
    /// The values that the step reads.
    pub(super) fn reads(&self) -> [Option<usize>; 2] {
        match self {
            Self::Affine(affine) => [Some(affine.input), None],
            Self::Pool(pool) => [Some(pool.input.0), None],
            Self::Map(map) => [Some(map.from.0), None],
            Self::Combine(combine) => combine.from.map(|(value, _)| Some(value)),
            Self::Fill(_) => [None; 2],
        }
    }

    /// The value that the step writes to.
    pub(super) fn writes(&self) -> usize {
        match self {
            Self::Affine(affine) => affine.output,
            Self::Pool(pool) => pool.output.0,
            Self::Map(map) => map.to.0,
            Self::Combine(combine) => combine.to.0,
            Self::Fill(fill) => fill.to,
        }
    }

    /// Whether the step takes all images of a group at once.
    pub(super) fn is_dense(&self) -> bool {
        matches!(self, Self::Affine(affine) if affine.dense)
    }

    /// Bytes of the weights that the step reads.
    pub(super) fn weights(&self) -> usize {
        match self {
            Self::Affine(affine) => affine.parts.iter().map(|part| part.panels.bytes()).sum(),
            _ => 0,
        }
    }
}
