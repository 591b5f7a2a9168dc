//! Pooling.

use super::super::step::{Op, Pool};
use super::Planner;
use super::axis::Window;
use crate::graph::{Node, NodeProto};

impl<'a> Planner<'a> {
    /// The largest number, or the mean, of a window; what lies outside the image does not count.
    pub(super) fn pool(&mut self, proto: &'a NodeProto, node: &Node) -> Result<(), String> {
        let dims = self.dims(&proto.output[0])?;
        let view = self.window_input(&proto.input[0], [0; 4], false)?;
        let from = view.picture().ok_or("pools what is no image")?;
        let &[_, oh, ow] = &dims[..] else { return Err("pools what is no image".into()) };
        let [_, h, w] = from.dims;
        let kernel = match (node.operator(), node.ints("kernel_shape")) {
            ("GlobalAveragePool", _) => [h, w],
            (_, Some(&[kh, kw])) if kh > 0 && kw > 0 => [kh as usize, kw as usize],
            _ => return Err("has no window over an image".into()),
        };
        if node.ints("dilations").is_some_and(|d| d.iter().any(|&d| d != 1)) {
            return Err("has a window with gaps".into());
        }
        let windows = Window::of(node, kernel, [h, w], [oh, ow])?;
        let before = windows.map(|window| window.before);
        let fits = |axis: usize, size: usize, count: usize| {
            (count - 1) * windows[axis].stride + kernel[axis] <= before[axis] + size
        };
        let mean = node.operator() != "MaxPool";
        let whole = before == [0, 0] && fits(0, h, oh) && fits(1, w, ow);
        if mean && !whole && node.int("count_include_pad", 0) != 0 {
            return Err("counts zeros around an image".into());
        }
        if proto.output.get(1).is_some_and(|name| !name.is_empty()) {
            return Err("gives places".into());
        }
        let output = self.produce_beside(&proto.output[0], &[&view], true)?;
        let to = output.picture().ok_or("gives no image")?;
        let strides = windows.map(|window| window.stride);
        let [channels, ..] = from.dims;
        let kind = if mean { "mean" } else { "max" };
        let name = format!(
            "{kind} {}x{}/{} {channels}x{h}x{w} -> {channels}x{oh}x{ow}",
            kernel[0], kernel[1], strides[0]
        );
        let flops = channels * oh * ow * kernel[0] * kernel[1];
        let pool = Pool {
            mean,
            kernel,
            strides,
            before,
            input: (view.value, view.offset, from),
            output: (output.value, output.offset, to),
        };
        self.step(name, Op::Pool(pool), flops as u64);
        self.views.insert(&proto.output[0], output);
        Ok(())
    }
}
