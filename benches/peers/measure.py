"""What every contender takes for a network, in rounds over all of them."""

import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import unpacked
from contenders import NARROW, PYTHON, RUST, Contender, Refused


@dataclass
class Row:
    """One contender, one number of threads, one batch."""

    network: str
    contender: str
    threads: int
    batch: int
    #: Median seconds of every round; none from a contender that refuses.
    rounds: list[float]
    #: From Python's ONNX Runtime, on the same images.
    difference: float | None
    #: Operations of an image, and bytes of all weights.
    flops: float
    weights: float
    #: Operations and bytes read a second that one core did in the same run: other work only lowers them.
    arithmetic: float
    bandwidth: float

    @property
    def line(self) -> tuple[int, str, int]:
        return self.threads, self.network, self.batch

    @property
    def engine(self) -> str:
        return self.contender.partition(" ")[0]

    @property
    def precision(self) -> str:
        """Empty in f32."""
        return self.contender.partition(" ")[2]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


def network(name: str, exports: dict[str, Path], threads: int, batches: list[int], engines: list[str], driver: Path,
            rounds: int, seconds: float) -> list[Row]:
    """Every row of a network, whose bundles go by their precision. A contender that refuses has no rounds, and its
    reason goes to standard error."""
    bundle = exports["f32"]
    bundles = [(engine, engine, bundle) for engine in [*RUST, *PYTHON] if engine in engines]
    for precision, runners in NARROW.items():
        if precision in exports:
            bundles += [(f"{engine} {precision}", engine, exports[precision]) for engine in runners
                        if engine in engines]
    costs = {path: numbers(driver, f"cost {path}") for _, _, path in bundles}
    peak = numbers(driver, "peak 1")
    running, rows = [], []
    with tempfile.TemporaryDirectory() as folder:
        for title, engine, path in bundles:
            contender = Contender(title, engine, driver)
            if engine == "rten":
                path = unpacked.copy(path, Path(folder) / "unpacked")
            try:
                contender.ask(f"load {engine} {path} {threads}")
                running.append(contender)
            except Refused as reason:
                print(f"{name}, {title}: {reason}", file=sys.stderr)
                contender.close()
        for batch in batches:
            ready = differences(name, running, bundle, batch, threads, Path(folder), driver)
            medians = in_rounds(list(ready), Path(folder) / "images.npy", rounds, seconds)
            rounds_of = {contender.name: medians[contender] for contender in medians}
            difference_of = {contender.name: ready[contender] for contender in ready}
            rows += [Row(name, title, threads, batch, rounds_of.get(title, []), difference_of.get(title),
                         *costs[path], *peak) for title, _, path in bundles]
            print(f"{name}, {threads} threads, batch {batch}: done", file=sys.stderr)
    for contender in running:
        contender.close()
    return rows


def numbers(driver: Path, request: str) -> list[float]:
    """What the driver answers to a request about a bundle or the machine."""
    contender = Contender("numbers", "native", driver)
    answer = contender.ask(request)
    contender.close()
    return list(map(float, answer.split()))


def differences(name, running, bundle, batch, threads, folder, driver) -> dict:
    """Those that run a batch, with the largest difference of their output from Python's ONNX Runtime."""
    images, output = folder / "images.npy", folder / "output.npy"
    reference = Contender("python-ort", "python-ort", driver)
    reference.ask(f"load python-ort {bundle} {threads}")
    shape = image(bundle)
    np.save(images, np.random.default_rng(batch).random((batch, *shape), dtype=np.float32))
    reference.ask(f"check {images} {output}")
    expected = np.load(output)
    reference.close()
    ready = {}
    for contender in running:
        try:
            contender.ask(f"check {images} {output}")
            ready[contender] = float(np.abs(np.load(output) - expected).max())
        except Refused as reason:
            print(f"{name}, {contender.name}, batch {batch}: {reason}", file=sys.stderr)
    return ready


def image(bundle: Path) -> tuple[int, int, int]:
    spec = json.loads((bundle / "manifest.json").read_text())["image"]
    return spec["channels"], spec["height"], spec["width"]


def in_rounds(ready, images, rounds, seconds) -> dict:
    """The medians of each round, where every contender has its turn in every one, in changing order."""
    medians, iterations = {contender: [] for contender in ready}, {}
    for contender in ready:
        once = min(contender.times(images, 3))
        iterations[contender] = max(1, min(1000, int(seconds / once)))
    for turn in range(rounds):
        for contender in ready[turn % len(ready):] + ready[:turn % len(ready)]:
            median = statistics.median(contender.times(images, iterations[contender]))
            medians[contender].append(round(median, 10))
    return medians
