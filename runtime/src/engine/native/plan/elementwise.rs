//! Operators on numbers one by one.

use super::super::step::{Combine, Function, Map, Op, Pairwise};
use super::super::view::{Factor, View};
use super::{Place, Planner};
use crate::graph::{Node, NodeProto};

impl<'a> Planner<'a> {
    /// A function of one number.
    pub(super) fn map(&mut self, proto: &'a NodeProto, node: &Node) -> Result<(), String> {
        let function = match (node.operator(), self.activation(proto)) {
            (_, Some(activation)) => Function::Activation(activation),
            ("Elu", _) => Function::Elu(node.float("alpha", 1.0)),
            ("Softplus", _) => Function::Softplus,
            ("Exp", _) => Function::Exp,
            ("Log", _) => Function::Log,
            ("Sqrt", _) => Function::Sqrt,
            ("Neg", _) => Function::Neg,
            ("Abs", _) => Function::Abs,
            ("Reciprocal", _) => Function::Reciprocal,
            _ => return Err("is not one of its operators".into()),
        };
        let from = self.view(&proto.input[0])?;
        let to = self.produce_beside(&proto.output[0], &[&from], true)?;
        let map = Map::new(function, &from, &to).ok_or("moves numbers as it computes them")?;
        let name = format!("{} {:?}", node.operator().to_lowercase(), to.dims());
        self.step(name, Op::Map(map), 0);
        self.views.insert(&proto.output[0], to);
        Ok(())
    }

    /// A function of two numbers, where one side may have one number for many of the other.
    pub(super) fn combine(&mut self, proto: &'a NodeProto) -> Result<(), String> {
        let function = match &*proto.op_type {
            "Add" => Pairwise::Add,
            "Sub" => Pairwise::Sub,
            "Mul" => Pairwise::Mul,
            "Div" => Pairwise::Div,
            "Max" => Pairwise::Max,
            _ => Pairwise::Min,
        };
        let [a, b] = &proto.input[..] else { return Err("takes other than two tensors".into()) };
        let dims = self.dims(&proto.output[0])?;
        let [a, b] = [self.operand(a, &dims)?, self.operand(b, &dims)?];
        self.pairwise(&proto.output[0], function, &a, &b)
    }

    fn pairwise(
        &mut self,
        output: &'a str,
        function: Pairwise,
        a: &View,
        b: &View,
    ) -> Result<(), String> {
        let to = self.produce_beside(output, &[a, b], true)?;
        let combine = Combine::new(function, a, b, &to).ok_or("takes tensors that lie apart")?;
        let name = format!("{function:?} {:?}", to.dims()).to_lowercase();
        self.step(name, Op::Combine(combine), 0);
        self.views.insert(output, to);
        Ok(())
    }

    /// A side of an operator, with one number repeated where the result has many.
    fn operand(&mut self, name: &'a str, dims: &[usize]) -> Result<View, String> {
        let view = match self.constants.get(name) {
            Some(constant) => {
                let values: Vec<f32> = constant.values.iter().copied().collect();
                let mut shape = constant.values.shape().to_vec();
                if shape.len() > dims.len() {
                    let batch = shape.remove(0);
                    if batch != 1 {
                        return Err("takes a stored tensor for several images".into());
                    }
                }
                let value = self.value(values.len(), Place::Constant(values));
                View::row_major(value, &shape)
            }
            None => self.view(name)?,
        };
        let mut axes = view.axes.clone();
        while axes.len() < dims.len() {
            axes.insert(0, vec![Factor { size: 1, stride: 0 }]);
        }
        for (axis, &size) in axes.iter_mut().zip(dims) {
            if size > 1 && axis.iter().map(|factor| factor.size).product::<usize>() == 1 {
                *axis = vec![Factor { size, stride: 0 }];
            }
        }
        Ok(View { axes, halo: [0; 4], ..view })
    }

    /// A normalisation by stored statistics that follows no layer.
    pub(super) fn normalize(&mut self, proto: &'a NodeProto, _: &Node) -> Result<(), String> {
        let pair = self.normalization(proto).ok_or("normalises by what is not stored")?;
        let from = self.view(&proto.input[0])?;
        let dims = from.dims();
        let [scale, shift] = pair.map(|values| {
            let (len, stride) = (values.len(), usize::from(values.len() > 1));
            let value = self.value(len, Place::Constant(values));
            let mut axes = vec![vec![Factor { size: len, stride }]];
            axes.extend(dims[1..].iter().map(|&size| vec![Factor { size, stride: 0 }]));
            View { value, offset: 0, axes, halo: [0; 4] }
        });
        let to = self.produce_beside(&proto.output[0], &[&from], true)?;
        let scaled = Combine::new(Pairwise::Mul, &from, &scale, &to);
        let shifted = Combine::new(Pairwise::Add, &to, &shift, &to);
        let (Some(scaled), Some(shifted)) = (scaled, shifted) else {
            return Err("normalises axes that were joined".into());
        };
        self.step(format!("scale {dims:?}"), Op::Combine(scaled), 0);
        self.step(format!("shift {dims:?}"), Op::Combine(shifted), 0);
        self.views.insert(&proto.output[0], to);
        Ok(())
    }
}
