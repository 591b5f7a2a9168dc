//! From the blocks of a network to ONNX nodes.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Param;
use burn::nn::conv::ConvTranspose2d;
use burn::tensor::Tensor;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};
use vae_models::{Activation, Block, Layer, Network, PoolKind, Shape, ShapeError};

use crate::phases::{LEAST_CHANNELS, Phases, phases};
use crate::proto::{float, floats_tensor, int, ints, ints_tensor, string};
use crate::tensors::values;

/// A tensor of a graph: its name and the shape of one example.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    pub(crate) name: String,
    pub(crate) shape: Shape,
}

/// How transposed convolutions are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Deconvolution {
    /// As ONNX's own operator, for which engines have floating-point kernels only.
    #[default]
    Transposed,
    /// As a convolution whose channels are interleaved, where there are channels enough; see [`phases`].
    Phases,
}

/// Nodes and constants in the order in which they run.
#[derive(Default)]
pub(crate) struct Nodes {
    deconvolution: Deconvolution,
    pub(crate) nodes: Vec<NodeProto>,
    pub(crate) constants: Vec<TensorProto>,
    /// Remembered tensors by the name of their skip.
    pub(crate) skips: BTreeMap<String, Wire>,
    /// What the layers with weights give, in order.
    pub(crate) layers: Vec<Wire>,
    outputs: BTreeSet<String>,
}

impl Nodes {
    pub(crate) fn new(deconvolution: Deconvolution) -> Self {
        Self { deconvolution, ..Self::default() }
    }

    /// Appends a network that reads the tensor `input`, and gives the tensor that it leaves.
    ///
    /// Tensors are named `{prefix}.{block}.{operator}`, with blocks counted from 0.
    pub(crate) fn network(
        &mut self,
        prefix: &str,
        network: &Network,
        input: Wire,
    ) -> Result<Wire, ShapeError> {
        let mut shapes = self.skips.iter().map(|(k, w)| (k.clone(), w.shape)).collect();
        let shapes = network.config().shapes(prefix, input.shape, &mut shapes)?;
        let mut wire = input;
        for (i, ((block, layer), shape)) in network.blocks().zip(shapes).enumerate() {
            let mut scope = Scope { nodes: self, prefix: format!("{prefix}.{i}") };
            let name = scope.block(block, layer, &wire, shape);
            wire = Wire { name, shape };
            self.layers.extend(layer.map(|_| wire.clone()));
        }
        Ok(wire)
    }

    /// Appends an elementwise function.
    pub(crate) fn activation(&mut self, prefix: &str, activation: Activation, x: String) -> String {
        Scope { nodes: self, prefix: prefix.to_owned() }.activation(activation, x)
    }

    /// Gives a tensor the name of a graph's output: by renaming it where it is a node's and no
    /// output already, by an `Identity` elsewhere.
    pub(crate) fn output(&mut self, tensor: &str, name: &str) {
        let made_here = self.nodes.iter().any(|n| n.output[0] == tensor);
        if made_here && !self.outputs.contains(tensor) {
            let names = self.nodes.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output));
            names.filter(|n| *n == tensor).for_each(|n| name.clone_into(n));
            let wires = self.skips.values_mut().chain(&mut self.layers);
            wires.filter(|w| w.name == tensor).for_each(|w| name.clone_into(&mut w.name));
        } else {
            self.nodes.push(NodeProto {
                op_type: "Identity".into(),
                name: format!("{name}.identity"),
                input: vec![tensor.into()],
                output: vec![name.into()],
                ..NodeProto::default()
            });
        }
        self.outputs.insert(name.to_owned());
    }
}

/// The place in a graph where one block's nodes and constants go.
struct Scope<'a> {
    nodes: &'a mut Nodes,
    prefix: String,
}

impl Scope<'_> {
    fn block(&mut self, block: &Block, layer: Option<&Layer>, x: &Wire, output: Shape) -> String {
        let input = x.name.clone();
        let y = match (block, layer) {
            (Block::Dense { .. }, Some(Layer::Dense(dense))) => {
                self.affine("Gemm", input, &dense.weight, &dense.bias, vec![])
            }
            (&Block::Conv { kernel, stride, padding, .. }, Some(Layer::Conv(conv))) => {
                let window = window(kernel, stride, padding);
                self.affine("Conv", input, &conv.weight, &conv.bias, window)
            }
            (&Block::Deconv { stride, padding, activation, .. }, Some(Layer::Deconv(deconv)))
                if self.nodes.deconvolution == Deconvolution::Phases && is_wide(deconv) =>
            {
                return self.deconv_by_phases(deconv, [stride, padding], activation, x, output);
            }
            (
                &Block::Deconv { kernel, stride, padding, output_padding, .. },
                Some(Layer::Deconv(deconv)),
            ) => {
                let mut window = window(kernel, stride, padding);
                window.push(ints("output_padding", &[output_padding; 2]));
                self.affine("ConvTranspose", input, &deconv.weight, &deconv.bias, window)
            }
            (&Block::Pool { kind, kernel, stride }, None) => {
                let operator = match kind {
                    PoolKind::Max => "MaxPool",
                    PoolKind::Average => "AveragePool",
                };
                self.node(operator, &[input], window(kernel, stride, 0))
            }
            (&Block::Upsample { scale }, None) => {
                let scale = scale as f32;
                let scales = self.floats("scales", &[4], &[1.0, 1.0, scale, scale]);
                let attributes = vec![
                    string("coordinate_transformation_mode", "asymmetric"),
                    string("mode", "nearest"),
                    string("nearest_mode", "floor"),
                ];
                self.node("Resize", &[input, String::new(), scales], attributes)
            }
            (Block::Flatten, None) => self.node("Flatten", &[input], vec![int("axis", 1)]),
            (&Block::Unflatten { channels, height, width }, None) => {
                // A zero keeps the size along its axis, the batch's.
                let shape = self.ints("shape", &[0, channels, height, width]);
                self.node("Reshape", &[input, shape], vec![])
            }
            (&Block::Crop { height, width }, None) => {
                let &[_, h, w] = x.shape.dims() else { unreachable!("the shapes were checked") };
                let (top, left) = ((h - height) / 2, (w - width) / 2);
                self.slice(input, [top, left], [height, width])
            }
            (Block::Tap { skip }, None) => {
                self.nodes.skips.insert(skip.clone(), x.clone());
                input
            }
            (Block::Join { skip }, None) => {
                let skip = self.nodes.skips[skip].clone();
                let skip = self.pad_to(output, skip);
                self.node("Concat", &[input, skip], vec![int("axis", 1)])
            }
            (block, layer) => unreachable!("{layer:?} are not the weights of {block:?}"),
        };
        self.activation(block.activation(), y)
    }

    fn activation(&mut self, activation: Activation, x: String) -> String {
        match activation {
            Activation::Identity => x,
            Activation::Relu => self.node("Relu", &[x], vec![]),
            Activation::LeakyRelu(slope) => {
                self.node("LeakyRelu", &[x], vec![float("alpha", slope)])
            }
            Activation::Sigmoid => self.node("Sigmoid", &[x], vec![]),
            Activation::Silu => {
                let gate = self.node("Sigmoid", std::slice::from_ref(&x), vec![]);
                self.node("Mul", &[x, gate], vec![])
            }
        }
    }

    /// A transposed convolution with its activation, which stands before the interleaving: a fused
    /// activation costs nothing there.
    fn deconv_by_phases(
        &mut self,
        deconv: &ConvTranspose2d,
        [stride, padding]: [usize; 2],
        activation: Activation,
        x: &Wire,
        output: Shape,
    ) -> String {
        let (&[_, h, w], &[channels, rows, columns]) = (x.shape.dims(), output.dims()) else {
            unreachable!("the shapes were checked");
        };
        let weight = deconv.weight.val();
        let [inputs, _, taps, _] = weight.dims();
        let phases = phases(taps, stride, padding);
        let Phases { kernel, before, after, .. } = phases;
        // Zeros after the last row, so that every row of the output's grid is reached.
        let end =
            |size: usize, wanted: usize| (wanted.div_ceil(stride) + after).saturating_sub(size);
        let pads = [before, before, end(h, rows), end(w, columns)];
        let bias = deconv.bias.as_ref();
        let bias = bias.map(|bias| self.floats("bias", &[channels], &values(bias.val())));
        let (weights, biases) = if stride == 1 && kernel == taps {
            // The one phase is the kernel, turned around.
            let turned = weight.swap_dims(0, 1).flip([2, 3]);
            (self.floats("weight", &turned.dims(), &values(turned)), bias)
        } else {
            let taps = self.floats("weight", &weight.dims(), &values(weight));
            let sorted = self.sorted(taps, [inputs, channels], stride, &phases);
            let each = |bias| vec![bias; stride * stride];
            let axis = vec![int("axis", 0)];
            (sorted, bias.map(|bias| self.named("biases", "Concat", &each(bias), axis)))
        };
        let input: Vec<String> = [x.name.clone(), weights].into_iter().chain(biases).collect();
        let window =
            vec![ints("kernel_shape", &[kernel; 2]), ints("strides", &[1; 2]), ints("pads", &pads)];
        let y = self.node("Conv", &input, window);
        let mut y = self.activation(activation, y);
        if stride > 1 {
            let attributes = vec![int("blocksize", stride), string("mode", "DCR")];
            y = self.node("DepthToSpace", &[y], attributes);
        }
        let grid = |size: usize, end: usize| stride * (size + before + end + 1 - kernel);
        if [grid(h, pads[2]), grid(w, pads[3])] == [rows, columns] {
            return y;
        }
        self.slice(y, [0, 0], [rows, columns])
    }

    /// Taps `[in, out, k, k]` as a convolution's weight: `[stride * stride * out, in, kernel, kernel]`,
    /// the phases in the order of `DepthToSpace`'s mode `DCR`: row, column, channel.
    fn sorted(
        &mut self,
        taps: String,
        [inputs, outputs]: [usize; 2],
        stride: usize,
        phases: &Phases,
    ) -> String {
        let &Phases { kernel, zeros: [before, after], .. } = phases;
        let pads = self.ints("zeros", &[0, 0, before, before, 0, 0, after, after]);
        let padded = self.named("padded", "Pad", &[taps, pads], vec![]);
        let shape = self.ints("split", &[inputs, outputs, kernel, stride, kernel, stride]);
        let split = self.named("phased", "Reshape", &[padded, shape], vec![]);
        let order = vec![ints("perm", &[3, 5, 1, 0, 2, 4])];
        let phased = self.named("ordered", "Transpose", &[split], order);
        let back = [-1, -1];
        let before_all = [-(kernel as i64) - 1; 2];
        let [starts, ends, axes, steps] =
            [("last", back), ("first", before_all), ("sides", [4, 5]), ("back", back)]
                .map(|(name, values)| self.constant(name, &values));
        let turned = [phased, starts, ends, axes, steps];
        let turned = self.named("turned", "Slice", &turned, vec![]);
        let shape = self.ints("sorted", &[stride * stride * outputs, inputs, kernel, kernel]);
        self.named("weights", "Reshape", &[turned, shape], vec![])
    }

    fn slice(&mut self, x: String, from: [usize; 2], size: [usize; 2]) -> String {
        let starts = self.ints("starts", &from);
        let ends = self.ints("ends", &[from[0] + size[0], from[1] + size[1]]);
        let axes = self.ints("axes", &[2, 3]);
        self.node("Slice", &[x, starts, ends, axes], vec![])
    }

    /// Zeros around a skip's centre until it has the height and width of `output`.
    fn pad_to(&mut self, output: Shape, skip: Wire) -> String {
        let (&[_, h, w], &[_, skip_h, skip_w]) = (output.dims(), skip.shape.dims()) else {
            unreachable!("the shapes were checked");
        };
        let (rows, columns) = (h - skip_h, w - skip_w);
        if (rows, columns) == (0, 0) {
            return skip.name;
        }
        let (top, left) = (rows / 2, columns / 2);
        let pads = self.ints("pads", &[0, 0, top, left, 0, 0, rows - top, columns - left]);
        self.node("Pad", &[skip.name, pads], vec![string("mode", "constant")])
    }

    fn affine<const D: usize>(
        &mut self,
        operator: &str,
        input: String,
        weight: &Param<Tensor<D>>,
        bias: &Option<Param<Tensor<1>>>,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let weight = weight.val();
        let mut inputs = vec![input, self.floats("weight", &weight.dims(), &values(weight))];
        if let Some(bias) = bias {
            let bias = bias.val();
            inputs.push(self.floats("bias", &bias.dims(), &values(bias)));
        }
        self.node(operator, &inputs, attributes)
    }

    fn node(
        &mut self,
        operator: &str,
        inputs: &[String],
        attribute: Vec<AttributeProto>,
    ) -> String {
        self.named(&operator.to_lowercase(), operator, inputs, attribute)
    }

    fn named(
        &mut self,
        name: &str,
        operator: &str,
        inputs: &[String],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let name = format!("{}.{name}", self.prefix);
        self.nodes.nodes.push(NodeProto {
            op_type: operator.into(),
            name: name.clone(),
            input: inputs.to_vec(),
            output: vec![name.clone()],
            attribute,
            ..NodeProto::default()
        });
        name
    }

    fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let name = format!("{}.{name}", self.prefix);
        self.nodes.constants.push(floats_tensor(&name, dims, values));
        name
    }

    fn ints(&mut self, name: &str, values: &[usize]) -> String {
        let values: Vec<i64> = values.iter().map(|&v| v as i64).collect();
        self.constant(name, &values)
    }

    fn constant(&mut self, name: &str, values: &[i64]) -> String {
        let name = format!("{}.{name}", self.prefix);
        self.nodes.constants.push(ints_tensor(&name, values));
        name
    }
}

fn is_wide(deconv: &ConvTranspose2d) -> bool {
    deconv.weight.val().dims()[..2].iter().all(|&channels| channels >= LEAST_CHANNELS)
}

fn window(kernel: usize, stride: usize, padding: usize) -> Vec<AttributeProto> {
    vec![
        ints("kernel_shape", &[kernel; 2]),
        ints("strides", &[stride; 2]),
        ints("pads", &[padding; 4]),
    ]
}
