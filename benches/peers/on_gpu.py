"""The comparison on an NVIDIA GPU: our `ort` by CUDA and TensorRT, beside Python's ONNX Runtime and PyTorch.

python3 benches/peers/on_gpu.py --program VAE_INFER [--providers cuda tensorrt] NAME=BUNDLE [NAME-f16=BUNDLE]...

Prints median microseconds of a call as Markdown; of who fails the reason is on standard error. Everyone takes images from
the host's memory and gives reconstructions back there, without TF32. Ours takes cuDNN's convolutions by its heuristics and
brings what passes between the graphs to the host; Python's tries them all (EXHAUSTIVE) and leaves it on the GPU. Python
needs onnxruntime-gpu, onnx and torch; ORT_DYLIB_PATH names the library for our program. What ends in -f16 is an export of
f16-gpu. TensorRT's engines are kept: Python's in target/tensorrt, ours in the user's cache.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from environment import ROOT

ROUNDS = 3
PROVIDERS = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
#: TensorRT has no other way to leave TF32 out.
os.environ["NVIDIA_TF32_OVERRIDE"] = "0"


def ours(program: Path, bundle: Path, provider: str, batch: int, seconds: float) -> float:
    """Median seconds of a call, by `vae-infer bench`; another provider is an error."""
    command = [program, "bench", bundle, "--engine", "ort", "--ep", provider, "--batch", batch, "--seconds", seconds,
               "--threads", 4, "--selftest", "off", "--format", "json"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    said = json.loads(done.stdout)
    backends = {said["encoder"], said["decoder"]}
    if any(provider not in backend for backend in backends):
        raise RuntimeError(f"it ran on {backends}")
    return said["p50_us"] * 1e-6


def graphs(bundle: Path) -> tuple[list[Path], list[int]]:
    """The encoder's and the decoder's file, and which of the encoder's outputs the decoder takes."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    names = [output["name"] for output in manifest["encoder"]["outputs"]]
    skips = [names.index(tensor["name"]) for tensor in manifest["decoder"]["inputs"][1:]]
    return [bundle / manifest[graph]["file"] for graph in ("encoder", "decoder")], [0, *skips]


def registered(provider: str, file: Path) -> list[tuple[str, dict[str, str]]]:
    """Python's providers at their best; CUDA takes what TensorRT leaves."""
    cuda = PROVIDERS["cuda"], {"use_tf32": "0", "cudnn_conv_algo_search": "EXHAUSTIVE"}
    if provider == "cuda":
        return [cuda]
    # An engine's name does not tell the weights that are in it.
    kept = ROOT / "target" / "tensorrt" / hashlib.sha256(file.read_bytes()).hexdigest()
    kept.mkdir(parents=True, exist_ok=True)
    engines = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(kept),
               "trt_timing_cache_enable": "1", "trt_timing_cache_path": str(kept)}
    return [(PROVIDERS[provider], engines), cuda]


def onnx_runtime(bundle: Path, provider: str):
    """Sessions between which everything stays on the GPU."""
    import onnxruntime
    files, passed_on = graphs(bundle)
    encoder, decoder = (onnxruntime.InferenceSession(str(file), providers=registered(provider, file)) for file in files)
    if any(session.get_providers()[0] != PROVIDERS[provider] for session in (encoder, decoder)):
        raise RuntimeError(f"Python's ONNX Runtime has no {provider} here")

    def reconstruct(images):
        first, second = encoder.io_binding(), decoder.io_binding()
        first.bind_cpu_input(encoder.get_inputs()[0].name, images)
        for output in encoder.get_outputs():
            first.bind_output(output.name, "cuda")
        encoder.run_with_iobinding(first)
        encoded = first.get_outputs()
        for given, i in zip(decoder.get_inputs(), passed_on):
            second.bind_ortvalue_input(given.name, encoded[i])
        second.bind_output(decoder.get_outputs()[0].name)
        decoder.run_with_iobinding(second)
        return second.copy_outputs_to_cpu()[0]

    return reconstruct


def pytorch(bundle: Path, images: np.ndarray, half: bool, graph: bool):
    """Eager, or replayed as a CUDA graph; in half precision from end to end where asked for."""
    import torch
    from interpret import Network
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    (encoder, decoder), passed_on = graphs(bundle)
    kind = torch.float16 if half else torch.float32
    encoder, decoder = (Network(file).eval().cuda().to(kind) for file in (encoder, decoder))

    def forward(given):
        encoded = encoder(given)
        return decoder(*(encoded[i] for i in passed_on))[0]

    def reconstruct(images):
        with torch.inference_mode():
            return forward(torch.from_numpy(images).cuda().to(kind)).float().cpu().numpy()

    if not graph:
        return reconstruct
    with torch.inference_mode():
        given = torch.from_numpy(images).cuda().to(kind)
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3):
                forward(given)
        torch.cuda.synchronize()
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            made = forward(given)

    def replay(images):
        with torch.inference_mode():
            given.copy_(torch.from_numpy(images))
            captured.replay()
            return made.float().cpu().numpy()

    return replay


def timed(reconstruct, images: np.ndarray, seconds: float) -> float:
    start, times = time.perf_counter(), []
    while time.perf_counter() - start < seconds or len(times) < 5:
        began = time.perf_counter()
        reconstruct(images)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def contenders(chosen: argparse.Namespace, bundle: Path, plain: Path, half: bool, batch: int) -> dict[str, Callable]:
    """What each is named, and what makes it ready: of images, it gives a function from seconds to a call's median, and
    the reconstructions where they are at hand."""
    def of_program(provider: str, images: np.ndarray):
        return partial(ours, chosen.program, bundle, provider, batch), None

    def of_python(prepare, images: np.ndarray):
        reconstruct = prepare(images)
        return partial(timed, reconstruct, images), reconstruct(images).astype(np.float32)

    made = {}
    for provider in chosen.providers:
        made[f"ours, {provider}"] = partial(of_program, provider)
    for provider in chosen.providers:
        made[f"Python ORT, {provider}"] = partial(of_python, lambda _, by=provider: onnx_runtime(bundle, by))
    made["PyTorch"] = partial(of_python, lambda images: pytorch(plain, images, half, False))
    made["PyTorch, CUDA graph"] = partial(of_python, lambda images: pytorch(plain, images, half, True))
    return made


def row(ready: dict[str, Callable], name: str, images: np.ndarray, seconds: float) -> dict:
    """Median seconds of every contender, or why it has none, and the largest difference between those in Python."""
    made, times = {"network": name, "batch": len(images)}, {contender: [] for contender in ready}

    def attempt(contender: str, work: Callable):
        try:
            return work()
        except Exception as error:  # whatever a library throws is its row
            reason = " ".join(str(error).split()).removeprefix("error: ")[:300]
            print(f"{name}, batch {len(images)}, {contender}: {reason}", file=sys.stderr)
            made[contender] = f"error: {reason}"

    prepared = {contender: attempt(contender, partial(prepare, images)) for contender, prepare in ready.items()}
    for _ in range(1 + ROUNDS):
        for contender in [contender for contender in ready if contender not in made]:
            times[contender].append(attempt(contender, partial(prepared[contender][0], seconds)))
    # The first round warms up.
    made |= {contender: statistics.median(taken[1:]) for contender, taken in times.items() if contender not in made}
    answers = [kept[1] for kept in prepared.values() if kept and kept[1] is not None]
    made["difference"] = max((float(np.abs(a - answers[0]).max()) for a in answers[1:]), default=None)
    return made


def line(made: dict, head: list[str]) -> list[str]:
    """The cells of a row, times in microseconds."""
    times = [made[contender] for contender in head[2:-1]]
    shown = ["-" if isinstance(taken, str) else f"{taken * 1e6:,.0f}" for taken in times]
    difference = made["difference"]
    return [made["network"], str(made["batch"]), *shown, "-" if difference is None else f"{difference:.0e}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", metavar="NAME=BUNDLE")
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--providers", nargs="+", default=["cuda"], choices=list(PROVIDERS))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64, 1024])
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--json", type=Path, help="every row in seconds, as they come, with the reasons")
    chosen = parser.parse_args()
    bundles = {name: Path(path) for name, _, path in (pair.partition("=") for pair in chosen.bundles)}
    found = []
    for name, bundle in bundles.items():
        plain, half = bundles.get(name.removesuffix("-f16"), bundle), name.endswith("-f16")
        shape = json.loads((bundle / "manifest.json").read_text())["image"]
        for batch in chosen.batches:
            images = np.random.default_rng(batch).random(
                (batch, shape["channels"], shape["height"], shape["width"]), dtype=np.float32)
            ready = contenders(chosen, bundle, plain, half, batch)
            head = ["network", "batch", *ready, "difference"]
            if not found:
                print(f"| {' | '.join(head)} |\n| {' | '.join(['---'] * len(head))} |")
            found.append(row(ready, name, images, chosen.seconds))
            print(f"| {' | '.join(line(found[-1], head))} |", flush=True)
            if chosen.json:
                chosen.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
