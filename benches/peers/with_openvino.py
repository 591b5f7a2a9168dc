"""OpenVINO, in f32, for a fixed batch, with the hint that is faster for it."""

from pathlib import Path

import numpy as np
import openvino


def prepare(engine: str, files: list[Path], passed_on: list[int], threads: int, images):
    ways = [whole(files, passed_on, threads, len(images), hint) for hint in ("LATENCY", "THROUGHPUT")]
    if threads > 1 and len(images) % threads == 0:
        ways.append(streams(files, passed_on, threads, len(images)))
    return ways


def compiled(file: Path, batch: int, hint: str, threads: int):
    core = openvino.Core()
    model = core.read_model(file)
    model.reshape({tensor: [batch, *list(tensor.partial_shape)[1:]] for tensor in model.inputs})
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": hint, "INFERENCE_NUM_THREADS": threads}
    return core.compile_model(model, "CPU", settings)


def whole(files: list[Path], passed_on: list[int], threads: int, batch: int, hint: str):
    """A batch in one request."""
    encoder, decoder = (compiled(file, batch, hint, threads).create_infer_request() for file in files)

    def reconstruct(images):
        encoded = encoder.infer([images], share_inputs=True, share_outputs=True)
        given = [encoded[i] for i in passed_on]
        return decoder.infer(given, share_inputs=True, share_outputs=True)[0]

    return reconstruct


def streams(files: list[Path], passed_on: list[int], threads: int, batch: int):
    """A batch in one part for each thread, all at a time."""
    part = batch // threads
    graphs = [compiled(file, part, "THROUGHPUT", threads) for file in files]
    encoders, decoders = ([graph.create_infer_request() for _ in range(threads)] for graph in graphs)

    def reconstruct(images):
        for i, encoder in enumerate(encoders):
            encoder.start_async([images[i * part:(i + 1) * part]], share_inputs=True)
        for encoder, decoder in zip(encoders, decoders):
            encoder.wait()
            decoder.start_async([encoder.get_output_tensor(j).data for j in passed_on], share_inputs=True)
        for decoder in decoders:
            decoder.wait()
        return np.concatenate([decoder.get_output_tensor(0).data for decoder in decoders])

    return reconstruct
