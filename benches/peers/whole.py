"""Whole processes: one picture from a cold start, and many, with our program and Python scripts that do the same."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from contenders import surroundings
from PIL import Image

HERE = Path(__file__).parent


@dataclass
class Process:
    """A program at a task, every time that it ran."""

    PROGRAMS: ClassVar = ["vae-infer", "python"]

    network: str
    pictures: int
    task: str
    program: str
    seconds: list[float]
    #: Peak MiB of as many other runs, whose time does not count.
    memory: list[float]

    @property
    def line(self) -> tuple[str, int, str]:
        return self.network, self.pictures, self.task


def measure(name: str, bundle: Path, program: Path, many: int, rounds: int) -> list[Process]:
    """Every task of a network, where our program and Python's have their turn in every round."""
    with tempfile.TemporaryDirectory() as folder:
        pictures, made, out = Path(folder) / "pictures", Path(folder) / "made", Path(folder) / "out.png"
        pictures.mkdir()
        made.mkdir()
        write(pictures, json.loads((bundle / "manifest.json").read_text())["image"], many)
        one = pictures / "00000.png"
        ours, model = partial(command, program), ["--model", bundle]
        tasks = {
            (1, "`reconstruct --threads 1`"):
                [ours("reconstruct", *model, "--threads", "1", one, "-o", out, "--force"),
                 command(sys.executable, HERE / "script.py", bundle, one, out)],
            (many, "`score`"):
                [ours("score", *model, pictures), command(sys.executable, HERE / "loop.py", bundle, pictures)],
            (many, "`reconstruct`"):
                [ours("reconstruct", *model, pictures, "-o", made, "--force"),
                 command(sys.executable, HERE / "loop.py", bundle, pictures, made)],
        }
        rows = []
        for (count, task), commands in tasks.items():
            memory = in_turn([partial(peak, words) for words in commands], rounds)
            times = in_turn([partial(seconds, words) for words in commands], rounds)
            rows += [Process(name, count, task, *given) for given in zip(Process.PROGRAMS, times, memory)]
            print(f"{name}, {count} pictures, {task}: done", file=sys.stderr)
    return rows


def write(folder: Path, image: dict, count: int) -> None:
    """Smooth random pictures of the size that a network takes."""
    random = np.random.default_rng(0)
    size = (image["width"], image["height"])
    for i in range(count):
        coarse = random.integers(0, 256, (7, 7, image["channels"]), dtype=np.uint8).squeeze()
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"{i:05}.png")


def in_turn(turns: list[Callable[[], float]], rounds: int) -> list[list[float]]:
    """What every turn gives in every round."""
    given = [[turn() for turn in turns] for _ in range(rounds)]
    return [list(of) for of in zip(*given)]


def command(*words) -> list[str]:
    return list(map(str, words))


def seconds(words: list[str]) -> float:
    """Wall-clock seconds of a process."""
    start = time.perf_counter()
    run(words)
    return round(time.perf_counter() - start, 6)


def peak(words: list[str]) -> float:
    """Peak MiB, as GNU time says: what Python would say of its child counts its own memory before the `exec`."""
    with tempfile.NamedTemporaryFile("r") as said:
        run(["/usr/bin/time", "--format", "%M", "--output", said.name, *words])
        return round(int(said.read()) / 1024, 1)


def run(words: list[str], output: int = subprocess.DEVNULL) -> str | None:
    """A process that must succeed, and what it says where that is asked for: to read it takes time too."""
    done = subprocess.run(words, stdout=output, stderr=subprocess.PIPE, text=True, env=surroundings())
    if done.returncode:
        last = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise SystemExit(f"error: {' '.join(words)} exits with {done.returncode} and says {last}")
    return done.stdout
