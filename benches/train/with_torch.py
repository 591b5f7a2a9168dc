"""Training in PyTorch: with_torch.py START CONFIG.toml, where START is what `vae-train benchmark training --start` wrote.

Prints one JSON object a row: eager, compiled, and replayed as a CUDA graph. The images are on the device, batches are
gathered there, noise is drawn there, and nothing in a step waits for it.
"""

import argparse
import json
import resource
import time
import tomllib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from network import Vae, feature_weights, flops

WINDOW = 10


class Steps:
    """A network in training, one way of running a step."""

    def __init__(self, start: Path, config: dict, features, device: str, mode: str):
        self.order = torch.from_numpy(np.load(start / "order.npy")).to(device)
        self.images = torch.from_numpy(np.load(start / "images.npy")).to(device)
        self.batch = self.order.shape[1]
        self.latent = config["model"]["latent"]
        self.device, self.began = device, time.perf_counter()
        torch.manual_seed(0)
        self.module = Vae(config, load_file(start / "weights.safetensors"), features).to(device)
        self.flops = flops(config, self.module, self.images[:1])
        trained = [weight for weight in self.module.parameters() if weight.requires_grad]
        on_gpu = device == "cuda"
        self.optimizer = torch.optim.AdamW(
            trained, config["train"]["learning_rate"], weight_decay=config["train"].get("weight_decay", 0.0),
            fused=True, **({"capturable": True} if on_gpu else {}))
        self.forward = torch.compile(self.module) if mode == "compiled" else self.module
        self.index = self.order[0].clone()
        self.graph = None
        if mode == "graph":
            self.capture()

    def once(self) -> torch.Tensor:
        images = self.images[self.index]
        epsilon = torch.randn(self.batch, self.latent, device=self.device)
        loss = self.forward(images, epsilon)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def capture(self) -> None:
        saved = {name: value.clone() for name, value in self.module.state_dict().items()}
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.once()
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss = self.once()
        with torch.no_grad():
            for name, value in self.module.state_dict().items():
                value.copy_(saved[name])
            for state in self.optimizer.state.values():
                for value in state.values():
                    value.zero_()

    def step(self, number: int) -> torch.Tensor:
        self.index.copy_(self.order[number])
        if self.graph is None:
            return self.once()
        self.graph.replay()
        return self.loss.clone()


def measure(start: Path, config: dict, features, device: str, mode: str, warmup: int) -> dict:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    steps = Steps(start, config, features, device, mode)
    rates, losses, first = [], [], None
    for number in range(warmup):
        loss = steps.step(number).item()
        first = first or time.perf_counter() - steps.began
    warm = time.perf_counter() - steps.began
    for window in range(warmup, len(steps.order) - WINDOW + 1, WINDOW):
        began = time.perf_counter()
        made = [steps.step(window + number) for number in range(WINDOW)]
        losses.append(torch.stack(made).mean().item())
        rates.append(WINDOW * steps.batch / (time.perf_counter() - began))
    rates.sort()
    median = rates[len(rates) // 2]
    memory = torch.cuda.max_memory_allocated() if device == "cuda" else resource.getrusage(
        resource.RUSAGE_SELF).ru_maxrss << 10
    return {"network": config["name"], "contender": f"torch-{mode}", "batch": steps.batch, "first_step_s": first,
            "warmup_s": warm, "images_per_second": [median, rates[0], rates[-1]],
            "flops_per_second": steps.flops * median, "peak_memory": memory, "losses": [losses[0], losses[-1]]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("start", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--features", type=Path, help="features.toml of the perceptual term")
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--modes", nargs="+", default=["eager", "compiled", "graph"])
    parser.add_argument("--warmup", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    config, features = tomllib.loads(chosen.config.read_text()), None
    if config["train"].get("perceptual"):
        description = tomllib.loads(chosen.features.read_text())
        weights = load_file(chosen.features.parent / description["weights"]["file"])
        features = description, feature_weights(weights, description["weights"]["layers"], description["blocks"])
    for mode in chosen.modes:
        try:
            row = measure(chosen.start, config, features, chosen.device, mode, chosen.warmup)
        except Exception as error:  # whatever a library throws is its row
            row = {"network": config["name"], "contender": f"torch-{mode}", "error": " ".join(str(error).split())[:300]}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
