"""What a user of Python writes for a folder: loop.py BUNDLE FOLDER [OUTPUT].

Prints the mean squared error of every picture, as a batch of 64 after the other is reconstructed; with OUTPUT, writes
the reconstructions there.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

bundle, folder, *output = map(Path, sys.argv[1:])
mode = "L" if json.loads((bundle / "manifest.json").read_text())["image"]["channels"] == 1 else "RGB"
encoder = onnxruntime.InferenceSession(str(bundle / "encoder.onnx"), providers=["CPUExecutionProvider"])
decoder = onnxruntime.InferenceSession(str(bundle / "decoder.onnx"), providers=["CPUExecutionProvider"])
outputs = [tensor.name for tensor in encoder.get_outputs()]
latent, *skips = [tensor.name for tensor in decoder.get_inputs()]
files = sorted(folder.iterdir())
for first in range(0, len(files), 64):
    batch = files[first:first + 64]
    pictures = [np.asarray(Image.open(file).convert(mode), dtype=np.float32) / 255 for file in batch]
    images = np.stack([p[None] if mode == "L" else p.transpose(2, 0, 1) for p in pictures])
    encoded = dict(zip(outputs, encoder.run(None, {"image": images})))
    given = {latent: encoded["mean"]} | {name: encoded[name] for name in skips}
    made = decoder.run(None, given)[0]
    for file, image, back in zip(batch, images, made):
        print(file, float(((image - back) ** 2).mean()))
        if output:
            grey = (back.transpose(1, 2, 0).clip(0, 1) * 255).round().astype(np.uint8).squeeze()
            Image.fromarray(grey).save(output[0] / file.name)
