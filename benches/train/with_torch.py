"""Training in PyTorch: with_torch.py START... where each START is a folder of compare.py.

Prints one JSON object a row. The images are on the device, batches are gathered and noise is drawn there, and nothing
in a step waits for it.

- eager: in the memory layout that is faster in a trial
- compiled: torch.compile
- graph: the whole eager step captured as a CUDA graph, and replayed
- compiled-graph: the same of the compiled step
- same-noise: eager with the noise of `vae-train`, for its loss

What makes its steps in f64 is its loss alone too.
"""

import argparse
import gc
import json
import resource
import statistics
import time
import tomllib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from network import Vae, feature_weights

WINDOW = 10
MODES = ["eager", "compiled", "graph", "compiled-graph", "same-noise"]
LAYOUTS = [torch.contiguous_format, torch.channels_last]


class Steps:
    """A network in training, one way of running a step."""

    def __init__(self, start: Path, config: dict, features, device: str, mode: str, layout, precision: str):
        kind = torch.float64 if precision == "f64" else torch.float32
        self.order = torch.from_numpy(np.load(start / "order.npy")).to(device)
        self.images = torch.from_numpy(np.load(start / "images.npy")).to(device, kind)
        self.noise = torch.from_numpy(np.load(start / "noise.npy")).to(device, kind) if mode == "same-noise" else None
        self.batch, self.latent = self.order.shape[1], config["model"]["latent"]
        self.device, self.kind, self.half = device, kind, precision == "bf16"
        self.began = time.perf_counter()
        torch.manual_seed(0)
        module = Vae(config, load_file(start / "weights.safetensors"), features)
        module = module.to(device, kind, memory_format=layout)
        trained = [weight for weight in module.parameters() if weight.requires_grad]
        self.module = module
        self.optimizer = torch.optim.AdamW(
            trained, config["train"]["learning_rate"], weight_decay=config["train"].get("weight_decay", 0.0),
            fused=True, capturable=device == "cuda")
        self.forward = torch.compile(module, dynamic=False) if mode.startswith("compiled") else module
        self.index = self.order[0].clone()
        self.graph = None
        if mode.endswith("graph"):
            self.capture()

    def once(self, noise=None) -> torch.Tensor:
        images = self.images[self.index]
        if noise is None:
            noise = torch.randn(self.batch, self.latent, device=self.device, dtype=self.kind)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.half):
            loss = self.forward(images, noise)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def capture(self) -> None:
        """Captures a step, and puts the weights and the optimiser back to where they were."""
        saved = {name: value.clone() for name, value in self.module.state_dict().items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.once()
        torch.cuda.current_stream().wait_stream(stream)
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
        if self.noise is not None:
            return self.once(self.noise[number])
        if self.graph is None:
            return self.once()
        self.graph.replay()
        return self.loss.clone()


def faster_layout(start: Path, config: dict, features, device: str, precision: str):
    """The layout in which an eager step takes less time; without convolutions there is one."""
    if not any(block["block"] in ("conv", "deconv") for block in config["model"]["encoder"]):
        return LAYOUTS[0]
    taken = []
    for layout in LAYOUTS:
        steps = Steps(start, config, features, device, "eager", layout, precision)
        for number in range(2):
            steps.step(number).item()
        began = time.perf_counter()
        torch.stack([steps.step(2 + number) for number in range(3)]).cpu()
        taken.append(time.perf_counter() - began)
    return LAYOUTS[taken.index(min(taken))]


def measure(start: Path, config: dict, features, device: str, mode: str, layout, precision: str,
            warmup: int) -> dict:
    steps = Steps(start, config, features, device, mode, layout, precision)
    rates, losses, first = [], [], 0.0
    for number in range(warmup):
        loss = steps.step(number)
        if number == 0:
            loss.item()
            first = time.perf_counter() - steps.began
    loss.item()
    warm = time.perf_counter() - steps.began
    for window in range(warmup, len(steps.order) - WINDOW + 1, WINDOW):
        began = time.perf_counter()
        made = [steps.step(window + number) for number in range(WINDOW)]
        losses.append(torch.stack(made).mean().item())
        rates.append(WINDOW * steps.batch / (time.perf_counter() - began))
    return {"first_step_s": first, "warmup_s": warm, "peak_memory": memory(device),
            "images_per_second": [statistics.median(rates), min(rates), max(rates)],
            "losses": [losses[0], losses[-1]],
            "layout": "channels last" if layout == torch.channels_last else "contiguous"}


def memory(device: str) -> int:
    """The most that the process has taken; on a GPU what the device lacks, since a row frees nothing before its end."""
    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        return total - free
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("starts", type=Path, nargs="+", metavar="START")
    parser.add_argument("--features", type=Path, help="features.toml of the perceptual term")
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--precisions", nargs="+", default=["f32"], choices=["f32", "tf32", "bf16", "f64"],
                        help="of products; bf16 is autocast, with products in tf32 beside, and f64 is of everything")
    parser.add_argument("--warmup", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.backends.cudnn.benchmark = True
    for start in chosen.starts:
        config, features = tomllib.loads((start / "config.toml").read_text()), None
        if config["train"].get("perceptual"):
            description = tomllib.loads(chosen.features.read_text())
            weights = load_file(chosen.features.parent / description["weights"]["file"])
            features = description, feature_weights(weights, description["weights"]["layers"], description["blocks"])
        for precision in chosen.precisions:
            coarse = precision in ("tf32", "bf16")
            torch.set_float32_matmul_precision("high" if coarse else "highest")
            torch.backends.cudnn.allow_tf32 = coarse
            layout = None
            for mode in chosen.modes:
                try:
                    torch._dynamo.reset()
                    if layout is None:
                        layout = faster_layout(start, config, features, chosen.device, precision)
                        clear(chosen.device)
                    row = measure(start, config, features, chosen.device, mode, layout, precision,
                                  chosen.warmup)
                except Exception as error:  # whatever a library throws is its row
                    row = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
                clear(chosen.device)
                print(json.dumps({"start": start.name, "contender": f"torch-{mode}", "precision": precision, **row}),
                      flush=True)


def clear(device: str) -> None:
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
