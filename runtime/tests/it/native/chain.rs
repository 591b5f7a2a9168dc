//! Random graphs: chains of layers with some branches, and the same answers from two engines.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};
use vae_infer::manifest::{FileSpec, GraphSpec, TensorSpec};

use crate::onnx::{integers, model, node, value, with_int};

/// A layer of a chain; one that does not fit the tensor before it is left out.
#[derive(Debug, Clone)]
pub(super) enum Layer {
    Conv {
        outputs: usize,
        kernel: [i64; 2],
        strides: [i64; 2],
        dilation: i64,
        pads: [i64; 4],
    },
    Deconv {
        outputs: usize,
        kernel: [i64; 2],
        strides: [i64; 2],
        pads: [i64; 2],
        added: i64,
    },
    Dense {
        outputs: usize,
        form: u8,
    },
    Activation(u8),
    Norm,
    Pool {
        max: bool,
        kernel: [i64; 2],
        strides: [i64; 2],
        pad: i64,
    },
    GlobalPool,
    Vector {
        flatten: bool,
    },
    Image,
    Transpose(Vec<i64>),
    Crop([i64; 4]),
    Pad([i64; 6]),
    Resize([i64; 2]),
    DepthToSpace,
    Split,
    Branch(u8),
    Constant(u8),
    /// The tensor is an output as well.
    Shown,
    /// Numbers that are rounded to eight bits, by a pair of operators.
    Round(u8),
}

/// A tensor without its batch axis.
#[derive(Debug, Clone)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) dims: Vec<i64>,
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    Single,
    Half,
    /// As integers in eight bits, with a scale or several.
    Eight,
}

/// A graph that grows.
pub(super) struct Chain {
    pub(super) generator: ChaCha8Rng,
    form: Form,
    nodes: Vec<NodeProto>,
    pub(super) stored: Vec<TensorProto>,
    input: Tensor,
    pub(super) last: Tensor,
    outputs: Vec<Tensor>,
    /// Numbers of its largest tensor, stored or computed for an image.
    pub(super) largest: i64,
}

/// Numbers of both signs, none larger than 1.
pub(super) fn uniform(generator: &mut ChaCha8Rng) -> f32 {
    (generator.next_u64() >> 40) as f32 / (1 << 23) as f32 - 1.0
}

pub(super) fn with_float(mut node: NodeProto, name: &str, f: f32) -> NodeProto {
    node.attribute.push(AttributeProto { name: name.into(), f, r#type: 1, ..Default::default() });
    node
}

impl Chain {
    pub(super) fn new(dims: &[i64], form: Form) -> Self {
        let input = Tensor { name: "x".into(), dims: dims.to_vec() };
        Self {
            generator: ChaCha8Rng::seed_from_u64(11),
            form,
            nodes: vec![],
            stored: vec![],
            last: input.clone(),
            input,
            outputs: vec![],
            largest: 0,
        }
    }

    pub(super) fn of(dims: &[i64], form: Form, layers: &[Layer]) -> Self {
        let mut chain = Self::new(dims, form);
        layers.iter().for_each(|layer| chain.add(layer));
        chain
    }

    pub(super) fn name(&self) -> String {
        format!("t{}", self.nodes.len() + self.stored.len())
    }

    pub(super) fn push(&mut self, operator: &str, inputs: &[&str]) -> (&mut NodeProto, String) {
        let output = self.name();
        self.nodes.push(node(operator, inputs, &output));
        (self.nodes.last_mut().unwrap(), output)
    }

    /// Adds an operator that a function gives its attributes, and makes its result the last tensor.
    pub(super) fn then(
        &mut self,
        operator: &str,
        more: &[&str],
        dims: &[i64],
        edit: impl Fn(NodeProto) -> NodeProto,
    ) {
        let last = self.last.name.clone();
        let inputs: Vec<&str> = [last.as_str()].iter().chain(more).copied().collect();
        let (node, name) = self.push(operator, &inputs);
        *node = edit(node.clone());
        self.last = Tensor { name, dims: dims.to_vec() };
        self.largest = self.largest.max(dims.iter().product());
    }

    /// Stored numbers; of single precision, of half precision and cast, or matrices of integers.
    pub(super) fn weights(&mut self, dims: &[i64], size: f32) -> String {
        if self.form == Form::Eight && dims.len() > 1 {
            return self.eight_bits(dims, size);
        }
        let name = self.name();
        let count = dims.iter().product::<i64>();
        self.largest = self.largest.max(count);
        let mut draw = || uniform(&mut self.generator) * size;
        let mut tensor = TensorProto {
            name: name.clone(),
            dims: dims.to_vec(),
            data_type: 1,
            ..Default::default()
        };
        if self.form != Form::Half {
            tensor.raw_data = (0..count).flat_map(|_| draw().to_le_bytes()).collect();
            self.stored.push(tensor);
            return name;
        }
        let odd = [0.0, -0.0, 2.0_f32.powi(-24), -3.0 * 2.0_f32.powi(-24), 2.0_f32.powi(-14), 1.5];
        let value = |place: i64| match place % 13 {
            12 => odd[(place / 13 % odd.len() as i64) as usize],
            _ => draw(),
        };
        let bits = |value: f32| half::f16::from_f32(value).to_le_bytes();
        tensor.raw_data = (0..count).map(value).flat_map(bits).collect();
        tensor.data_type = 10;
        self.stored.push(tensor);
        let (cast, name) = self.push("Cast", &[&name]);
        *cast = with_int(cast.clone(), "to", 1);
        name
    }

    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        let name = self.name();
        self.stored.push(integers(&name, values));
        name
    }

    /// A layer with weights that keeps the sizes of an image, or a dense one.
    pub(super) fn block(&mut self, outputs: i64) {
        let outputs = outputs as usize;
        match self.last.dims.len() {
            3 => self.add(&Layer::Conv {
                outputs,
                kernel: [3, 3],
                strides: [1, 1],
                dilation: 1,
                pads: [1; 4],
            }),
            _ => self.add(&Layer::Dense { outputs, form: 0 }),
        }
    }

    pub(super) fn join(&mut self, parts: &[&Tensor], axis: usize) {
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let mut dims = parts[0].dims.clone();
        dims[axis] = parts.iter().map(|part| part.dims[axis]).sum();
        let (concat, name) = self.push("Concat", &names);
        *concat = with_int(concat.clone(), "axis", axis as i64 + 1);
        self.last = Tensor { name, dims };
    }

    pub(super) fn pair(&mut self, operator: &str, a: &Tensor, b: &Tensor) {
        let dims = a.dims.clone();
        let (_, name) = self.push(operator, &[&a.name, &b.name]);
        self.last = Tensor { name, dims };
    }

    pub(super) fn show(&mut self) {
        let last = self.last.clone();
        if last.name != self.input.name && self.outputs.iter().all(|t| t.name != last.name) {
            self.outputs.push(last);
        }
    }

    /// The graph and what a manifest says of it.
    pub(super) fn finish(mut self) -> (Vec<u8>, GraphSpec) {
        if self.last.name == self.input.name {
            self.activation(0);
        }
        self.show();
        let sizes = |dims: &[i64]| dims.iter().map(|&size| size as usize).collect::<Vec<_>>();
        let spec = |tensor: &Tensor| TensorSpec::new(&tensor.name, &sizes(&tensor.dims));
        let graph = GraphProto {
            name: "chain".into(),
            node: self.nodes,
            initializer: self.stored,
            input: vec![value(&self.input.name, &self.input.dims)],
            output: self.outputs.iter().map(|t| value(&t.name, &t.dims)).collect(),
            ..Default::default()
        };
        let onnx = model(graph);
        let spec = GraphSpec {
            file: FileSpec::of("chain.onnx", &onnx),
            inputs: vec![spec(&self.input)],
            outputs: self.outputs.iter().map(spec).collect(),
            layers: vec![],
        };
        (onnx, spec)
    }
}
