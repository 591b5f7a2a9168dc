//! Convolutions and transposed ones.

use super::super::kernels::{Grid, Run};
use super::super::pack::{Form, Layer, Panels, Weights};
use super::super::step::{Affine, Part};
use super::super::view::{Picture, View};
use super::Planner;
use super::affine::{scaled, shifted};
use super::axis::{Axis, Window};
use crate::graph::{Node, NodeProto};

/// The longest stride of a transposed convolution: each of its phases has its own packed weights.
const LONGEST_STRIDE: usize = 64;
/// The most zeros beside an image, so that a small graph asks for no large memory.
const FARTHEST: usize = 1024;
/// Numbers that a layer reads and writes while they are in the cache for each of its phases.
const STRIP: usize = 64 * 1024;

/// A convolution or a transposed one.
struct Windowed {
    kernel: [usize; 2],
    inputs: usize,
    outputs: usize,
    rows: Vec<Axis>,
    columns: Vec<Axis>,
    /// Whether vectors of positions pay, and with them moving the input to planes.
    long_rows: bool,
}

impl Windowed {
    /// Leaves out the positions whose outputs are cut away: those before the first that is kept, and those
    /// behind an image of `sizes`.
    fn keep(&mut self, kept: Option<[usize; 2]>, sizes: &[usize]) {
        let Some([top, left]) = kept else { return };
        self.rows = self.rows.iter().filter_map(|axis| axis.part(top, sizes[0])).collect();
        self.columns = self.columns.iter().filter_map(|axis| axis.part(left, sizes[1])).collect();
    }
}

impl<'a> Planner<'a> {
    /// The zeros that a window reads around its input.
    pub(super) fn reach(&self, proto: &NodeProto, node: &Node) -> Result<[usize; 4], String> {
        let Windowed { rows, columns, .. } = self.windows(proto, node)?;
        let sizes = &self.facts[&proto.input[0]].dims[2..];
        let most = |axes: &[Axis], size: usize| {
            let halos = axes.iter().map(|axis| axis.halo(size));
            halos.fold([0, 0], |most, halo| [most[0].max(halo[0]), most[1].max(halo[1])])
        };
        let ([above, below], [left, right]) = (most(&rows, sizes[0]), most(&columns, sizes[1]));
        let halo = [above, left, below, right];
        match halo.iter().all(|&side| side <= FARTHEST) {
            true => Ok(halo),
            false => Err(format!("reaches {halo:?} pixels over the edge")),
        }
    }

    fn windows(&self, proto: &NodeProto, node: &Node) -> Result<Windowed, String> {
        if node.int("group", 1) != 1 {
            return Err("has groups of channels".into());
        }
        let [input, weight, output] = [&proto.input[0], &proto.input[1], &proto.output[0]]
            .map(|name| &self.facts[name].dims[..]);
        let (&[_, _, h, w], &[first, second, kh, kw], &[_, _, oh, ow]) = (input, weight, output)
        else {
            return Err("has no images".into());
        };
        let transposed = node.operator() == "ConvTranspose";
        let [vertical, horizontal] = Window::of(node, [kh, kw], [h, w], [oh, ow])?;
        if transposed && vertical.stride.max(horizontal.stride) > LONGEST_STRIDE {
            return Err(format!("has a stride above {LONGEST_STRIDE}"));
        }
        let axes = |window: Window, count| match transposed {
            true => window.transposed(count),
            false => window.convolution(count),
        };
        let (inputs, outputs) = if transposed { (first, second) } else { (second, first) };
        let (rows, mut columns) = (axes(vertical, oh), axes(horizontal, ow));
        let long_rows = self.has_long_rows(outputs, &rows, &columns);
        if long_rows {
            // Phases lie side by side: what is behind the last output is computed, and not kept.
            let most = columns.iter().map(|axis| axis.count).max().unwrap_or(0);
            columns.iter_mut().for_each(|axis| axis.count = most);
        }
        Ok(Windowed { kernel: [kh, kw], inputs, outputs, rows, columns, long_rows })
    }

    /// Whether vectors of positions pay: for few outputs by several phases or channels, in consecutive rows
    /// with little between them.
    fn has_long_rows(&self, outputs: usize, rows: &[Axis], columns: &[Axis]) -> bool {
        let lanes = self.registers.lanes;
        let follow = |axis: &Axis| axis.step == 1;
        lanes > 1
            && outputs <= 4
            && outputs * rows.len() * columns.len() >= 6
            && columns.len() <= 2
            && rows.iter().all(|axis| follow(axis) && axis.count * columns[0].count >= 8 * lanes)
            && columns.iter().all(|axis| follow(axis) && axis.count >= 3 * axis.taps.len())
    }

    pub(super) fn windowed(&mut self, proto: &'a NodeProto, node: &Node) -> Result<(), String> {
        let mut windows = self.windows(proto, node)?;
        let (inputs, outputs) = (windows.inputs, windows.outputs);
        let long_rows = windows.long_rows;
        let stored = self.constants.input(proto, 1)?.clone();
        let transposed = node.operator() == "ConvTranspose";
        let axis = usize::from(transposed);
        let integers = self.integers(&proto.input[0], &stored, axis).filter(|_| !long_rows);
        let interleaves = integers.is_some() && !transposed;
        let following = self.follow(proto, outputs, interleaves, !long_rows);
        let side = following.side;
        windows.keep(following.kept, &self.facts[following.output].dims[2..]);
        let input = self.window_input(&proto.input[0], self.reach(proto, node)?, long_rows)?;
        let bias = self.bias(proto, 2, outputs)?;
        let [kh, kw] = windows.kernel;
        let weights = integers.map_or(&stored.values, |(weights, _)| &weights.integers);
        let weights = weights.as_standard_layout();
        let taps = kh * kw;
        let kernel = Kernel {
            weights: weights.as_slice().ok_or("has weights that are not in order")?,
            strides: match transposed {
                true => [taps, outputs * taps, kw],
                false => [inputs * taps, taps, kw],
            },
            scale: &scaled(&following.scale, integers),
            bias: &shifted(&bias, &following),
        };

        let source = input.picture().ok_or("has an input that is no image")?;
        let form = match integers {
            Some((_, rounding)) => Form::Integers { rounding, adjacent: outputs / (side * side) },
            None if long_rows => Form::Rows,
            None => Form::Plain,
        };
        let phases =
            windows.rows.iter().flat_map(|rows| windows.columns.iter().map(move |c| (rows, c)));
        let mut packed = vec![];
        for (rows, columns) in phases {
            let sum = Sum::of(&input, rows, columns);
            let panels = Panels::pack(kernel.layer(&sum, form), self.registers);
            packed.push((panels, sum, rows, columns));
        }
        let scatters = packed.iter().all(|(panels, ..)| panels.scatters());
        let output = self.produce_beside(following.output, &[&input], scatters)?;
        let target = output.picture().ok_or("gives no image")?;
        let ([oc, oh, ow], [channel, row, pixel]) = (target.dims, target.strides);
        let parts = packed.into_iter().map(|(mut panels, sum, rows, columns)| {
            if let Weights::Integers(panels) = &mut panels.weights {
                panels.interleave(side, outputs / (side * side), [row, pixel]);
            }
            let [_, down, right] = source.strides;
            let grid = Grid {
                rows: rows.count,
                columns: columns.count,
                width: ow,
                input: [sum.origin, rows.step * down, columns.step * right],
                output: [
                    output.offset + rows.first * row + columns.first * pixel,
                    rows.stride * side * row,
                    columns.stride * side * pixel,
                ],
                channel,
            };
            let (first, stride) = (rows.first, rows.stride * side);
            Part { panels, runs: sum.runs, rows: rows.count, first, stride, grid }
        });
        let stride = node.ints("strides").and_then(|s| s.first().copied()).unwrap_or(1);
        let [c, h, w] = source.dims;
        let kind = if transposed { "deconv" } else { "conv" };
        let name = format!("{kind} {kh}x{kw}/{stride} {c}x{h}x{w} -> {oc}x{oh}x{ow}");
        let affine = Affine {
            parts: parts.collect(),
            activations: following.activations.clone(),
            input: input.value,
            output: output.value,
            first: output.offset,
            rows: oh,
            row,
            strip: strip(windows.rows.len() * windows.columns.len(), oh, source, target),
            beside: if long_rows { windows.columns.len() } else { 1 },
            planes: if channel == 1 { 1 } else { oc },
            plane: channel,
            dense: false,
        };
        self.views.insert(following.output, output);
        self.affine(name, &following, affine);
        Ok(())
    }
}

/// The weights of a convolution, and what is added behind them.
struct Kernel<'a> {
    weights: &'a [f32],
    /// From an output's weights to the next one's, from an input's, and from a row of taps to the next.
    strides: [usize; 3],
    scale: &'a [f32],
    bias: &'a [f32],
}

impl<'a> Kernel<'a> {
    fn layer(&self, sum: &'a Sum, form: Form) -> Layer<'a> {
        let [by_output, by_input, by_row] = self.strides;
        let place = |[channel, y, x]: &[usize; 3]| channel * by_input + y * by_row + x;
        Layer {
            weights: self.weights,
            outputs: (0..self.scale.len()).map(|output| output * by_output).collect(),
            inputs: sum.terms.iter().map(place).collect(),
            scale: self.scale,
            bias: self.bias,
            runs: &sum.runs,
            form,
        }
    }
}

/// What the sums at a grid's positions are made of.
struct Sum {
    /// The place of the first position's first input.
    origin: usize,
    /// The stretches of inputs from there on.
    runs: Vec<Run>,
    /// For every input, its channel and the kernel's row and column.
    terms: Vec<[usize; 3]>,
}

impl Sum {
    fn of(input: &View, rows: &Axis, columns: &Axis) -> Self {
        let picture = input.picture().expect("a window's input is an image");
        let [plane, row, pixel] = picture.strides;
        let least = |axis: &Axis| axis.taps.first().map_or(0, |(_, offset)| *offset);
        let (top, left) = (least(rows), least(columns));
        let origin = input.offset as isize + top * row as isize + left * pixel as isize;
        let mut terms = vec![];
        for channel in 0..picture.dims[0] {
            for (y, row_offset) in &rows.taps {
                for (x, column_offset) in &columns.taps {
                    let offset = channel * plane
                        + (row_offset - top) as usize * row
                        + (column_offset - left) as usize * pixel;
                    terms.push((offset, [channel, *y, *x]));
                }
            }
        }
        // In the order of memory, whichever way the image lies.
        terms.sort_unstable();
        let mut runs: Vec<Run> = vec![];
        for (offset, _) in &terms {
            match runs.last_mut() {
                Some(run) if run.offset + run.len == *offset => run.len += 1,
                _ => runs.push(Run { offset: *offset, len: 1 }),
            }
        }
        let terms = terms.into_iter().map(|(_, term)| term).collect();
        Self { origin: origin as usize, runs, terms }
    }
}

/// Output rows whose numbers, with those that they are made of, stay in the cache for all phases of a layer; all
/// rows where there is one phase.
fn strip(phases: usize, rows: usize, input: Picture, output: Picture) -> usize {
    let numbers = |picture: Picture| picture.dims.iter().product::<usize>();
    let row = (numbers(input) + numbers(output)) / rows.max(1);
    match phases {
        1 => rows.max(1),
        _ => (STRIP / row.max(1)).clamp(1, rows.max(1)),
    }
}
