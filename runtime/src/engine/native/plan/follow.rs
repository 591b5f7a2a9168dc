//! What follows a layer and becomes part of it.

use ndarray::ArrayD;

use super::super::kernels::{Activation, Rounding};
use super::Planner;
use crate::graph::{Node, NodeProto};

/// A layer's end: the tensor that it gives, and what its sums go through.
pub(super) struct Following<'a> {
    pub(super) output: &'a str,
    /// For every output, what its sum is multiplied by and what is then added.
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) activations: Vec<Activation>,
    /// The side of the square of pixels that the outputs of a position become; 1 where they become none.
    pub(super) side: usize,
    /// The row and the column of the first pixel that is kept, where some are cut away.
    pub(super) kept: Option<[usize; 2]>,
}

/// Operators that are part of a layer now, and what it gives with them.
struct Fused<'a> {
    operators: Vec<usize>,
    output: &'a str,
}

/// The fewest channels of a pixel that are worth a vector of their own.
const FEWEST: usize = 8;

impl Following<'_> {
    /// Appends a rounding. What it maps to its least number needs no function before that does so too.
    fn round(&mut self, rounding: Rounding) {
        let cuts = self.activations.last() == Some(&Activation::Relu) && rounding.low == 0.0;
        if cuts {
            self.activations.pop();
        }
        if self.activations.last() != Some(&Activation::Round(rounding)) {
            self.activations.push(Activation::Round(rounding));
        }
    }
}

impl<'a> Planner<'a> {
    /// Takes the operators behind a layer of so many outputs that change nothing but its sums.
    /// `interleaves` says that it can write them to the pixels of squares, `cuts` that it can leave out rows and
    /// columns.
    pub(super) fn follow(
        &mut self,
        proto: &'a NodeProto,
        outputs: usize,
        interleaves: bool,
        cuts: bool,
    ) -> Following<'a> {
        let mut following = Following {
            output: &proto.output[0],
            scale: vec![1.0; outputs],
            shift: vec![0.0; outputs],
            activations: vec![],
            side: 1,
            kept: None,
        };
        while !self.outputs.contains_key(following.output) {
            let readers = self.readers.get(following.output).map_or(&[][..], Vec::as_slice);
            let fused = match *readers {
                [reader] => self.fuse(reader, &mut following, interleaves, cuts),
                [gate, product] => self.fuse_gate([gate, product], &mut following),
                _ => None,
            };
            let Some(Fused { operators, output }) = fused else { break };
            self.fused.extend(operators);
            following.output = output;
        }
        following
    }

    /// Makes the only reader of a layer's output part of the layer, where it can be.
    fn fuse(
        &mut self,
        reader: usize,
        following: &mut Following<'a>,
        interleaves: bool,
        cuts: bool,
    ) -> Option<Fused<'a>> {
        let nodes = &self.parsed.graph.node;
        let next = &nodes[reader];
        let fused = Fused { operators: vec![reader], output: &next.output[0] };
        let of_first = next.input[0] == following.output;
        let in_place = following.side == 1;
        let linear = following.activations.is_empty() && in_place;
        if linear && (self.shifts(next, following) || self.scales(next, following)) {
            return Some(fused);
        }
        if let Some((widening, rounding)) = self.rounding_pair(next) {
            let output = &*nodes[widening].output[0];
            following.round(rounding);
            self.rounded.insert(output, rounding);
            return Some(Fused { operators: vec![reader, widening], output });
        }
        if interleaves
            && in_place
            && following.kept.is_none()
            && let Some(side) = self.square(next, following.scale.len())
        {
            self.carry(next);
            following.side = side;
            return Some(fused);
        }
        if !of_first {
            return None;
        }
        if cuts
            && in_place
            && let Some([row, column]) = self.corner(next)
        {
            self.carry(next);
            let [top, left] = following.kept.unwrap_or_default();
            following.kept = Some([top + row, left + column]);
            return Some(fused);
        }
        if let Some(function) = self.reshaped_result(next) {
            return Some(Fused { output: &nodes[function].input[0], ..fused });
        }
        following.activations.push(self.activation(next)?);
        Some(fused)
    }

    /// Makes a sigmoid of a layer's output, and the product of both, part of the layer.
    fn fuse_gate(&self, operators: [usize; 2], following: &mut Following<'a>) -> Option<Fused<'a>> {
        let [gate, product] = operators.map(|place| &self.parsed.graph.node[place]);
        let gated = &gate.output[0];
        let silu = [&*gate.op_type, &*product.op_type] == ["Sigmoid", "Mul"]
            && product.input.contains(gated)
            && self.readers.get(gated.as_str()).is_some_and(|readers| readers.len() == 1)
            && !self.outputs.contains_key(gated.as_str());
        if !silu {
            return None;
        }
        following.activations.push(Activation::Silu);
        Some(Fused { operators: operators.to_vec(), output: &product.output[0] })
    }

    /// The side of the squares of pixels that an operator makes of so many channels, where a pixel keeps
    /// enough of them to fill a vector.
    fn square(&self, next: &NodeProto, outputs: usize) -> Option<usize> {
        let node = Node::new(next, self.parsed.summary.opset, self.facts).ok()?;
        let pixels_first = matches!(node.text("mode"), b"" | b"DCR");
        let side = usize::try_from(node.int("blocksize", 0)).ok()?;
        let fits = side > 1 && outputs / (side * side) >= FEWEST;
        (node.operator() == "DepthToSpace" && pixels_first && fits).then_some(side)
    }

    /// Where an operator gives a vector another shape, the one behind it that makes one of the graph's outputs of
    /// that by a function of every number: these lie in the same order.
    fn reshaped_result(&self, next: &NodeProto) -> Option<usize> {
        let reshaped = next.output[0].as_str();
        let reshapes = matches!(&*next.op_type, "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze")
            && self.facts[&next.input[0]].dims.len() == 2
            && !self.outputs.contains_key(reshaped);
        let &[reader] = &self.readers.get(reshaped)?[..] else { return None };
        let function = &self.parsed.graph.node[reader];
        let result = function.output[0].as_str();
        let last = self.outputs.contains_key(result) && !self.readers.contains_key(result);
        (reshapes && last && self.activation(function).is_some()).then_some(reader)
    }

    /// The row and the column of the first pixel that an operator keeps of images, if all that it does is to cut
    /// rows and columns away.
    fn corner(&self, next: &NodeProto) -> Option<[usize; 2]> {
        let node = Node::new(next, self.parsed.summary.opset, self.facts).ok()?;
        let dims = [&next.input[0], &next.output[0]].map(|name| &self.facts[name].dims[..]);
        let [&[_, before, _, _], &[_, after, _, _]] = dims else { return None };
        if node.operator() != "Slice" || before != after {
            return None;
        }
        let mut corner = [0; 2];
        for (axis, start) in self.starts(next, &node).ok()? {
            *corner.get_mut(axis.wrapping_sub(1))? = start;
        }
        Some(corner)
    }

    /// Whether an operator adds a stored number to every output of a layer.
    fn shifts(&self, next: &NodeProto, following: &mut Following) -> bool {
        let added = || {
            let other = next.input.iter().find(|name| *name != following.output)?;
            self.per_output(&self.constants.get(other)?.values, following)
        };
        let Some(added) = (next.op_type == "Add").then(added).flatten() else { return false };
        following.shift.iter_mut().zip(added).for_each(|(shift, added)| *shift += added);
        true
    }

    /// Whether an operator is a normalisation by stored statistics.
    fn scales(&self, next: &NodeProto, following: &mut Following) -> bool {
        if next.op_type != "BatchNormalization" || next.input[0] != following.output {
            return false;
        }
        let Some([scale, shift]) = self.normalization(next) else { return false };
        if scale.len() != following.scale.len() {
            return false;
        }
        for (i, (factor, term)) in scale.iter().zip(shift).enumerate() {
            following.scale[i] *= factor;
            following.shift[i] = following.shift[i] * factor + term;
        }
        true
    }

    /// A normalisation by stored statistics as a factor and a term for every channel.
    pub(super) fn normalization(&self, proto: &NodeProto) -> Option<[Vec<f32>; 2]> {
        let node = Node::new(proto, self.parsed.summary.opset, self.facts).ok()?;
        let stored = |place: usize| -> Option<Vec<f32>> {
            Some(self.constants.input(proto, place).ok()?.values.iter().copied().collect())
        };
        let [gain, offset, mean, variance] = [stored(1)?, stored(2)?, stored(3)?, stored(4)?];
        let channels = gain.len();
        if [&offset, &mean, &variance].iter().any(|stored| stored.len() != channels) {
            return None;
        }
        let epsilon = node.float("epsilon", 1e-5);
        let scale = gain.iter().zip(&variance).map(|(gain, v)| gain / (v + epsilon).sqrt());
        let scale: Vec<f32> = scale.collect();
        let shift = offset.iter().zip(&mean).zip(&scale).map(|((b, mean), s)| b - mean * s);
        let shift = shift.collect();
        Some([scale, shift])
    }

    /// A stored tensor that has one number for every output of a layer, or one for all.
    fn per_output(&self, values: &ArrayD<f32>, following: &Following) -> Option<Vec<f32>> {
        let outputs = following.scale.len();
        let rank = self.facts[following.output].dims.len();
        let place = values.ndim().checked_sub(rank - 1);
        let along = values.len() == outputs && place.is_some_and(|p| values.shape()[p] == outputs);
        match values.len() {
            1 => Some(vec![values.iter().copied().next()?; outputs]),
            _ if along => Some(values.iter().copied().collect()),
            _ => None,
        }
    }

    /// The function that an operator is, where the kernels have it.
    pub(super) fn activation(&self, proto: &NodeProto) -> Option<Activation> {
        let node = Node::new(proto, self.parsed.summary.opset, self.facts).ok()?;
        let bound = |place: usize, default: f32| match proto.input.get(place) {
            Some(name) if !name.is_empty() => {
                Some(*self.constants.get(name)?.values.iter().next()?)
            }
            _ => Some(default),
        };
        Some(match node.operator() {
            "Relu" => Activation::Relu,
            "LeakyRelu" => Activation::LeakyRelu(node.float("alpha", 0.01)),
            "Clip" => Activation::Clip(bound(1, f32::MIN)?, bound(2, f32::MAX)?),
            "Sigmoid" => Activation::Sigmoid,
            "Tanh" => Activation::Tanh,
            _ => return None,
        })
    }
}
