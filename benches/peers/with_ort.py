"""ONNX Runtime from Python."""

from pathlib import Path

import onnxruntime


def prepare(engine: str, files: list[Path], passed_on: list[int], threads: int, images):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    encoder, decoder = (
        onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"]) for file in files)
    names = [tensor.name for tensor in decoder.get_inputs()]
    image = encoder.get_inputs()[0].name

    def reconstruct(images):
        encoded = encoder.run(None, {image: images})
        return decoder.run(None, {name: encoded[i] for name, i in zip(names, passed_on)})[0]

    return [reconstruct]
