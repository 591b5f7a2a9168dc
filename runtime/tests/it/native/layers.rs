//! The layers of a chain.

use super::chain::{Chain, Layer, Tensor, uniform, with_float};
use crate::onnx::{with_int, with_ints, with_text};

impl Chain {
    pub(super) fn add(&mut self, layer: &Layer) {
        let dims = self.last.dims.clone();
        match (layer, &dims[..]) {
            (Layer::Conv { outputs, kernel, strides, dilation, pads }, &[c, h, w]) => {
                let extent = kernel.map(|k| (k - 1) * dilation + 1);
                let room = [h + pads[0] + pads[2] - extent[0], w + pads[1] + pads[3] - extent[1]];
                if room.iter().any(|&room| room < 0) {
                    return;
                }
                let (n, size) =
                    (*outputs as i64, 1.0 / ((c * kernel[0] * kernel[1]) as f32).sqrt());
                let weights = self.weights(&[n, c, kernel[0], kernel[1]], size);
                let bias = self.weights(&[n], 0.5);
                let to = [n, room[0] / strides[0] + 1, room[1] / strides[1] + 1];
                let bias = if n % 2 == 0 { vec![&*weights] } else { vec![&*weights, &*bias] };
                self.then("Conv", &bias, &to, |conv| {
                    let conv = with_ints(conv, "strides", strides);
                    with_ints(with_ints(conv, "pads", pads), "dilations", &[*dilation; 2])
                });
            }
            (Layer::Deconv { outputs, kernel, strides, pads, added }, &[c, h, w]) => {
                let added = strides.map(|stride| (*added).min(stride - 1));
                let to = |axis: usize, size: i64| {
                    (size - 1) * strides[axis] + kernel[axis] + added[axis] - pads[0] - pads[1]
                };
                let (n, to) = (*outputs as i64, [to(0, h), to(1, w)]);
                if to.iter().any(|&size| size < 1) {
                    return;
                }
                let size = 1.0 / ((c * kernel[0] * kernel[1]) as f32).sqrt();
                let weights = self.weights(&[c, n, kernel[0], kernel[1]], size);
                let bias = self.weights(&[n], 0.5);
                self.then("ConvTranspose", &[&weights, &bias], &[n, to[0], to[1]], |deconv| {
                    let pads = [pads[0], pads[0], pads[1], pads[1]];
                    let deconv = with_ints(with_ints(deconv, "strides", strides), "pads", &pads);
                    with_ints(deconv, "output_padding", &added)
                });
            }
            (Layer::Dense { outputs, form }, &[inputs]) => {
                let (n, size) = (*outputs as i64, 1.0 / (inputs as f32).sqrt());
                let by_columns = form % 2 == 1;
                let shape = if by_columns { [n, inputs] } else { [inputs, n] };
                let (weights, bias) = (self.weights(&shape, size), self.weights(&[n], 0.5));
                match form {
                    0 | 1 => self.then("Gemm", &[&weights, &bias], &[n], |gemm| {
                        with_int(gemm, "transB", (*form).into())
                    }),
                    2 | 3 => self.then("Gemm", &[&weights, &bias], &[n], |gemm| {
                        let gemm = with_float(with_float(gemm, "alpha", 0.75), "beta", -1.5);
                        with_int(gemm, "transB", i64::from(by_columns))
                    }),
                    4 => self.then("Gemm", &[&weights], &[n], |gemm| gemm),
                    5 => self.then("Gemm", &[&weights], &[n], |gemm| with_int(gemm, "transB", 1)),
                    _ => {
                        let weights = self.weights(&[inputs, n], size);
                        self.then("MatMul", &[&weights], &[n], |matmul| matmul);
                        self.then("Add", &[&bias], &[n], |add| add);
                    }
                }
            }
            (Layer::Activation(kind), _) => self.activation(*kind),
            (Layer::Norm, _) => {
                let [gain, offset, mean] =
                    [1.0, 0.5, 0.5].map(|size| self.weights(&dims[..1], size));
                let name = self.name();
                let variance: Vec<f32> =
                    (0..dims[0]).map(|_| 1.1 + uniform(&mut self.generator)).collect();
                self.stored.push(crate::onnx::floats(&name, &variance));
                self.then("BatchNormalization", &[&gain, &offset, &mean, &name], &dims, |norm| {
                    norm
                });
            }
            (Layer::Pool { max, kernel, strides, pad }, &[c, h, w]) => {
                let pad = (*pad).min(kernel[0] - 1).min(kernel[1] - 1);
                let room = [h, w].map(|size| size + 2 * pad);
                let room = [room[0] - kernel[0], room[1] - kernel[1]];
                if room.iter().any(|&room| room < 0) {
                    return;
                }
                let to = [c, room[0] / strides[0] + 1, room[1] / strides[1] + 1];
                self.then(if *max { "MaxPool" } else { "AveragePool" }, &[], &to, |pool| {
                    let pool = with_ints(pool, "kernel_shape", kernel);
                    with_ints(with_ints(pool, "strides", strides), "pads", &[pad; 4])
                });
            }
            (Layer::GlobalPool, &[c, ..]) if dims.len() == 3 => {
                self.then("GlobalAveragePool", &[], &[c, 1, 1], |pool| pool);
            }
            (Layer::Vector { flatten }, &[c, h, w]) => match flatten {
                true => self.then("Flatten", &[], &[c * h * w], |flat| with_int(flat, "axis", 1)),
                false => {
                    let shape = self.integers(&[0, -1]);
                    self.then("Reshape", &[&shape], &[c * h * w], |reshape| reshape);
                }
            },
            (Layer::Image, &[n]) => {
                let sides = [6, 4, 3, 2, 1];
                let side = *sides.iter().find(|side| n % (*side * *side) == 0).unwrap();
                let shape = self.integers(&[-1, n / (side * side), side, side]);
                self.then("Reshape", &[&shape], &[n / (side * side), side, side], |reshape| {
                    reshape
                });
            }
            (Layer::Transpose(order), &[_, _, _]) => {
                let to: Vec<i64> = order.iter().map(|&axis| dims[axis as usize - 1]).collect();
                let perm = [&[0], &order[..]].concat();
                self.then("Transpose", &[], &to, |moved| with_ints(moved, "perm", &perm));
            }
            (Layer::Crop(cut), &[c, h, w]) if h > cut[0] + cut[2] && w > cut[1] + cut[3] => {
                let starts = self.integers(&cut[..2]);
                let ends =
                    self.integers(&[h - cut[2], if cut[3] == 0 { i64::MAX } else { -cut[3] }]);
                let axes = self.integers(&[2, -1]);
                let to = [c, h - cut[0] - cut[2], w - cut[1] - cut[3]];
                self.then("Slice", &[&starts, &ends, &axes], &to, |slice| slice);
            }
            (Layer::Pad(p), &[c, h, w]) => {
                let pads = self.integers(&[0, p[0], p[1], p[2], 0, p[3], p[4], p[5]]);
                let to = [c + p[0] + p[3], h + p[1] + p[4], w + p[2] + p[5]];
                self.then("Pad", &[&pads], &to, |pad| pad);
            }
            (Layer::Resize([rows, columns]), &[c, h, w]) => {
                let name = self.name();
                let scales = [1.0, 1.0, *rows as f32, *columns as f32];
                self.stored.push(crate::onnx::floats(&name, &scales));
                self.then("Resize", &["", &name], &[c, h * rows, w * columns], |resize| {
                    let mode = "coordinate_transformation_mode";
                    let resize = with_text(resize, mode, "asymmetric");
                    with_text(with_text(resize, "mode", "nearest"), "nearest_mode", "floor")
                });
            }
            (Layer::DepthToSpace, &[c, h, w]) if c % 4 == 0 => {
                let to = [c / 4, 2 * h, 2 * w];
                self.then("DepthToSpace", &[], &to, |deep| with_int(deep, "blocksize", 2));
            }
            (Layer::Split, _) if dims[0] > 1 => {
                let (first, from) = (dims[0] / 3 + dims[0] % 2, self.last.clone());
                let (first, rest) = (first.max(1), dims[0] - first.max(1));
                let sizes = self.integers(&[first, rest]);
                let (split, name) = self.push("Split", &[&from.name, &sizes]);
                let other = format!("{name}b");
                split.output.push(other.clone());
                *split = with_int(split.clone(), "axis", 1);
                let part = |name, size| Tensor { name, dims: [&[size], &dims[1..]].concat() };
                let [first, rest] = [part(name, first), part(other, rest)];
                self.last = rest.clone();
                self.block(first.dims[0]);
                if self.last.dims == first.dims {
                    let changed = self.last.clone();
                    self.pair("Add", &first, &changed);
                }
            }
            (Layer::Branch(kind), _) => self.branch(*kind),
            (Layer::Constant(kind), _) => {
                let operator = ["Add", "Sub", "Mul", "Max", "Min"][*kind as usize % 5];
                let mut shape = vec![1; dims.len()];
                match kind / 5 % 3 {
                    0 => shape[0] = dims[0],
                    1 => shape = [&[1], &dims[..]].concat(),
                    _ => shape = vec![],
                }
                let other = self.weights(&shape, 1.0);
                self.then(operator, &[&other], &dims, |pair| pair);
            }
            (Layer::Shown, _) => self.show(),
            (Layer::Round(kind), _) => self.round(*kind),
            _ => {}
        }
    }

    pub(super) fn activation(&mut self, kind: u8) {
        let dims = self.last.dims.clone();
        let alpha = |node| with_float(node, "alpha", 0.3);
        match kind {
            0 => self.then("Relu", &[], &dims, |node| node),
            1 => self.then("LeakyRelu", &[], &dims, alpha),
            2 => self.then("Sigmoid", &[], &dims, |node| node),
            3 => self.then("Tanh", &[], &dims, |node| node),
            4 => self.then("Elu", &[], &dims, alpha),
            5 => self.then("Softplus", &[], &dims, |node| node),
            6 => {
                let bounds = [-0.2, 0.4].map(|bound| {
                    let name = self.name();
                    let mut tensor = crate::onnx::floats(&name, &[bound]);
                    tensor.dims = vec![];
                    self.stored.push(tensor);
                    name
                });
                self.then("Clip", &[&bounds[0], &bounds[1]], &dims, |node| node);
            }
            _ => {
                let x = self.last.clone();
                self.then("Sigmoid", &[], &dims, |node| node);
                let gate = self.last.clone();
                let (a, b) = if kind == 7 { (x, gate) } else { (gate, x) };
                self.pair("Mul", &a, &b);
            }
        }
    }

    /// Tensors that are read more than once, and joined.
    fn branch(&mut self, kind: u8) {
        let x = self.last.clone();
        self.block(x.dims[0] + 2);
        let y = self.last.clone();
        let end = x.dims.len() - 1;
        match kind {
            0 => self.join(&[&x, &y], 0),
            1 => self.join(&[&y, &y], 0),
            2 => self.join(&[&x, &x], end),
            3 => {
                self.activation(1);
                let active = self.last.clone();
                self.join(&[&y, &active], end);
            }
            4 => {
                self.show();
                self.activation(4);
                let active = self.last.clone();
                self.join(&[&active, &y], 0);
            }
            5 => {
                self.join(&[&y, &x], 0);
                let joined = self.last.clone();
                self.last = y;
                self.block(3);
                let third = self.last.clone();
                self.join(&[&third, &joined], 0);
            }
            6 => {
                self.join(&[&x, &y], 0);
                let joined = self.last.clone();
                self.join(&[&y, &joined], 0);
            }
            7 => {
                self.add(&Layer::Pad([1, 0, 0, 0, 0, 0]));
                let padded = self.last.clone();
                self.join(&[&y, &padded], 0);
            }
            8 => {
                self.block(x.dims[0]);
                let same = self.last.clone();
                self.pair("Add", &x, &same);
                self.activation(0);
            }
            9 => {
                self.add(&Layer::Split);
                let part = self.last.clone();
                self.join(&[&y, &part], 0);
            }
            _ => {
                self.activation(2);
                self.join(&[&y, &x], 0);
                self.last = y;
                self.activation(0);
            }
        }
    }
}
