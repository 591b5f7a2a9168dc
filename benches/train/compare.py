"""How fast networks train, beside PyTorch and JAX: compare.py --program VAE_TRAIN --device cuda --json ROWS.json

Every network begins in every contender with the same weights, images and order, which `vae-train benchmark training
--start` writes. Rows are written as they come, the most important first; a contender that fails says why. The exit code
is 1 where one that was asked for failed, and where a loss with our noise is not ours. Python needs what
requirements.txt lists, and for JAX on a GPU its plugin beside. `--warm` runs ours and PyTorch's on all networks in all
batches at once before anything is measured: what they compile is kept on disk. What ours measures to choose among its
kernels is not: each is measured when nothing else runs.
"""

import argparse
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import report
from processes import LATE, CardMemory, rows
from verdict import NO_START, complaints

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
FEATURES = ROOT / "trainer/assets/features/letters/features.toml"
NETWORKS = {"mnist-conv": "mnist-conv", "mnist-mlp": "mnist-mlp", "wide": str(ROOT / "benches/wide.toml"),
            "emnist-perceptual": "emnist-perceptual", "eyes-vae": "eyes-vae"}
GRAPHS = ["graph", "compiled-graph"]
MODES = ["eager", "compiled", *GRAPHS, "same-noise"]
CONTENDERS = ["ours", "torch", "jax"]
PACKAGES = {"torch": ["torch", "safetensors", "numpy"], "jax": ["jax", "optax", "safetensors", "numpy"]}
#: What tells libtorch how to multiply, where ours is on it. CubeCL takes TF32 where its own trials find it faster.
TF32 = {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
LIBTORCH = {"tf32": TF32, "bf16": TF32, "f32": {"NVIDIA_TF32_OVERRIDE": "0"}}
#: What CubeCL keeps between processes, and does not keep of those that share the device.
KEPT = "[compilation]\ncache = true\n"
NOT_CHOSEN = "[autotune]\ndisable_cache = true\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="vae-train, built with the device")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--ours", default="", choices=["", "cuda", "libtorch", "vulkan"], metavar="DEVICE",
                        help="where ours is on a GPU, if not by way of cuda: libtorch or vulkan")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 1024, 32])
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS,
                        help="[default: all, with JAX on the processor for networks without convolutions]")
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES,
                        help="of PyTorch, same-noise of JAX too; graphs are of CUDA")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="changes a value of every network's configuration, for example model.variational=false")
    parser.add_argument("--precisions", nargs="+", default=["tf32", "f32"], choices=["tf32", "f32", "bf16"],
                        help="of products on a GPU, ours too on libtorch; the first alone beyond the first batch")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--warmup", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2, help="on the processor")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds after which no row is begun")
    parser.add_argument("--warm", type=float, default=0, help="seconds for warming up all networks in all batches at once")
    parser.add_argument("--json", type=Path, help="the machine and every row, as they come")
    parser.add_argument("--table", type=Path, help="the same as Markdown")
    chosen = parser.parse_args()
    if chosen.ours and chosen.device == "cpu":
        parser.error("--ours goes with --device cuda")
    if strange := [pair for pair in chosen.set if "=" not in pair]:
        parser.error(f"--set {strange[0]} is not KEY=VALUE")
    chosen.all_in_jax = chosen.device == "cuda" or bool(chosen.contenders)
    chosen.contenders = chosen.contenders or CONTENDERS
    if "ours" not in chosen.contenders:
        parser.error("--contenders needs ours, which writes where the others begin")
    return chosen


def found(program: str) -> str:
    """A program by its path, or by its name alone where the shell would find it too."""
    if path := shutil.which(program):
        return str(Path(path).resolve())
    raise SystemExit(f"error: {program} is no program")


def missing(framework: str) -> str | None:
    """What a framework lacks to be run, in words."""
    lacks = [package for package in PACKAGES[framework] if importlib.util.find_spec(package) is None]
    return f"not installed: {', '.join(lacks)} (see benches/train/requirements.txt)" if lacks else None


class Comparison:
    """Rows under one set of options."""

    def __init__(self, chosen: argparse.Namespace, folder: Path):
        self.chosen, self.folder = chosen, folder
        self.chosen.program = found(chosen.program)
        (folder / "cubecl.toml").write_text(KEPT)
        self.on_gpu = chosen.device == "cuda"
        self.end = time.monotonic() + chosen.budget
        self.memory = CardMemory() if self.on_gpu else None
        limits = iter([]) if missing("torch") else rows(
            [sys.executable, str(HERE / "ceilings.py"), chosen.device, str(chosen.threads)], self.surroundings(), 60,
            None, folder)
        self.result = {"machine": next(limits, {}), "steps": chosen.steps, "warmup": chosen.warmup,
                       "set": chosen.set, "compiled before": chosen.warm > 0, "rows": []}

    def run(self) -> None:
        """The first batch: ours, eager and compiled, then the rest; then the other batches."""
        chosen = self.chosen
        modes = [mode for mode in chosen.modes if self.on_gpu or mode not in GRAPHS]
        plain = [mode for mode in modes if mode in ("eager", "compiled")]
        graphs = [mode for mode in modes if mode in GRAPHS]
        if "jax" in chosen.contenders and not chosen.all_in_jax:
            print("JAX gets no network with convolutions, which take XLA a hundred times as long on a processor; "
                  "--contenders ours jax has them too", file=sys.stderr)
        for batch in chosen.batches:
            precisions = self.precisions(batch)
            self.ours(batch, precisions if chosen.ours == "libtorch" else [""])
            self.peers("torch", batch, plain, precisions)
            self.peers("torch", batch, graphs, precisions[:1])
            self.peers("jax", batch, ["own-noise"], [precision for precision in precisions if precision != "bf16"])
            if batch == chosen.batches[0] and "same-noise" in modes:
                self.peers("torch", batch, ["same-noise"], ["f32"])
                self.peers("jax", batch, ["same-noise"], ["f32"])

    def precisions(self, batch: int) -> list[str]:
        """All of them for the first batch, the first of them beyond."""
        precisions = self.chosen.precisions if self.on_gpu else ["f32"]
        return precisions if batch == self.chosen.batches[0] else precisions[:1]

    def ours(self, batch: int, precisions: list[str]) -> None:
        for network, precision in itertools.product(self.chosen.networks, precisions):
            named = {"contender": "ours"} | ({"products": precision} if precision else {})
            command = self.program(network, batch, self.start(network, batch), self.chosen.steps)
            if precision == "bf16":
                command += ["--set", "train.precision=bf16"]
            if self.left() < 0:
                self.record(network, batch, {**named, "error": LATE})
                continue
            surroundings = self.surroundings() | LIBTORCH.get(precision, {})
            for row in rows(command, surroundings, self.left(), self.memory, self.folder):
                self.record(network, batch, {**row, **named})

    def peers(self, framework: str, batch: int, modes: list[str], precisions: list[str]) -> None:
        """The rows of a framework: on a GPU of all networks in one process, which is begun again after a crash; on the
        processor, where memory is the process's, of each in its own."""
        if framework not in self.chosen.contenders or not modes:
            return
        names = {mode: "jax" if mode == "own-noise" else f"{framework}-{mode}" for mode in modes}
        waiting, lacking = [], missing(framework)
        for network, precision, mode in itertools.product(self.chosen.networks, precisions, modes):
            start = self.start(network, batch)
            begins = (start / "weights.safetensors").exists()
            if begins and framework == "jax" and not self.chosen.all_in_jax and convolutional(start):
                continue
            if reason := lacking or (unlike(start) if begins else NO_START):
                self.peer(batch, names, (network, mode, precision), {"error": reason})
            else:
                waiting.append((network, mode, precision))
        while waiting:
            if self.left() < 0:
                for network, mode, precision in waiting:
                    self.peer(batch, names, (network, mode, precision), {"error": LATE})
                return
            network, mode, precision = waiting[0]
            together = self.on_gpu and waiting[0][1:] == (modes[0], precisions[0])
            networks = list(dict.fromkeys(name for name, _, _ in waiting)) if together else [network]
            command = self.command(framework, [self.start(name, batch) for name in networks],
                                   modes if together else [mode], precisions if together else [precision])
            before = len(waiting)
            for row in rows(command, self.surroundings(), self.left(), self.memory, self.folder):
                if not waiting:
                    break
                self.peer(batch, names, waiting.pop(0), row)
            if len(waiting) == before:
                self.peer(batch, names, waiting.pop(0), {"error": "it printed nothing"})

    def peer(self, batch: int, names: dict[str, str], place: tuple[str, str, str], row: dict) -> None:
        network, mode, precision = place
        row.pop("start", None)
        self.record(network, batch, {"contender": names[mode], "precision": precision, **row})

    def start(self, network: str, batch: int) -> Path:
        """The folder where a network begins, which ours writes."""
        return self.folder / f"{network}-{batch}"

    def program(self, network: str, batch: int, start: Path, steps: int) -> list[str]:
        command = [self.chosen.program, "benchmark", "training", NETWORKS[network], "--batch", str(batch), "--steps",
                   str(steps), "--warmup", str(self.chosen.warmup), "--start", str(start), "--device",
                   self.chosen.ours or self.chosen.device, "--format", "json"]
        return command + [word for pair in self.chosen.set for word in ("--set", pair)]

    def command(self, framework: str, starts: list[Path], modes: list[str], precisions: list[str]) -> list[str]:
        command = [sys.executable, str(HERE / f"with_{framework}.py"), *map(str, starts), "--features", str(FEATURES),
                   "--warmup", str(self.chosen.warmup), "--precisions", *precisions, "--modes", *modes]
        if framework == "torch":
            command += ["--device", self.chosen.device, "--threads", str(self.chosen.threads)]
        return command

    def surroundings(self) -> dict[str, str]:
        if self.on_gpu:
            return os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "JAX_PLATFORMS": "cuda"}
        threads = str(self.chosen.threads)
        return os.environ | {"RAYON_NUM_THREADS": threads, "JAX_PLATFORMS": "cpu"}

    def left(self) -> float:
        return self.end - time.monotonic()

    def record(self, network: str, batch: int, row: dict) -> None:
        self.result["rows"].append({**row, "network": network, "batch": batch})
        print(json.dumps(self.result["rows"][-1]), flush=True)
        self.write()

    def write(self) -> None:
        if self.chosen.json:
            self.chosen.json.write_text(json.dumps(self.result, indent=1))
        if self.chosen.table:
            self.chosen.table.write_text(report.text(self.result))

    def warm(self) -> None:
        """Compiles all that ours and PyTorch compile, all at once."""
        chosen, began = self.chosen, time.monotonic()
        until = began + chosen.warm
        (self.folder / "cubecl.toml").write_text(KEPT + NOT_CHOSEN)
        waiting, running = [], []
        for batch, network in itertools.product(chosen.batches, chosen.networks):
            try:
                ours = self.begin(self.program(network, batch, self.start(network, batch), 10))
            except OSError:  # which its row will tell
                continue
            running.append((network, batch, "ours", ours))
            waiting.append((network, batch))
        while waiting and time.monotonic() < until and "torch" in chosen.contenders:
            ended = [(network, batch) for network, batch, _, process in running if process.poll() is not None]
            begun = [pair for pair in waiting if (self.start(*pair) / "weights.safetensors").exists()]
            waiting = [pair for pair in waiting if pair not in begun + ended]
            for network, batch in begun:
                start, precisions = self.start(network, batch), self.precisions(batch)
                command = self.command("torch", [start], ["compiled"], precisions)
                running.append((network, batch, "PyTorch", self.begin(command)))
            time.sleep(0.1)
        for network, batch, contender, process in running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
                said = "warm" if process.returncode == 0 else "failed"
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                said = "still warming up"
            print(f"{network}/{batch}, {contender}: {said} after {time.monotonic() - began:.0f} s", file=sys.stderr,
                  flush=True)
        (self.folder / "cubecl.toml").write_text(KEPT)
        for batch, network in itertools.product(chosen.batches, chosen.networks):
            shutil.rmtree(self.start(network, batch), ignore_errors=True)

    def begin(self, command: list[str]) -> subprocess.Popen:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.surroundings(),
                                cwd=self.folder)


def unlike(start: Path) -> str | None:
    """Why the others would not do the same work as ours on the network that begins in a folder, where they would not."""
    config = tomllib.loads((start / "config.toml").read_text())
    train, perceptual = config.get("train", {}), config.get("train", {}).get("perceptual", {})
    reasons = {"clipped gradients": "clip_norm" in train, "a sampled KL term": train.get("kl", "analytic") != "analytic",
               "a Gaussian likelihood": config["model"].get("likelihood", {}).get("kind") == "gaussian",
               "features other than those of letters": perceptual.get("features", "letters") != "letters"}
    return next((f"not written for {reason}" for reason, holds in reasons.items() if holds), None)


def convolutional(start: Path) -> bool:
    """Whether the network that begins in a folder has convolutions, in whose gradients XLA is slow on a processor."""
    model = tomllib.loads((start / "config.toml").read_text())["model"]
    return any(block["block"] in ("conv", "deconv") for block in [*model["encoder"], *model["decoder"]])


def main() -> None:
    chosen = arguments()
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(chosen, Path(folder))
        try:
            if chosen.warm:
                comparison.warm()
            comparison.run()
            comparison.write()
        finally:
            if comparison.memory:
                comparison.memory.close()
    if said := complaints(comparison.result["rows"], chosen.device):
        raise SystemExit("\n".join(f"error: {line}" for line in said))


if __name__ == "__main__":
    main()
