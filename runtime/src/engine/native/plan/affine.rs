//! Layers with weights.

use super::super::constant::{Constant, Quantized};
use super::super::kernels::{Activation, Grid, Rounding, Run};
use super::super::pack::{Layer, Panels, Weights};
use super::super::step::{Affine, Op, Part};
use super::super::view::{Picture, View};
use super::Planner;
use super::axis::{Axis, Window};
use super::follow::Following;
use crate::graph::{Node, NodeProto};

/// The fewest outputs, and inputs of a sum, that are worth computing in integers.
const LEAST: usize = 16;
/// The most inputs of a sum of 9 bits by 8 that surely fits 32.
const DEEPEST: usize = 1 << 16;

/// The most zeros beside an image, so that a small graph asks for no large memory.
const FARTHEST: usize = 1024;
/// Numbers that a layer reads and writes while they are in the cache for each of its phases.
const STRIP: usize = 64 * 1024;
/// Weights of a part of a dense layer, at least: a thread takes a part at a time.
const PART: usize = 64 * 1024;

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
        let windows = self.windows(proto, node)?;
        let (inputs, outputs) = (windows.inputs, windows.outputs);
        let long_rows = windows.long_rows;
        let stored = self.constants.input(proto, 1)?.clone();
        let transposed = node.operator() == "ConvTranspose";
        let axis = usize::from(transposed);
        let integers = self.integers(&proto.input[0], &stored, axis).filter(|_| !long_rows);
        let following = self.follow(proto, outputs, integers.is_some() && !transposed);
        let side = following.side;
        let input = self.window_input(&proto.input[0], self.reach(proto, node)?, long_rows)?;
        let bias = self.bias(proto, 2, outputs)?;
        let [kh, kw] = windows.kernel;
        let weights = integers.map_or(&stored.values, |(weights, _)| &weights.integers);
        let weights = weights.as_standard_layout();
        let weights = weights.as_slice().ok_or("has weights that are not in order")?;
        let scale = scaled(&following.scale, integers);
        // From an output's weights to the next one's, and likewise for an input's.
        let taps = kh * kw;
        let [by_output, by_input] = match transposed {
            true => [taps, outputs * taps],
            false => [inputs * taps, taps],
        };
        let firsts: Vec<usize> = (0..outputs).map(|output| output * by_output).collect();
        let bias = shifted(&bias, &following);

        let source = input.picture().ok_or("has an input that is no image")?;
        let mut packed = vec![];
        for rows in &windows.rows {
            for columns in &windows.columns {
                let Sum { origin, runs, terms } = Sum::of(&input, rows, columns);
                let place = |[channel, y, x]: &[usize; 3]| channel * by_input + y * kw + x;
                let layer = Layer {
                    weights,
                    outputs: &firsts,
                    inputs: &terms.iter().map(place).collect::<Vec<_>>(),
                    scale: &scale,
                    bias: bias.clone(),
                    runs: &runs,
                    half: false,
                    rounding: integers.map(|(_, rounding)| rounding),
                    adjacent: outputs / (side * side),
                    rows: long_rows,
                };
                packed.push((Panels::pack(layer, self.registers), origin, runs, rows, columns));
            }
        }
        let scatters = packed.iter().all(|(panels, ..)| panels.scatters());
        let output = self.produce_beside(following.output, &[&input], scatters)?;
        let target = output.picture().ok_or("gives no image")?;
        let ([oc, oh, ow], [channel, row, pixel]) = (target.dims, target.strides);
        for (panels, ..) in &mut packed {
            if let Weights::Integers(panels) = &mut panels.weights {
                panels.interleave(side, outputs / (side * side), [row, pixel]);
            }
        }
        let parts = packed.into_iter().map(|(panels, origin, runs, rows, columns)| Part {
            panels,
            runs,
            rows: rows.count,
            first: rows.first,
            stride: rows.stride * side,
            grid: Grid {
                rows: rows.count,
                columns: columns.count,
                width: ow,
                input: [origin, rows.step * source.strides[1], columns.step * source.strides[2]],
                output: [
                    output.offset + rows.first * row + columns.first * pixel,
                    rows.stride * side * row,
                    columns.stride * side * pixel,
                ],
                channel,
            },
        });
        let parts = parts.collect();
        let sides = if transposed { source.dims } else { target.dims };
        let other = if transposed { outputs } else { inputs };
        let flops = 2 * sides.iter().product::<usize>() * other * kh * kw;
        let stride = node.ints("strides").and_then(|s| s.first().copied()).unwrap_or(1);
        let [c, h, w] = source.dims;
        let kind = if transposed { "deconv" } else { "conv" };
        let name = format!("{kind} {kh}x{kw}/{stride} {c}x{h}x{w} -> {oc}x{oh}x{ow}");
        let affine = Affine {
            parts,
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
        self.affine(name, &following, affine, flops);
        Ok(())
    }

    /// `x W + b`, or ONNX's `alpha A B + beta C` with a stored matrix on the right.
    pub(super) fn dense(&mut self, proto: &'a NodeProto, node: &Node) -> Result<(), String> {
        let stored = self.constants.input(proto, 1)?.clone();
        let by_columns = node.int("transB", 0) != 0;
        let &[first, second] = stored.values.shape() else {
            return Err(format!("multiplies by {:?}", stored.values.shape()));
        };
        if node.int("transA", 0) != 0 || self.facts[&proto.input[0]].dims.len() != 2 {
            return Err("multiplies no rows".into());
        }
        let (inputs, outputs) = if by_columns { (second, first) } else { (first, second) };
        let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
        let following = self.follow(proto, outputs, false);
        let input = self.dense_input(&proto.input[0])?;
        let bias = self.bias(proto, 2, outputs)?;
        let output = self.produce_beside(following.output, &[&input], false)?;
        let places = output.places().ok_or("gives numbers that do not lie together")?;
        let order = inverse(&input.places().ok_or("takes numbers that do not lie together")?);
        let targets = inverse(&places);
        let integers = self.integers(&proto.input[0], &stored, usize::from(!by_columns));
        let weights = integers.map_or(&stored.values, |(weights, _)| &weights.integers);
        let weights = weights.as_standard_layout();
        let weights = weights.as_slice().ok_or("has weights that are not in order")?;
        let [by_output, by_input] = if by_columns { [inputs, 1] } else { [1, outputs] };
        let firsts: Vec<usize> = targets.iter().map(|output| output * by_output).collect();
        let scale = scaled(&following.scale, integers);
        let scale: Vec<f32> = targets.iter().map(|&output| scale[output] * alpha).collect();
        let bias: Vec<f32> = bias.iter().map(|bias| bias * beta).collect();
        let bias = shifted(&bias, &following);
        let bias: Vec<f32> = targets.iter().map(|&output| bias[output]).collect();
        let runs = vec![Run { offset: 0, len: inputs }];
        let order: Vec<usize> = order.iter().map(|input| input * by_input).collect();
        let half = stored.half && scale.iter().all(|&scale| scale == 1.0);
        let width = (PART / inputs.max(1)).next_multiple_of(2 * self.registers.lanes);
        let count = (outputs / width).max(1);
        let parts = (0..count).map(|part| {
            let first = part * width;
            let end = if part + 1 == count { outputs } else { first + width };
            let layer = Layer {
                weights,
                outputs: &firsts[first..end],
                inputs: &order,
                scale: &scale[first..end],
                bias: bias[first..end].to_vec(),
                runs: &runs,
                half,
                rounding: integers.map(|(_, rounding)| rounding),
                adjacent: end - first,
                rows: false,
            };
            let panels = Panels::pack(layer, self.registers);
            let grid = Grid {
                rows: 1,
                columns: 1,
                width: 1,
                input: [input.offset, self.values[input.value].len, 0],
                output: [output.offset + first, self.values[output.value].len, 0],
                channel: 1,
            };
            Part { panels, runs: runs.clone(), rows: 1, first: 0, stride: 1, grid }
        });
        let affine = Affine {
            parts: parts.collect(),
            activations: following.activations.clone(),
            input: input.value,
            output: output.value,
            first: 0,
            rows: 1,
            row: 0,
            strip: 1,
            beside: 1,
            planes: 1,
            plane: 1,
            dense: true,
        };
        self.views.insert(following.output, output);
        self.affine(
            format!("dense {inputs} -> {outputs}"),
            &following,
            affine,
            2 * inputs * outputs,
        );
        Ok(())
    }

    fn affine(&mut self, name: String, following: &Following, affine: Affine, flops: usize) {
        let rounds = |part: &Part| matches!(part.panels.weights, Weights::Integers(_));
        let integers = if affine.parts.iter().any(rounds) { " int8" } else { "" };
        let activations = following.activations.iter().map(|activation| match activation {
            Activation::Round(_) => " round".to_owned(),
            activation => format!(" {activation:?}").to_lowercase(),
        });
        let name = [name, integers.to_owned()].into_iter().chain(activations).collect();
        self.step(name, Op::Affine(affine), flops as u64);
    }

    /// A layer's weights as integers and the rounding of its input, where sums of integers fit 32 bits and
    /// fill their vectors. `axis` is that of the outputs.
    fn integers<'c>(
        &self,
        input: &str,
        stored: &'c Constant,
        axis: usize,
    ) -> Option<(&'c Quantized, Rounding)> {
        let rounding = *self.rounded.get(input)?;
        let quantized = stored.quantized.as_ref()?;
        let outputs = stored.values.shape()[axis];
        let depth = stored.values.len() / outputs.max(1);
        let fits = outputs >= LEAST && (LEAST..=DEEPEST).contains(&depth);
        let by_output = quantized.scale.len() == 1 || quantized.axis == axis;
        (fits && by_output).then_some((quantized, rounding))
    }

    fn bias(&self, proto: &NodeProto, place: usize, outputs: usize) -> Result<Vec<f32>, String> {
        match proto.input.get(place).filter(|name| !name.is_empty()) {
            None => Ok(vec![0.0; outputs]),
            Some(_) => {
                let bias = &self.constants.input(proto, place)?.values;
                match bias.len() {
                    1 => Ok(vec![bias.iter().copied().sum(); outputs]),
                    n if n == outputs => Ok(bias.iter().copied().collect()),
                    n => Err(format!("adds {n} numbers to {outputs}")),
                }
            }
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

/// What follows a layer's sums of integers, or of plain numbers.
fn scaled(scale: &[f32], integers: Option<(&Quantized, Rounding)>) -> Vec<f32> {
    let Some((Quantized { scale: units, .. }, _)) = integers else { return scale.to_vec() };
    let unit = |output: usize| units[output.min(units.len() - 1)];
    scale.iter().enumerate().map(|(output, scale)| scale * unit(output)).collect()
}

/// Biases behind what follows a layer.
fn shifted(bias: &[f32], following: &Following) -> Vec<f32> {
    let scaled = bias.iter().zip(&following.scale).map(|(bias, scale)| bias * scale);
    scaled.zip(&following.shift).map(|(bias, shift)| bias + shift).collect()
}

/// The logical place of what lies at every place of memory.
fn inverse(places: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; places.len()];
    for (logical, &place) in places.iter().enumerate() {
        inverse[place] = logical;
    }
    inverse
}
