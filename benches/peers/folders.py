"""Folders of pictures: `vae-infer score` against its engine and its decoder alone, and what a user of Python writes."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from contenders import Contender, Refused
from whole import HERE, command, in_turn, run, seconds


@dataclass
class Rate:
    """What goes through a contender: `score`, `engine N` and `decoder N` alone on N threads, `python` in a loop."""

    network: str
    threads: int
    files: int
    contender: str
    #: Pictures a second in every round.
    rounds: list[float]

    @property
    def line(self) -> tuple[str, int, int]:
        return self.network, self.threads, self.files


def measure(name: str, bundle: Path, folder: Path, threads: int, program: Path, driver: Path, rounds: int,
            quick: bool) -> list[Rate]:
    """Every rate of a folder, in rounds over all of them after one that warms up. Python may use every core."""
    files = len(list(folder.iterdir()))
    turns = {
        "score": rate(files, command(program, "score", "--model", bundle, "--threads", threads, folder)),
        "python": rate(files, command(sys.executable, HERE / "loop.py", bundle, folder)),
    }
    for n in dict.fromkeys((1, threads)):
        turns[f"engine {n}"] = partial(engine, program, bundle, n, 0.1 if quick else 2)
        turns[f"decoder {n}"] = partial(decoder, driver, bundle, folder, n)
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


def decoder(driver: Path, bundle: Path, folder: Path, threads: int) -> float:
    """Files a second that are read, decoded and made ready as `score` does it, by the driver."""
    contender = Contender("decoder", "native", driver)
    try:
        return float(contender.ask(f"decode {bundle} {folder} {threads}"))
    except Refused as refused:
        raise SystemExit(f"error: {folder}: {refused}")
    finally:
        contender.close()
