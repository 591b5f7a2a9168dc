//! Numbers that are rounded to integers of a scale: a pair of `QuantizeLinear` and `DequantizeLinear`.
//!
//! An integer stands in memory as the number that it means, so that such a pair is one function of a
//! number, and turning integers back is nothing.

use super::super::kernels::{Activation, Rounding};
use super::super::step::{Function, Map, Op};
use super::Planner;
use crate::graph::{Element, NodeProto};

/// Operators whose results are numbers of their first input, or zeros.
const CARRIERS: [&str; 11] = [
    "DepthToSpace",
    "Flatten",
    "Identity",
    "MaxPool",
    "Pad",
    "Reshape",
    "Resize",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

impl<'a> Planner<'a> {
    /// Remembers that an operator hands rounded numbers on.
    pub(super) fn carry(&mut self, proto: &'a NodeProto) {
        let rounding = self.rounded.get(proto.input.first().map_or("", String::as_str)).copied();
        if let Some(rounding) = rounding.filter(|_| CARRIERS.contains(&&*proto.op_type)) {
            self.rounded.insert(&proto.output[0], rounding);
        }
    }

    pub(super) fn quantize(&mut self, proto: &'a NodeProto) -> Result<(), String> {
        let rounding = self.rounding(proto, &proto.output[0])?;
        let from = self.view(&proto.input[0])?;
        let pair = self.rounding_pair(proto).map(|(second, _)| second);
        self.fused.extend(pair);
        let last = pair.map_or(proto, |second| &self.parsed.graph.node[second]);
        let output = last.output[0].as_str();
        self.rounded.insert(output, rounding);
        if self.rounded.get(proto.input[0].as_str()) == Some(&rounding) {
            self.views.insert(output, from);
            return Ok(());
        }
        let to = self.produce_beside(output, &[&from], true)?;
        let function = Function::Activation(Activation::Round(rounding));
        let map = Map::new(function, &from, &to).ok_or("moves numbers as it rounds them")?;
        self.step(format!("round {:?}", to.dims()), Op::Map(map), 0);
        self.views.insert(output, to);
        Ok(())
    }

    pub(super) fn dequantize(&mut self, proto: &'a NodeProto) -> Result<(), String> {
        let rounding = self.rounding(proto, &proto.input[0])?;
        if self.rounded.get(proto.input[0].as_str()) != Some(&rounding) {
            return Err("gives integers another scale than they were made with".into());
        }
        let view = self.view(&proto.input[0])?;
        self.views.insert(&proto.output[0], view);
        self.rounded.insert(&proto.output[0], rounding);
        Ok(())
    }

    /// The rounding that an operator is the first half of, with the place of the other half, where
    /// nothing else reads what is between them.
    pub(super) fn rounding_pair(&self, first: &NodeProto) -> Option<(usize, Rounding)> {
        let between = first.output.first()?.as_str();
        let &[second] = &self.readers.get(between)?[..] else { return None };
        let widening = &self.parsed.graph.node[second];
        let operators = [&*first.op_type, &*widening.op_type];
        if operators != ["QuantizeLinear", "DequantizeLinear"] || self.outputs.contains_key(between)
        {
            return None;
        }
        let rounding = self.rounding(first, between).ok()?;
        (self.rounding(widening, between) == Ok(rounding)).then_some((second, rounding))
    }

    /// The rounding that an operator belongs to, with the name of its integers.
    fn rounding(&self, proto: &NodeProto, integers: &str) -> Result<Rounding, String> {
        let one = |place: usize| -> Result<f32, String> {
            let values = &self.constants.input(proto, place)?.values;
            match values.iter().copied().collect::<Vec<_>>()[..] {
                [value] => Ok(value),
                _ => Err(format!("has {} scales for an image's numbers", values.len())),
            }
        };
        if self.facts[&proto.input[1]].element != Element::F32 {
            return Err(format!("has scales in {}", self.facts[&proto.input[1]].element));
        }
        let (least, most) = match self.facts[integers].element {
            Element::U8 => (0.0, 255.0),
            Element::I8 => (-128.0, 127.0),
            other => return Err(format!("rounds to {other}")),
        };
        let scale = one(1)?;
        if scale.is_subnormal() || scale <= 0.0 {
            return Err(format!("rounds to multiples of {scale}"));
        }
        let zero = match proto.input.get(2).filter(|name| !name.is_empty()) {
            Some(_) => one(2)?,
            None => 0.0,
        };
        if !(least..=most).contains(&zero) {
            return Err(format!("has the zero point {zero}"));
        }
        Ok(Rounding { scale, low: least - zero, high: most - zero })
    }
}
