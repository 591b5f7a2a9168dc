//! Operators that change axes and keep the elements' order, and those that drop axes.

use super::node::distinct;
use super::{Fact, Node};

pub(super) fn flatten(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let rank = x.dims.len();
    // The one axis that may also stand behind the last one.
    let axis = match node.int("axis", 1) {
        axis if usize::try_from(axis) == Ok(rank) => rank,
        _ => node.axis("axis", 1, rank)?,
    };
    let (rows, columns) = x.dims.split_at(axis);
    // An axis of size 0 leaves room for sizes whose product is beyond all numbers.
    let dims: Option<_> = [rows, columns].into_iter().map(product).collect();
    let dims = dims.ok_or_else(|| format!("flattens {:?}", x.dims))?;
    Ok(vec![node.gives(x.element, dims)?])
}

pub(super) fn reshape(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let shape = node.integers(1)?.ok_or("lacks its input 1")?;
    let wrong = || format!("makes {shape:?} of {:?}", x.dims);
    let mut open = None;
    let mut dims = Vec::with_capacity(shape.len());
    for (axis, &size) in shape.iter().enumerate() {
        dims.push(match size {
            0 if node.int("allowzero", 0) == 0 => *x.dims.get(axis).ok_or_else(wrong)?,
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            size => usize::try_from(size).map_err(|_| wrong())?,
        });
    }
    let others = product(&dims).ok_or_else(wrong)?;
    if let Some(axis) = open {
        dims[axis] = x.len().checked_div(others).ok_or_else(wrong)?;
    }
    let fact = keeping(node, x, dims)?;
    if fact.len() == x.len() { Ok(vec![fact]) } else { Err(wrong()) }
}

pub(super) fn squeeze(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let axes = match node.axes(1, x.dims.len())? {
        Some(axes) => axes,
        None => (0..x.dims.len()).filter(|&axis| x.dims[axis] == 1).collect(),
    };
    if axes.iter().any(|&axis| x.dims[axis] != 1) {
        return Err(format!("drops the axes {axes:?} of {:?}", x.dims));
    }
    let kept = x.dims.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
    Ok(vec![keeping(node, x, kept.map(|(_, &size)| size).collect())?])
}

pub(super) fn unsqueeze(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let added = node.integers(1)?.or_else(|| node.ints("axes")).ok_or("names no axes")?;
    let rank = x.dims.len() + added.len();
    let axes = distinct(added, rank)?;
    let mut sizes = x.dims.iter();
    let size = |axis| if axes.contains(&axis) { Some(1) } else { sizes.next().copied() };
    let dims: Option<_> = (0..rank).map(size).collect();
    Ok(vec![keeping(node, x, dims.expect("as many axes are left as there were"))?])
}

/// The shape of a tensor, as a tensor; a constant, since the batch size is given.
pub(super) fn shape(node: &Node) -> Result<Vec<Fact>, String> {
    let dims = &node.input(0)?.dims;
    let rank = dims.len() as i64;
    let place = |name, default| {
        let place = node.int(name, default);
        (if place < 0 { place.saturating_add(rank) } else { place }).clamp(0, rank) as usize
    };
    let (start, end) = (place("start", 0), place("end", rank));
    let part = dims.get(start..end).unwrap_or_default();
    let values: Vec<_> = part.iter().map(|&size| size as i64).collect();
    Ok(vec![Fact::integers(vec![values.len()], values)?])
}

/// A maximum, a mean or a sum over axes.
pub(super) fn reduce(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let rank = x.dims.len();
    let axes = match node.axes(1, rank)?.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes,
        None if node.int("noop_with_empty_axes", 0) != 0 => vec![],
        None => (0..rank).collect(),
    };
    let keep = node.int("keepdims", 1) != 0;
    let size = |axis| match axes.contains(&axis) {
        true => keep.then_some(1),
        false => Some(x.dims[axis]),
    };
    Ok(vec![node.gives(x.element, (0..rank).filter_map(size).collect())?])
}

fn product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1_usize, |n, &size| n.checked_mul(size))
}

/// A tensor in another shape, with the numbers that are known of it.
fn keeping(node: &Node, x: &Fact, dims: Vec<usize>) -> Result<Fact, String> {
    Ok(node.gives(x.element, dims)?.with(x.values.clone()))
}
