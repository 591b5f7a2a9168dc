"""What a user of Python writes to reconstruct one picture: script.py BUNDLE IMAGE OUTPUT."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

bundle, source, output = map(Path, sys.argv[1:])
manifest = json.loads((bundle / "manifest.json").read_text())
mode = "L" if manifest["image"]["channels"] == 1 else "RGB"
pixels = np.asarray(Image.open(source).convert(mode), dtype=np.float32) / 255
image = pixels[None, None] if mode == "L" else pixels.transpose(2, 0, 1)[None]

encoder = onnxruntime.InferenceSession(str(bundle / "encoder.onnx"), providers=["CPUExecutionProvider"])
decoder = onnxruntime.InferenceSession(str(bundle / "decoder.onnx"), providers=["CPUExecutionProvider"])
encoded = dict(zip([tensor.name for tensor in encoder.get_outputs()], encoder.run(None, {"image": image})))
latent, *skips = [tensor.name for tensor in decoder.get_inputs()]
given = {latent: encoded["mean"]} | {name: encoded[name] for name in skips}
made = decoder.run(None, given)[0][0].transpose(1, 2, 0)
Image.fromarray((made.clip(0, 1) * 255).round().astype(np.uint8).squeeze()).save(output)
