"""An ONNX graph of the exporter, as a PyTorch module."""

from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper


class Network(torch.nn.Module):
    """The operators of a graph, in their order. Weights are parameters; shapes and indices plain numbers."""

    def __init__(self, file: Path):
        super().__init__()
        graph = onnx.load(file).graph
        self.weights = torch.nn.ParameterDict()
        self.numbers: dict[str, list] = {}
        self.names: dict[str, str] = {}
        self.plain = {name for node in graph.node if node.op_type in PLAIN for name in node.input[1:]}
        for tensor in graph.initializer:
            self.store(tensor.name, numpy_helper.to_array(tensor))
        self.nodes = []
        for node in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                self.store(node.output[0], numpy_helper.to_array(attributes["value"]))
                continue
            if node.op_type not in OPERATORS:
                raise ValueError(f"no PyTorch for the operator {node.op_type}")
            self.nodes.append((OPERATORS[node.op_type], attributes, list(node.input), list(node.output)))
        self.inputs = [tensor.name for tensor in graph.input if tensor.name not in self.names]
        self.outputs = [tensor.name for tensor in graph.output]

    def store(self, name: str, array) -> None:
        if array.dtype.kind == "f" and name not in self.plain:
            self.names[name] = f"w{len(self.weights)}"
            self.weights[self.names[name]] = torch.nn.Parameter(torch.from_numpy(array.copy()), False)
        else:
            self.numbers[name] = array.tolist()

    def forward(self, *inputs):
        values = dict(self.numbers) | {name: self.weights[key] for name, key in self.names.items()}
        values |= dict(zip(self.inputs, inputs))
        for operator, attributes, given, made in self.nodes:
            values[made[0]] = operator(attributes, *(values[name] if name else None for name in given))
        return [values[name] for name in self.outputs]


def gemm(a, x, weight, bias=None):
    weight = weight if a.get("transB", 0) else weight.t()
    return F.linear(x, weight, bias)


def padding(a, x):
    """The padding as the convolution takes it, and the input with what it does not take."""
    top, left, bottom, right = a.get("pads", [0, 0, 0, 0])
    if (top, left) == (bottom, right):
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom)), 0


def conv(a, x, weight, bias=None):
    x, around = padding(a, x)
    return F.conv2d(x, weight, bias, a.get("strides", 1), around, a.get("dilations", 1), a.get("group", 1))


def conv_transpose(a, x, weight, bias=None):
    top, left, bottom, right = a.get("pads", [0, 0, 0, 0])
    y = F.conv_transpose2d(x, weight, bias, a.get("strides", 1), (top, left), a.get("output_padding", 0),
                           a.get("group", 1), a.get("dilations", 1))
    # PyTorch takes as much from both ends.
    return F.pad(y, (0, left - right, 0, top - bottom)) if (top, left) != (bottom, right) else y


def reshape(a, x, shape):
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])


def pad(a, x, pads, value=None, axes=None):
    rank = x.dim()
    axes = list(range(rank)) if axes is None else axes
    sides = [(0, 0)] * rank
    for i, axis in enumerate(axes):
        sides[axis] = (pads[i], pads[i + len(axes)])
    flat = [side for pair in reversed(sides) for side in pair]
    mode = a.get("mode", b"constant").decode()
    if mode == "constant":
        return F.pad(x, flat, value=value or 0.0)
    return F.pad(x, flat[:2 * (rank - 2)], {"edge": "replicate"}.get(mode, mode))


def cut(a, x, starts, ends, axes=None, steps=None):
    index = [slice(None)] * x.dim()
    for i, start in enumerate(starts):
        index[axes[i] if axes else i] = slice(start, ends[i], steps[i] if steps else 1)
    return x[tuple(index)]


def resize(a, x, region=None, scales=None, sizes=None):
    if a.get("mode", b"nearest") != b"nearest":
        raise ValueError("no PyTorch for a resize that is not to the nearest")
    return F.interpolate(x, size=sizes[2:]) if sizes else F.interpolate(x, scale_factor=scales[2:])


def pool(function):
    def pooled(a, x):
        x, around = padding(a, x)
        return function(x, a["kernel_shape"], a.get("strides", 1), around)
    return pooled


def cast(a, x):
    return x.float() if a["to"] == onnx.TensorProto.FLOAT else x


#: Operators whose second and later inputs are shapes, indices and scalars.
PLAIN = {"Pad", "Reshape", "Resize", "Slice"}

OPERATORS = {
    "AveragePool": pool(F.avg_pool2d),
    "Cast": cast,
    "Concat": lambda a, *xs: torch.cat(xs, a["axis"]),
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Flatten": lambda a, x: x.flatten(a.get("axis", 1)),
    "Gemm": gemm,
    "Identity": lambda a, x: x,
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)),
    "MaxPool": pool(F.max_pool2d),
    "Mul": lambda a, x, y: x * y,
    "Pad": pad,
    "Relu": lambda a, x: F.relu(x),
    "Reshape": reshape,
    "Resize": resize,
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Slice": cut,
}
