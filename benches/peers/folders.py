"""Folders of pictures: `vae-infer score` against its engine alone, and against what a user of Python writes."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from whole import HERE, command, in_turn, run, seconds


@dataclass
class Rate:
    """What goes through a contender: `score`, `engine N` on N threads, `pillow` decoding alone, `python` in a loop."""

    network: str
    threads: int
    files: int
    contender: str
    #: Pictures a second in every round.
    rounds: list[float]

    @property
    def line(self) -> tuple[str, int, int]:
        return self.network, self.threads, self.files


def measure(name: str, bundle: Path, folder: Path, threads: int, program: Path, rounds: int,
            quick: bool) -> list[Rate]:
    """Every rate of a folder, in rounds over all of them after one that warms up. Python may use every core."""
    files = len(list(folder.iterdir()))
    through = partial(rate, files)
    turns = {
        "score": through(command(program, "score", "--model", bundle, "--threads", threads, folder)),
        "pillow": through(command(sys.executable, HERE / "decode.py", folder)),
        "python": through(command(sys.executable, HERE / "loop.py", bundle, folder)),
    } | {f"engine {n}": partial(engine, program, bundle, n, 0.1 if quick else 2) for n in (1, threads)}
    given = in_turn(list(turns.values()), 1 + rounds)
    print(f"{name}, {threads} threads, {files} files: done", file=sys.stderr)
    return [Rate(name, threads, files, contender, of[1:]) for contender, of in zip(turns, given)]


def rate(files: int, words: list[str]) -> Callable[[], float]:
    """Files a second of a whole process, loading its model included."""
    return lambda: round(files / seconds(words), 1)


def engine(program: Path, bundle: Path, threads: int, length: float) -> float:
    """Images a second of the engine alone, in batches of 64 that lie in memory."""
    said = run(command(program, "bench", bundle, "--batch", 64, "--threads", threads, "--seconds", length,
                       "--format", "json"), subprocess.PIPE)
    return round(json.loads(said)["images_per_second"], 1)
