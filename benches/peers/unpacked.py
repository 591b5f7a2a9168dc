"""A bundle for rten 0.27, which reads lists of whole numbers only one by one, and not as packed fields."""

import hashlib
import json
import shutil
from pathlib import Path

import onnx


def copy(bundle: Path, folder: Path) -> Path:
    """The bundle in a folder, its graphs as Python's `onnx` writes them: the same operators and weights."""
    shutil.copytree(bundle, folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for half in ("encoder", "decoder"):
        file = folder / manifest[half]["file"]
        written = onnx.load(file).SerializeToString()
        file.write_bytes(written)
        manifest[half] |= {"bytes": len(written), "sha256": hashlib.sha256(written).hexdigest()}
    path.write_text(json.dumps(manifest))
    return folder
