//! Weights that a graph stores in fewer bits, widened once. tract folds constants that stay small,
//! and would compute larger ones, such as half-precision weights, anew for every image.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::TypedModelPatch;
use tract_onnx::tract_core::ops::konst::Const;

/// How many times as large as its inputs a constant may become: eight bits to thirty-two. A hostile
/// graph must not make it more.
const GROWTH: usize = 4;

/// Replaces every node that makes `f32` of constants by what it gives.
pub(super) fn fold(model: &mut TypedModel) -> TractResult<()> {
    let mut folded = false;
    for id in model.eval_order()? {
        let Some(value) = value(model, id)? else { continue };
        let mut patch = TypedModelPatch::default();
        let wire = patch.add_const(&model.node(id).name, value)?;
        patch.shunt_outside(model, id.into(), wire)?;
        patch.apply(model)?;
        folded = true;
    }
    if folded { model.declutter() } else { Ok(()) }
}

/// What a node gives, where that is a constant worth keeping.
fn value(model: &TypedModel, id: usize) -> TractResult<Option<Arc<Tensor>>> {
    let node = model.node(id);
    let inputs = model.node_input_facts(id)?;
    let constants: Option<Vec<_>> = inputs.iter().map(|fact| fact.konst.clone()).collect();
    let Some(constants) = constants.filter(|constants| !constants.is_empty()) else {
        return Ok(None);
    };
    let bytes = |tensor: &Arc<Tensor>| tensor.len() * tensor.datum_type().size_of();
    let most = GROWTH * constants.iter().map(bytes).sum::<usize>();
    let [output] = &node.outputs[..] else { return Ok(None) };
    let size = output.fact.mem_size().as_i64().and_then(|size| usize::try_from(size).ok());
    let widens = output.fact.datum_type == f32::datum_type() && !node.op_is::<Const>();
    if !widens || size.is_none_or(|size| size > most) {
        return Ok(None);
    }
    let inputs = constants.into_iter().map(|constant| constant.into_tvalue()).collect();
    // What cannot be computed yet, such as a size of an open batch, is left to the plan.
    let outputs = node.op.eval_out_of_plan(inputs).ok().flatten();
    Ok(outputs.and_then(|mut outputs| outputs.pop()).map(|output| output.into_arc_tensor()))
}

#[cfg(test)]
mod tests {
    use tract_onnx::tract_core::ops::array::MultiBroadcastTo;
    use tract_onnx::tract_core::ops::cast::cast;

    use super::*;

    /// More than tract folds by itself.
    const VALUES: usize = 3 << 20;

    #[test]
    fn stored_weights_are_widened_once_and_not_blown_up() -> TractResult<()> {
        let mut model = TypedModel::default();
        let halves = Tensor::zero::<f16>(&[VALUES])?;
        let stored = model.add_const("stored", halves)?;
        let widened = model.wire_node("widened", cast(f32::datum_type()), &[stored])?;
        let small = model.add_const("small", Tensor::zero::<f32>(&[1])?)?;
        let shape = tvec![VALUES.to_dim()].into();
        let large = model.wire_node("large", MultiBroadcastTo { shape }, &[small])?;
        assert!(value(&model, large[0].node)?.is_none());
        model.select_output_outlets(&widened)?;
        model.declutter()?;
        fold(&mut model)?;
        let output = model.output_outlets()?[0];
        assert!(model.node(output.node).op_is::<Const>());
        assert_eq!(model.outlet_fact(output)?.datum_type, f32::datum_type());
        Ok(())
    }
}
