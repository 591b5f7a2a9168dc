"""How fast networks train, beside PyTorch and JAX: compare.py --program VAE_TRAIN --device cuda

Every network begins in every contender with the same weights, images and order, which `vae-train benchmark training
--start` writes. Rows are written as they come, the most important first; a contender that fails says why. Python needs
torch, safetensors and numpy; for JAX jax and optax. `--warm` runs all networks of ours at once before anything is measured:
what Burn compiles and chooses is kept where `cubecl.toml` says.
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


def main() -> None:
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
    parser.add_argument("--warm", type=float, default=0, help="seconds for all networks of ours at once, beforehand")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    began = time.monotonic()
    rows = []

    def record(row: dict) -> None:
        rows.append(row)
        print(json.dumps(row), flush=True)
        if chosen.json:
            chosen.json.write_text(json.dumps(rows, indent=1))

    def left() -> float:
        return chosen.budget - (time.monotonic() - began)

    with tempfile.TemporaryDirectory() as folder:
        if chosen.warm:
            warm(chosen, Path(folder))
        for batch in chosen.batches:
            for network in chosen.networks:
                start = Path(folder) / f"{network}-{batch}"
                for contender in chosen.contenders:
                    if left() < 0:
                        record({"network": network, "batch": batch, "contender": contender, "error": "no time left"})
                        continue
                    for row in measure(chosen, network, batch, contender, start, left()):
                        record({"network": network, "batch": batch, **row})


def warm(chosen, folder: Path) -> None:
    running = [subprocess.Popen(ours(chosen, network, chosen.batches[0], folder / f"warm-{network}"),
                                stdout=subprocess.DEVNULL, env=surroundings(chosen)) for network in chosen.networks]
    until = time.monotonic() + chosen.warm
    for process, network in zip(running, chosen.networks):
        try:
            process.wait(max(0.0, until - time.monotonic()))
            print(f"{network}: warm", file=sys.stderr)
        except subprocess.TimeoutExpired:
            print(f"{network}: still warming up", file=sys.stderr)
            process.kill()


def ours(chosen, network: str, batch: int, start: Path) -> list[str]:
    return [chosen.program, "benchmark", "training", NETWORKS[network], "--batch", str(batch), "--steps",
            str(chosen.steps), "--warmup", str(chosen.warmup), "--start", str(start), "--device", chosen.device,
            "--format", "json"]


def surroundings(chosen) -> dict[str, str]:
    if chosen.device == "cuda":
        return dict(os.environ)
    return os.environ | {"RAYON_NUM_THREADS": str(chosen.threads)}


def measure(chosen, network: str, batch: int, contender: str, start: Path, seconds: float) -> list[dict]:
    """The rows of a contender, in a process of its own."""
    if contender == "ours":
        command = ours(chosen, network, batch, start)
    else:
        configuration = start / "config.toml"
        if not configuration.exists():
            start.mkdir(parents=True, exist_ok=True)
            given = NETWORKS[network]
            text = Path(given).read_text() if given.endswith(".toml") else subprocess.run(
                [chosen.program, "presets", given], capture_output=True, text=True, check=True).stdout
            configuration.write_text(text)
        script = Path(__file__).with_name(f"with_{contender}.py")
        command = [sys.executable, str(script), str(start), str(configuration), "--features", str(FEATURES),
                   "--warmup", str(chosen.warmup)]
        if contender == "torch":
            command += ["--device", chosen.device, "--modes", *chosen.modes, "--threads", str(chosen.threads)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=surroundings(chosen),
                              timeout=None if seconds == float("inf") else max(1.0, seconds))
        printed, complaint = done.stdout, done.stderr
    except subprocess.TimeoutExpired as expired:
        printed, complaint = (expired.stdout or b"").decode(), "it took longer than there was time"
    rows = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    rows = [{"contender": contender, **row} for row in rows]
    return rows or [{"contender": contender, "error": " ".join(complaint.split())[-300:]}]


if __name__ == "__main__":
    main()
