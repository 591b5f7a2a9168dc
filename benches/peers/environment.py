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


def enter() -> None:
    """Makes the environment where it is missing or old, and goes on in it."""
    if Path(sys.prefix) == FOLDER:
        return
    wanted = REQUIREMENTS.read_text()
    stamp = FOLDER / "requirements"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing the peers in {FOLDER}", file=sys.stderr)
        # What an installation that was broken off has left is in the way of another.
        venv.create(FOLDER, clear=True, with_pip=True)
        # PyTorch's Linux wheel loads its GPU libraries even where only the processor is used, so they come too.
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    os.execv(PYTHON, [PYTHON, *sys.argv])
