"""Contenders, one process each, asked in turn."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import environment

OURS = ["native", "tract", "ort"]
RUST = [*OURS, "plain-tract", "rten"]
PYTHON = ["python-ort", "openvino", "torch", "torch-compiled"]
#: Who runs an export with fewer bits than f32.
NARROW = {"f16": OURS, "int8": [*OURS, "python-ort", "openvino"]}
#: What a user would pick instead.
PEERS = PYTHON


class Refused(Exception):
    """What a contender says when it does not run."""


@dataclass(eq=False)
class Contender:
    """An engine with a bundle in some precision."""

    name: str
    engine: str
    driver: Path
    process: subprocess.Popen = field(init=False)

    def __post_init__(self):
        python = [sys.executable, Path(__file__).with_name("peer.py")]
        command = [self.driver] if self.engine in RUST else python
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=surroundings())

    def ask(self, request: str) -> str:
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
            said = self.process.stdout.readline().strip()
        except BrokenPipeError:
            said = ""
        if not said:
            raise Refused("its process has ended")
        if said.startswith("error "):
            raise Refused(said.removeprefix("error "))
        return said

    def times(self, images: Path, iterations: int) -> list[float]:
        """Seconds of every reconstruction of the images in a file."""
        return [int(word) * 1e-9 for word in self.ask(f"run {images} {iterations}").split()]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def surroundings() -> dict[str, str]:
    """Our `ort` runs the library that Python's does, unless another one is named."""
    folder = environment.FOLDER / "lib"
    library = next(folder.glob("python*/site-packages/onnxruntime/capi/libonnxruntime.so*"), "")
    return {"ORT_DYLIB_PATH": str(library)} | os.environ
