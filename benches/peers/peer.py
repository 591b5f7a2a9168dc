"""A Python contender, in a process of its own, that speaks as driver/main.rs does.

load ENGINE BUNDLE THREADS; run IMAGES.npy ITERATIONS; check IMAGES.npy OUTPUT.npy
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

ENGINES = {"python-ort": "with_ort", "openvino": "with_openvino", "torch": "with_torch",
           "torch-compiled": "with_torch"}


class Peer:
    """A bundle in an engine."""

    def __init__(self, engine: str, folder: Path, threads: int):
        manifest = json.loads((folder / "manifest.json").read_text())
        names = [output["name"] for output in manifest["encoder"]["outputs"]]
        skips = [names.index(tensor["name"]) for tensor in manifest["decoder"]["inputs"][1:]]
        # The first output is the mean, which the decoder takes as its latent vector.
        passed_on = [0, *skips]
        files = [folder / manifest[graph]["file"] for graph in ("encoder", "decoder")]
        module = importlib.import_module(ENGINES[engine])
        self.prepare = lambda images: module.prepare(engine, files, passed_on, threads, images)
        self.prepared = {}

    def reconstruction(self, images: np.ndarray):
        """The fastest way that the engine has for a batch of this size, warm."""
        batch = len(images)
        if batch not in self.prepared:
            self.prepared[batch] = min(self.prepare(images), key=lambda way: took(way, images))
        return self.prepared[batch]

    def run(self, images: str, iterations: int) -> str:
        """The nanoseconds of every reconstruction of given images."""
        given = np.load(images)
        reconstruct = self.reconstruction(given)
        return " ".join(str(nanoseconds(reconstruct, given)) for _ in range(iterations))

    def check(self, images: str, output: str) -> str:
        """Writes the reconstructions of given images."""
        given = np.load(images)
        np.save(output, np.asarray(self.reconstruction(given)(given)))
        return "ok"


def nanoseconds(reconstruct, images: np.ndarray) -> int:
    start = time.perf_counter_ns()
    reconstruct(images)
    return time.perf_counter_ns() - start


def took(reconstruct, images: np.ndarray) -> int:
    """The least of a few runs after two that warm up."""
    for _ in range(2):
        reconstruct(images)
    return min(nanoseconds(reconstruct, images) for _ in range(5))


def answer(words: list[str], peer: Peer | None) -> tuple[str, Peer | None]:
    match words:
        case ["load", engine, bundle, threads]:
            return "ok", Peer(engine, Path(bundle), int(threads) or os.cpu_count())
        case ["run", images, iterations]:
            return peer.run(images, int(iterations)), peer
        case ["check", images, output]:
            return peer.check(images, output), peer
    raise ValueError(f"no such request: {' '.join(words)}")


def main() -> None:
    # Libraries print: what they say goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = None
    for line in sys.stdin:
        try:
            said, peer = answer(line.split(), peer)
        except Exception as error:  # whatever a library throws is its answer
            said = f"error {' '.join(str(error).split())[:300]}"
        print(said, file=answers, flush=True)


if __name__ == "__main__":
    main()
