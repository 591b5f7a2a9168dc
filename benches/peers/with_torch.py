"""PyTorch, eager and compiled, in the memory layout that is faster."""

from pathlib import Path

import torch
from interpret import Network


def prepare(engine: str, files: list[Path], passed_on: list[int], threads: int, images):
    torch.set_num_threads(threads)
    layouts = [torch.contiguous_format, torch.channels_last]
    return [way(engine, files, passed_on, layout) for layout in layouts]


def way(engine: str, files: list[Path], passed_on: list[int], layout: torch.memory_format):
    encoder, decoder = (Network(file).eval().to(memory_format=layout) for file in files)

    def forward(images):
        encoded = encoder(images)
        return decoder(*(encoded[i] for i in passed_on))[0]

    if engine == "torch-compiled":
        torch._inductor.config.compile_threads = 1
        torch._inductor.config.freezing = True
        forward = torch.compile(forward, dynamic=False)

    def reconstruct(images):
        with torch.inference_mode():
            return forward(torch.from_numpy(images).to(memory_format=layout)).contiguous().numpy()

    return reconstruct
