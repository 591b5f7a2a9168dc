//! Operators that move a window over the axes behind batch and channels.

use super::super::element::Element;
use super::{Fact, Node, sizes};

/// A window along one axis.
#[derive(Clone, Copy)]
struct Window {
    /// What it covers, dilation included.
    extent: usize,
    stride: usize,
    /// What is added before and after the axis.
    pads: [usize; 2],
}

/// How an operator pads.
enum Padding {
    /// By its attribute `pads`.
    Given,
    /// Until there is one result for every stride that begins in the input.
    Same,
}

pub(super) fn conv(node: &Node) -> Result<Vec<Fact>, String> {
    let (x, weights) = (node.input(0)?, node.input(1)?);
    let (&[batch, channels, ref space @ ..], &[out, window, ref kernel @ ..]) =
        (&x.dims[..], &weights.dims[..])
    else {
        return Err("takes at least a batch and channels".into());
    };
    let group = group(node)?;
    if window.checked_mul(group) != Some(channels) || !out.is_multiple_of(group) {
        let groups = format!("{group} groups of {window} to {out} channels");
        return Err(format!("takes {groups} and gets {channels} channels"));
    }
    let mut dims = vec![batch, out];
    let windows = windows(node, space.len(), Some(kernel))?;
    for (&size, window) in space.iter().zip(&windows) {
        dims.push(match padding(node)? {
            Padding::Same => size.div_ceil(window.stride),
            Padding::Given => window.places(size)? / window.stride + 1,
        });
    }
    Ok(vec![node.gives(x.element, dims)?])
}

pub(super) fn conv_transpose(node: &Node) -> Result<Vec<Fact>, String> {
    let (x, weights) = (node.input(0)?, node.input(1)?);
    let (&[batch, channels, ref space @ ..], &[into, out, ref kernel @ ..]) =
        (&x.dims[..], &weights.dims[..])
    else {
        return Err("takes at least a batch and channels".into());
    };
    let group = group(node)?;
    let out = out.checked_mul(group).ok_or("has impossible groups")?;
    if into != channels || !channels.is_multiple_of(group) {
        return Err(format!("takes {into} channels in {group} groups and gets {channels}"));
    }
    let windows = windows(node, space.len(), Some(kernel))?;
    let added = one_for_each("output_padding", node.ints("output_padding"), 0, space.len())?;
    let asked = node.ints("output_shape").map(sizes).transpose()?;
    if asked.as_ref().is_some_and(|asked| asked.len() != space.len()) {
        return Err("asks for a shape of other axes".into());
    }
    let mut dims = vec![batch, out];
    for (axis, (&size, window)) in space.iter().zip(&windows).enumerate() {
        let full = || {
            let strides = size.checked_sub(1)?.checked_mul(window.stride)?;
            let full = strides.checked_add(window.extent)?.checked_add(added[axis])?;
            full.checked_sub(window.pads[0].checked_add(window.pads[1])?)
        };
        let size = match (&asked, padding(node)?) {
            (Some(asked), _) => Some(asked[axis]),
            (None, Padding::Same) => size.checked_mul(window.stride),
            (None, Padding::Given) => full(),
        };
        dims.push(size.ok_or_else(|| format!("does not fit {:?}", x.dims))?);
    }
    Ok(vec![node.gives(x.element, dims)?])
}

pub(super) fn pool(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let &[batch, channels, ref space @ ..] = &x.dims[..] else {
        return Err("takes at least a batch and channels".into());
    };
    let mut dims = vec![batch, channels];
    for (&size, window) in space.iter().zip(windows(node, space.len(), None)?) {
        dims.push(match (padding(node)?, node.int("ceil_mode", 0)) {
            (Padding::Same, _) => size.div_ceil(window.stride),
            (Padding::Given, 0) => window.places(size)? / window.stride + 1,
            (Padding::Given, _) => {
                let last = window.places(size)?.div_ceil(window.stride);
                // Engines disagree on a window that holds padding alone.
                if last.checked_mul(window.stride).is_none_or(|at| at >= size + window.pads[0]) {
                    return Err("has a window that begins behind the input".into());
                }
                last + 1
            }
        });
    }
    let mut outputs = vec![node.gives(x.element, dims.clone())?];
    if node.operator() == "MaxPool" {
        outputs.push(node.gives(Element::I64, dims)?);
    }
    Ok(outputs)
}

pub(super) fn global_pool(node: &Node) -> Result<Vec<Fact>, String> {
    let x = node.input(0)?;
    let one = |(axis, &size)| if axis < 2 { size } else { 1 };
    Ok(vec![node.gives(x.element, x.dims.iter().enumerate().map(one).collect())?])
}

impl Window {
    /// How far the window can be moved over an axis.
    fn places(&self, size: usize) -> Result<usize, String> {
        let padded = size.checked_add(self.pads[0]).and_then(|n| n.checked_add(self.pads[1]));
        let room = padded.and_then(|padded| padded.checked_sub(self.extent));
        room.ok_or_else(|| format!("has a window of {} over {size}", self.extent))
    }
}

/// The side lengths of a pooling window, or of a kernel.
pub(in super::super) fn kernel(node: &Node) -> Result<Vec<usize>, String> {
    sizes(node.ints("kernel_shape").ok_or("has no window")?)
}

fn windows(node: &Node, axes: usize, weights: Option<&[usize]>) -> Result<Vec<Window>, String> {
    let kernel = match weights {
        Some(weights) if node.ints("kernel_shape").is_none() => weights.to_vec(),
        _ => kernel(node)?,
    };
    if kernel.len() != axes || weights.is_some_and(|weights| weights != kernel) {
        return Err(format!("has a window of {kernel:?} over {axes} axes"));
    }
    let strides = one_for_each("strides", node.ints("strides"), 1, axes)?;
    let dilations = one_for_each("dilations", node.ints("dilations"), 1, axes)?;
    let pads = one_for_each("pads", node.ints("pads"), 0, 2 * axes)?;
    let window = |axis: usize| {
        let inner = kernel[axis].checked_sub(1)?.checked_mul(dilations[axis])?;
        let extent = inner.checked_add(1).filter(|_| strides[axis] > 0 && dilations[axis] > 0)?;
        Some(Window { extent, stride: strides[axis], pads: [pads[axis], pads[axes + axis]] })
    };
    let windows: Option<_> = (0..axes).map(window).collect();
    windows.ok_or_else(|| "has an impossible window".into())
}

fn one_for_each(
    name: &str,
    given: Option<&[i64]>,
    default: usize,
    count: usize,
) -> Result<Vec<usize>, String> {
    match given {
        None | Some([]) => Ok(vec![default; count]),
        Some(given) if given.len() == count => sizes(given),
        Some(given) => Err(format!("has {name} {given:?} where {count} belong")),
    }
}

fn padding(node: &Node) -> Result<Padding, String> {
    match node.text("auto_pad") {
        b"" | b"NOTSET" => Ok(Padding::Given),
        b"VALID" if node.ints("pads").is_none_or(|pads| pads.iter().all(|&pad| pad == 0)) => {
            Ok(Padding::Given)
        }
        b"SAME_UPPER" | b"SAME_LOWER" => Ok(Padding::Same),
        other => Err(format!("pads by `{}`", String::from_utf8_lossy(other))),
    }
}

fn group(node: &Node) -> Result<usize, String> {
    let group = node.int("group", 1);
    usize::try_from(group).ok().filter(|&g| g > 0).ok_or(format!("has {group} groups"))
}
