"""Replays the golden vectors of bundles on engines that are not ours.

    pip install onnx onnxruntime openvino
    python tests/python/strangers.py BUNDLE...

`onnx.checker` must accept both graphs in full. Then `onnx.reference`, ONNX Runtime and OpenVINO get the recorded
images and latent vectors, and must give the recorded outputs, within the tolerance that the bundle states. There
is one line for every bundle, engine and output; those that differ are named again on stderr, with exit code 1.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx.reference import ReferenceEvaluator
from onnx.version_converter import convert_version

# As `vae_infer::verify` has it: the values of a collapsed posterior span nothing but rounding errors.
POSTERIOR, LEAST_POSTERIOR_RANGE = ("mean", "log_var"), 0.01
# The tolerance of bundles that state none.
DEFAULT_TOLERANCE = 1e-5
# The first opset whose `DequantizeLinear` is in `onnx.reference`; its meaning is that of opset 13.
DEQUANTIZE_OPSET = 19


def reference(path):
    """The definition of ONNX's operators, in NumPy."""
    model = onnx.load(path)
    if any(node.op_type == "DequantizeLinear" for node in model.graph.node):
        model = convert_version(model, DEQUANTIZE_OPSET)
    evaluator = ReferenceEvaluator(model)
    return lambda inputs: evaluator.run(None, inputs)


def onnx_runtime(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)


def open_vino(path):
    """In the precision of the graph: OpenVINO's own choice on some processors is bfloat16."""
    model = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda inputs: list(model(inputs).values())


ENGINES = {"onnx.reference": reference, "onnxruntime": onnx_runtime, "openvino": open_vino}


def golden_vectors(path):
    """The tensors of a safetensors file: eight bytes of length, a header in JSON, and the values, here
    all 32-bit floats."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            tensors[name] = np.frombuffer(content[start + first : start + last], "<f4").reshape(entry["shape"])
    return tensors


def difference(got, expected, least):
    """`vae_infer::verify::difference`: the largest absolute difference, over the interval that the values and zero span."""
    if got.shape != expected.shape or not (np.isfinite(got).all() and np.isfinite(expected).all()):
        return np.inf
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    span = max(expected.max(), 0.0) - min(expected.min(), 0.0)
    return np.abs(got - expected).max() / (max(span, least) or 1.0)


def replay(bundle):
    """Yields engine, output and difference for everything that the bundle records."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    golden = golden_vectors(bundle / manifest["golden"]["file"])
    tolerance = manifest.get("tolerance", DEFAULT_TOLERANCE)
    gaussian = manifest["posterior"] == "gaussian"
    for graph in (manifest["encoder"], manifest["decoder"]):
        path = bundle / graph["file"]
        onnx.checker.check_model(path, full_check=True)
        inputs = {spec["name"]: golden[spec["name"]] for spec in graph["inputs"]}
        names = [spec["name"] for spec in graph["outputs"]]
        for engine, load in ENGINES.items():
            for name, got in zip(names, load(path)(inputs), strict=True):
                least = LEAST_POSTERIOR_RANGE if gaussian and name in POSTERIOR else 0.0
                yield engine, name, difference(got, golden[name], least), tolerance


def main():
    differing = []
    for bundle in map(Path, sys.argv[1:]):
        for engine, output, worst, tolerance in replay(bundle):
            line = f"{bundle.name}: {engine}: {output}: {worst:.1e} of at most {tolerance:.0e}"
            print(line)
            if not worst <= tolerance:
                differing.append(line)
    sys.exit("\n".join(["these differ from the golden vectors:", *differing]) if differing else 0)


if __name__ == "__main__":
    main()
