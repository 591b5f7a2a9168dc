//! Operators that move elements, repeat them or leave them out.

use super::node::distinct;
use super::{Fact, MAX_VALUES, Node, Values, sizes};

pub(super) fn concat(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let axis = node.axis("axis", 0, x.dims.len())?;
    let mut dims = x.dims.clone();
    dims[axis] = 0;
    for part in node.inputs() {
        let size = *part.dims.get(axis).ok_or("joins tensors of other ranks")?;
        let mut others = part.dims.clone();
        others[axis] = dims[axis];
        if others != dims {
            return Err(format!("joins {:?} and {:?} along axis {axis}", x.dims, part.dims));
        }
        dims[axis] = dims[axis].checked_add(size).ok_or("joins too much")?;
    }
    let integers = node.inputs().map(|part| match &part.values {
        Some(Values::Integers(values)) => Some(values.as_slice()),
        _ => None,
    });
    let vector = x.dims.len() == 1 && dims[axis] <= MAX_VALUES;
    let integers: Option<Vec<_>> = if vector { integers.collect() } else { None };
    let values = integers.map(|parts| Values::Integers(parts.concat()));
    Ok(vec![node.gives(x.element, dims)?.with(values)])
}

/// Channels become pixels: `[B, C s s, H, W]` to `[B, C, H s, W s]`.
pub(super) fn depth_to_space(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let (&[batch, channels, height, width], Ok(side)) =
        (&x.dims[..], usize::try_from(node.int("blocksize", 0)))
    else {
        return Err(format!("takes images and gets {:?}", x.dims));
    };
    let dims = || {
        let block = side.checked_mul(side).filter(|&block| block > 0)?;
        let channels = channels.is_multiple_of(block).then(|| channels / block)?;
        Some(vec![batch, channels, height.checked_mul(side)?, width.checked_mul(side)?])
    };
    let dims = dims().ok_or_else(|| format!("makes blocks of {side} from {:?}", x.dims))?;
    Ok(vec![node.gives(x.element, dims)?])
}

/// Pixels become channels: `[B, C, H s, W s]` to `[B, C s s, H, W]`.
pub(super) fn space_to_depth(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let (&[batch, channels, height, width], Ok(side)) =
        (&x.dims[..], usize::try_from(node.int("blocksize", 0)))
    else {
        return Err(format!("takes images and gets {:?}", x.dims));
    };
    let dims = || {
        let channels = channels.checked_mul(side.checked_mul(side)?)?;
        let whole = side > 0 && height.is_multiple_of(side) && width.is_multiple_of(side);
        whole.then(|| vec![batch, channels, height / side, width / side])
    };
    let dims = dims().ok_or_else(|| format!("takes blocks of {side} from {:?}", x.dims))?;
    Ok(vec![node.gives(x.element, dims)?])
}

pub(super) fn gather(node: &Node) -> Result<Vec<Fact>, String> {
    let (x, indices) = (node.input(0)?, node.input(1)?);
    let axis = node.axis("axis", 0, x.dims.len())?;
    let dims = [&x.dims[..axis], &indices.dims[..], &x.dims[axis + 1..]].concat();
    let values = match (&x.values, &indices.values) {
        (Some(Values::Integers(all)), Some(Values::Integers(indices))) if x.dims.len() == 1 => {
            let chosen = indices.iter().map(|&i| {
                let place = if i < 0 { i.checked_add(all.len() as i64)? } else { i };
                all.get(usize::try_from(place).ok()?).copied()
            });
            let chosen: Option<_> = chosen.collect();
            Some(Values::Integers(chosen.ok_or("reads beside its input")?))
        }
        _ => None,
    };
    Ok(vec![node.gives(x.element, dims)?.with(values)])
}

pub(super) fn pad(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let pads = node.integers(1)?.ok_or("lacks its input 1")?;
    let axes = match node.integers(3)? {
        Some(axes) => distinct(axes, x.dims.len())?,
        None => (0..x.dims.len()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("pads {} axes by {pads:?}", axes.len()));
    }
    let mut dims = x.dims.clone();
    for (place, &axis) in axes.iter().enumerate() {
        let size = |pad: i64, size: usize| size.checked_add_signed(isize::try_from(pad).ok()?);
        let padded = size(pads[place], dims[axis]);
        let padded = padded.and_then(|padded| size(pads[axes.len() + place], padded));
        dims[axis] = padded.ok_or_else(|| format!("pads {:?} by {pads:?}", x.dims))?;
    }
    Ok(vec![node.gives(x.element, dims)?])
}

pub(super) fn resize(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let policy = node.text("keep_aspect_ratio_policy");
    let cropping = node.text("coordinate_transformation_mode") == b"tf_crop_and_resize";
    if cropping || node.ints("axes").is_some() || !matches!(policy, b"" | b"stretch") {
        return Err("resizes in a way that is not covered".into());
    }
    let dims = match (node.floats(2)?, node.integers(3)?) {
        (Some(scales), _) if scales.len() == x.dims.len() => {
            let scaled = x.dims.iter().zip(scales).map(|(&size, &scale)| scaled(size, scale));
            let scaled: Option<_> = scaled.collect();
            scaled.ok_or_else(|| format!("scales {:?} by {scales:?}", x.dims))?
        }
        (None, Some(wanted)) if wanted.len() == x.dims.len() => sizes(wanted)?,
        _ => return Err("says nothing of its size".into()),
    };
    Ok(vec![node.gives(x.element, dims)?])
}

/// A size times a scale, rounded down; nothing where single and double precision disagree, as
/// engines then do.
fn scaled(size: usize, scale: f32) -> Option<usize> {
    let (single, double) =
        ((size as f32 * scale).floor(), (size as f64 * f64::from(scale)).floor());
    let agrees = f64::from(single) == double && (0.0..1e15).contains(&double);
    agrees.then_some(double as usize)
}

pub(super) fn slice(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let starts = node.integers(1)?.ok_or("lacks its input 1")?;
    let ends = node.integers(2)?.ok_or("lacks its input 2")?;
    let axes = match node.integers(3)? {
        Some(axes) => distinct(axes, x.dims.len())?,
        None => (0..starts.len()).collect(),
    };
    let ones = vec![1; starts.len()];
    let steps = node.integers(4)?.unwrap_or(&ones);
    let counts = [starts.len(), ends.len(), axes.len(), steps.len()];
    if counts != [starts.len(); 4] || starts.len() > x.dims.len() || steps.contains(&0) {
        return Err(format!("slices {starts:?} to {ends:?} by {steps:?}"));
    }
    let mut dims = x.dims.clone();
    let mut chosen = None;
    for (place, &axis) in axes.iter().enumerate() {
        let part = Part::new(dims[axis], starts[place], ends[place], steps[place]);
        let part = part.ok_or("slices back from before its input")?;
        dims[axis] = part.count;
        chosen = Some(part);
    }
    let values = match (&x.values, chosen) {
        (Some(Values::Integers(all)), Some(part)) if x.dims.len() == 1 => {
            Some(Values::Integers(part.places().map(|place| all[place]).collect()))
        }
        _ => None,
    };
    Ok(vec![node.gives(x.element, dims)?.with(values)])
}

/// Every `step`-th place of an axis from `first` on.
struct Part {
    first: i128,
    step: i128,
    count: usize,
}

impl Part {
    /// Nothing where a walk back begins before the axis: readers of the standard disagree on it.
    fn new(size: usize, start: i64, end: i64, step: i64) -> Option<Self> {
        let (size, step) = (size as i128, i128::from(step));
        // Going back, the first place is at most the last one, and the end may be before all.
        let bounds = if step > 0 { [0, size] } else { [-1, size - 1] };
        let counted = |at: i64| i128::from(at) + if at < 0 { size } else { 0 };
        let place = |at: i64| counted(at).clamp(bounds[0], bounds[1]);
        if step < 0 && counted(start) < 0 {
            return None;
        }
        let (first, end) = (place(start), place(end));
        let steps = if step > 0 { end - first + step - 1 } else { end - first + step + 1 } / step;
        Some(Self { first, step, count: steps.max(0) as usize })
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        (0..self.count).map(|i| (self.first + self.step * i as i128) as usize)
    }
}

pub(super) fn split(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let axis = node.axis("axis", 0, x.dims.len())?;
    let (size, parts) = (x.dims[axis], node.outputs());
    let sizes = match node.integers(1)? {
        Some(given) => sizes(given)?,
        None => {
            // Only from opset 18 on may the last part be smaller than the others.
            let part = size.div_ceil(parts.max(1));
            let last = size.checked_sub(part * parts.saturating_sub(1));
            let last = last.filter(|&last| last == part || node.opset >= 18);
            let last = last.ok_or_else(|| format!("splits {size} in {parts}"))?;
            (1..parts).map(|_| part).chain([last]).collect()
        }
    };
    if sizes.len() != parts
        || sizes.iter().try_fold(0_usize, |n, &d| n.checked_add(d)) != Some(size)
    {
        return Err(format!("splits {size} into {sizes:?} for {parts} outputs"));
    }
    let part = |size| {
        let mut dims = x.dims.clone();
        dims[axis] = size;
        node.gives(x.element, dims)
    };
    sizes.into_iter().map(part).collect()
}

pub(super) fn transpose(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let rank = x.dims.len();
    let order = match node.ints("perm") {
        Some(order) => distinct(order, rank)?,
        None => (0..rank).rev().collect(),
    };
    if order.len() != rank {
        return Err(format!("puts the axes of {:?} in the order {order:?}", x.dims));
    }
    Ok(vec![node.gives(x.element, order.iter().map(|&axis| x.dims[axis]).collect())?])
}
