"""The virtual environment of the peers, in target/peers-venv."""

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "target" / "peers-venv"
PYTHON = FOLDER / "bin" / "python"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
TORCH = Path(__file__).with_name("torch.txt")


def enter() -> None:
    """Makes the environment where it is missing or old, and goes on in it."""
    if Path(sys.prefix) == FOLDER:
        return
    wanted = REQUIREMENTS.read_text() + TORCH.read_text()
    stamp = FOLDER / "requirements"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing the peers in {FOLDER}", file=sys.stderr)
        venv.create(FOLDER, with_pip=True)
        install = [PYTHON, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "--requirement", REQUIREMENTS], check=True)
        # Without what it depends on: the wheel asks for gigabytes of GPU libraries that a processor never loads.
        subprocess.run([*install, "--no-deps", "--requirement", TORCH], check=True)
        stamp.write_text(wanted)
    os.execv(PYTHON, [PYTHON, *sys.argv])
