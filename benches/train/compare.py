"""How fast networks train, beside PyTorch and JAX: compare.py --program VAE_TRAIN --device cuda

Every network begins in every contender with the same weights, images and order, which `vae-train benchmark training
--start` writes. Rows are written as they come, the most important first; a contender that fails says why. Python needs
torch, safetensors and numpy; for JAX jax and optax. `--warm` runs ours and PyTorch's on all networks at once before
anything is measured: what they compile and choose is kept on disk (for ours where `[compilation] cache = true` in
`cubecl.toml` says so).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FEATURES = ROOT / "trainer/assets/features/letters/features.toml"
NETWORKS = {"mnist-conv": "mnist-conv", "mnist-mlp": "mnist-mlp", "emnist-perceptual": "emnist-perceptual",
            "eyes-vae": "eyes-vae", "wide": str(ROOT / "benches/wide.toml")}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="vae-train, built with the device")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 1024, 32])
    parser.add_argument("--contenders", nargs="+", default=["ours", "torch", "jax"], choices=["ours", "torch", "jax"])
    parser.add_argument("--modes", nargs="+", default=["eager", "compiled", "graph"])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--warmup", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2, help="on the processor")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds after which no row is begun")
    parser.add_argument("--warm", type=float, default=0, help="seconds for warming up all networks at once")
    parser.add_argument("--json", type=Path, help="every row as it comes")
    return parser.parse_args()


class Comparison:
    """Rows under one set of options."""

    def __init__(self, chosen: argparse.Namespace, folder: Path):
        self.chosen, self.folder, self.rows = chosen, folder, []
        self.end = time.monotonic() + chosen.budget

    def run(self) -> None:
        others = [[name for name in self.chosen.contenders if name != "jax"], ["jax"]]
        for batch in self.chosen.batches:
            for contenders in others:
                for network in self.chosen.networks:
                    for contender in contenders:
                        if contender in self.chosen.contenders:
                            self.measure(network, batch, contender)

    def measure(self, network: str, batch: int, contender: str) -> None:
        """The rows of a contender, in a process of its own."""
        left = self.end - time.monotonic()
        if left < 0:
            return self.record(network, batch, contender, {"error": "no time left"})
        try:
            done = subprocess.run(self.command(network, batch, contender), capture_output=True, text=True,
                                  env=self.surroundings(), timeout=None if left == float("inf") else left)
            printed, complaint = done.stdout, done.stderr
        except subprocess.TimeoutExpired as expired:
            printed, complaint = (expired.stdout or b"").decode(), "it took longer than there was time"
        rows = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
        for row in rows or [{"error": " ".join(complaint.split())[-300:]}]:
            self.record(network, batch, contender, row)

    def record(self, network: str, batch: int, contender: str, row: dict) -> None:
        self.rows.append({"network": network, "batch": batch, "contender": contender, **row})
        print(json.dumps(self.rows[-1]), flush=True)
        if self.chosen.json:
            self.chosen.json.write_text(json.dumps(self.rows, indent=1))

    def command(self, network: str, batch: int, contender: str) -> list[str]:
        chosen, start = self.chosen, self.folder / f"{network}-{batch}"
        if contender == "ours":
            return [chosen.program, "benchmark", "training", NETWORKS[network], "--batch", str(batch), "--steps",
                    str(chosen.steps), "--warmup", str(chosen.warmup), "--start", str(start), "--device",
                    chosen.device, "--format", "json"]
        start.mkdir(parents=True, exist_ok=True)
        given, configuration = NETWORKS[network], start / "config.toml"
        configuration.write_text(Path(given).read_text() if given.endswith(".toml") else subprocess.run(
            [chosen.program, "presets", given], capture_output=True, text=True, check=True).stdout)
        script = Path(__file__).with_name(f"with_{contender}.py")
        command = [sys.executable, str(script), str(start), str(configuration), "--features", str(FEATURES),
                   "--warmup", str(chosen.warmup)]
        if contender == "torch":
            command += ["--device", chosen.device, "--modes", *chosen.modes, "--threads", str(chosen.threads)]
        return command

    def surroundings(self) -> dict[str, str]:
        if self.chosen.device == "cuda":
            return dict(os.environ)
        return os.environ | {"RAYON_NUM_THREADS": str(self.chosen.threads)}

    def warm(self) -> None:
        """Compiles all that ours and PyTorch compile for the first of the batches."""
        batch, until = self.chosen.batches[0], time.monotonic() + self.chosen.warm
        started, running = {}, []
        for network in self.chosen.networks:
            running.append((network, self.begin(network, batch, "ours")))
            started[network] = self.folder / f"{network}-{batch}" / "weights.safetensors"
        while started and time.monotonic() < until and "torch" in self.chosen.contenders:
            for network in [network for network, file in started.items() if file.exists()]:
                del started[network]
                running.append((network, self.begin(network, batch, "torch")))
            time.sleep(0.1)
        for network, process in running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
                said = "warm"
            except subprocess.TimeoutExpired:
                process.kill()
                said = "still warming up"
            print(f"{network}, {Path(process.args[0]).name}: {said}", file=sys.stderr, flush=True)

    def begin(self, network: str, batch: int, contender: str) -> subprocess.Popen:
        return subprocess.Popen(self.command(network, batch, contender), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, env=self.surroundings())


def main() -> None:
    chosen = arguments()
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(chosen, Path(folder))
        if chosen.warm:
            comparison.warm()
        comparison.run()


if __name__ == "__main__":
    main()
