"""What the machine can do at most, by PyTorch: ceilings.py cuda|cpu [THREADS]

Prints one JSON object: the name of the device, operations a second of a large matrix product for each precision, and
bytes a second of a copy, read and written.
"""

import json
import platform
import sys
import time
from pathlib import Path

import torch


def best(device: str, function, tries: int = 5, repeats: int = 3) -> float:
    """Seconds of the fastest try."""
    taken = []
    function()
    for _ in range(tries):
        settle(device)
        began = time.perf_counter()
        for _ in range(repeats):
            function()
        settle(device)
        taken.append((time.perf_counter() - began) / repeats)
    return min(taken)


def settle(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def name(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor()}, {torch.get_num_threads()} threads"


def main() -> None:
    device = sys.argv[1]
    if device == "cpu":
        torch.set_num_threads(int(sys.argv[2]) if len(sys.argv) > 2 else 2)
    side, values = (8192, 1 << 28) if device == "cuda" else (2048, 1 << 26)
    measured = {"device": name(device), "torch": torch.__version__}
    precisions = {"f32": ("highest", torch.float32), "tf32": ("high", torch.float32),
                  "bf16": ("highest", torch.bfloat16)}
    for precision, (setting, kind) in precisions.items():
        if device == "cpu" and precision != "f32":
            continue
        torch.set_float32_matmul_precision(setting)
        a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
        measured[precision] = 2 * side ** 3 / best(device, lambda: a @ b)
    source = torch.zeros(values, device=device)
    target = torch.empty_like(source)
    measured["bytes"] = 2 * 4 * values / best(device, lambda: target.copy_(source))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
