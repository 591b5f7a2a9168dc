"""Whole processes: a cold start, its memory, and folders of pictures."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from contenders import surroundings
from PIL import Image

HERE = Path(__file__).parent


def table(program: Path, bundle: Path, quick: bool) -> str:
    """Markdown: one picture, and a folder of them, with our program and with Python scripts that do the same."""
    with tempfile.TemporaryDirectory() as folder:
        pictures, made = Path(folder) / "pictures", Path(folder) / "made"
        pictures.mkdir()
        made.mkdir()
        write(pictures, bundle, 200 if quick else 5_000)
        one, out = pictures / "00000.png", Path(folder) / "out.png"
        model = ["--model", bundle]
        cold = alternating({
            "`vae-infer reconstruct`": [program, "reconstruct", *model, "--threads", "1", one, "-o", out, "--force"],
            "Python, ONNX Runtime and Pillow": [sys.executable, HERE / "script.py", bundle, one, out],
        }, 3 if quick else 20)
        whole = alternating({
            "`vae-infer score`": [program, "score", *model, pictures],
            "`vae-infer reconstruct`": [program, "reconstruct", *model, pictures, "-o", made, "--force"],
            "Python loop, scores": [sys.executable, HERE / "loop.py", bundle, pictures],
            "Python loop, reconstructions": [sys.executable, HERE / "loop.py", bundle, pictures, made],
            "Pillow alone, all cores": [sys.executable, HERE / "decode.py", pictures],
        }, 1 if quick else 3)
        count = len(list(pictures.iterdir()))
    lines = ["| one picture | median, ms | peak memory, MiB |", "|---|---|---|"]
    lines += [f"| {name} | {seconds * 1e3:,.1f} | {memory:.0f} |" for name, (seconds, memory) in cold.items()]
    lines += ["", f"| {count:,} pictures | pictures a second | peak memory, MiB |", "|---|---|---|"]
    lines += [f"| {name} | {count / seconds:,.0f} | {memory:.0f} |" for name, (seconds, memory) in whole.items()]
    return "\n".join(lines) + "\n"


def write(folder: Path, bundle: Path, count: int) -> None:
    """Smooth random pictures of the size that the bundle takes."""
    image = json.loads((bundle / "manifest.json").read_text())["image"]
    random = np.random.default_rng(0)
    size = (image["width"], image["height"])
    for i in range(count):
        coarse = random.integers(0, 256, (7, 7, image["channels"]), dtype=np.uint8).squeeze()
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"{i:05}.png")


def alternating(commands: dict[str, list], rounds: int) -> dict[str, tuple[float, float]]:
    """Median wall-clock seconds of every command, run in turn after a round that warms up and gives the peak MiB."""
    memory = {name: peak(command) for name, command in commands.items()}
    seconds = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            start = time.perf_counter()
            run(command)
            seconds[name].append(time.perf_counter() - start)
    return {name: (statistics.median(seconds[name]), memory[name]) for name in commands}


def peak(command: list) -> float:
    """Peak MiB, as GNU time says: what Python would say of its child counts its own memory before the `exec`."""
    with tempfile.NamedTemporaryFile("r") as said:
        run(["/usr/bin/time", "--format", "%M", "--output", said.name, *command])
        return int(said.read()) / 1024


def run(command: list) -> None:
    """A process that must succeed."""
    command = list(map(str, command))
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=surroundings())
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)} exits with {done.returncode}")
