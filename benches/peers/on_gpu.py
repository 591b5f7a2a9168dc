"""The comparison on an NVIDIA GPU: our `ort` with its CUDA provider, beside Python's ONNX Runtime and PyTorch.

python3 benches/peers/on_gpu.py --program VAE_INFER [--json OUT] NAME=BUNDLE [NAME-f16=BUNDLE]...

Everyone takes images from the host's memory and gives reconstructions back there. Python needs onnxruntime-gpu, onnx and
torch; ORT_DYLIB_PATH names the library for our program. What ends in -f16 is an export of f16-gpu.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np

ROUNDS = 3


def ours(program: Path, bundle: Path, batch: int, seconds: float) -> float:
    """Median seconds of a call, by `vae-infer bench`; the provider is CUDA or it is an error."""
    command = [program, "bench", bundle, "--engine", "ort", "--ep", "cuda", "--batch", batch, "--seconds", seconds,
               "--threads", 4, "--selftest", "off", "--format", "json"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    said = json.loads(done.stdout)
    providers = {said["encoder"], said["decoder"]}
    if any("cuda" not in provider for provider in providers):
        raise RuntimeError(f"it ran on {providers}")
    return said["p50_us"] * 1e-6


def graphs(bundle: Path) -> tuple[list[Path], list[int]]:
    """The encoder's and the decoder's file, and which of the encoder's outputs the decoder takes."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    names = [output["name"] for output in manifest["encoder"]["outputs"]]
    skips = [names.index(tensor["name"]) for tensor in manifest["decoder"]["inputs"][1:]]
    return [bundle / manifest[graph]["file"] for graph in ("encoder", "decoder")], [0, *skips]


def onnx_runtime(bundle: Path, images: np.ndarray):
    """Sessions without TF32, as ours have; what passes from one to the other stays on the GPU."""
    import onnxruntime
    (encoder, decoder), passed_on = graphs(bundle)
    providers = [("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "EXHAUSTIVE"})]
    encoder, decoder = (onnxruntime.InferenceSession(str(file), providers=providers) for file in (encoder, decoder))
    if any(session.get_providers()[0] != "CUDAExecutionProvider" for session in (encoder, decoder)):
        raise RuntimeError("Python's ONNX Runtime has no CUDA here")

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
    """Eager, or replayed as a CUDA graph, without TF32; in half precision from end to end where asked for."""
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


def rows(program: Path, name: str, bundle: Path, plain: Path, batch: int, seconds: float) -> dict:
    """Median seconds of every contender, and the largest difference between those in Python."""
    half = name.endswith("-f16")
    shape = json.loads((bundle / "manifest.json").read_text())["image"]
    images = np.random.default_rng(batch).random(
        (batch, shape["channels"], shape["height"], shape["width"]), dtype=np.float32)
    contenders = {"python-ort": lambda: onnx_runtime(bundle, images),
                  "torch": lambda: pytorch(plain, images, half, False),
                  "torch-graph": lambda: pytorch(plain, images, half, True)}
    row, running, answers = {"network": name, "batch": batch}, {}, []
    for contender, prepare in contenders.items():
        try:
            running[contender] = prepare()
            answers.append(running[contender](images).astype(np.float32))
            timed(running[contender], images, seconds / 5)
        except Exception as error:  # whatever a library throws is its row
            row[contender] = f"error: {' '.join(str(error).split())[:200]}"
            running.pop(contender, None)
    times = {contender: [] for contender in ["ours", *running]}
    for _ in range(ROUNDS):
        try:
            times["ours"].append(ours(program, bundle, batch, seconds))
        except Exception as error:  # as above
            row["ours"] = f"error: {error}"
        for contender, reconstruct in running.items():
            times[contender].append(timed(reconstruct, images, seconds))
    row |= {contender: statistics.median(seconds) for contender, seconds in times.items() if seconds}
    row["difference"] = max((float(np.abs(a - answers[0]).max()) for a in answers[1:]), default=None)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", metavar="NAME=BUNDLE")
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64, 1024])
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    bundles = {name: Path(path) for name, _, path in (pair.partition("=") for pair in chosen.bundles)}
    found = []
    for name, bundle in bundles.items():
        plain = bundles.get(name.removesuffix("-f16"), bundle)
        for batch in chosen.batches:
            found.append(rows(chosen.program, name, bundle, plain, batch, chosen.seconds))
            print(json.dumps(found[-1]), flush=True)
            if chosen.json:
                chosen.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
