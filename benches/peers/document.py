"""Markdown with a part that a program writes, between two markers."""

import os
from pathlib import Path

BEGIN, END = "<!-- peers: begin -->\n", "<!-- peers: end -->\n"


def refusal(path: Path) -> str | None:
    """Why nothing can be inserted, which a file that does not exist yet is no reason for."""
    if path.exists() and not (BEGIN in path.read_text() and END in path.read_text().partition(BEGIN)[2]):
        return f"{path} has no lines {BEGIN.strip()} and {END.strip()} to write between"
    return None


def insert(said: str, path: Path) -> None:
    """Puts text between the markers of a file, or in a new file that has nothing else."""
    if reason := refusal(path):
        raise SystemExit(f"error: {reason}")
    before, _, rest = (path.read_text() if path.exists() else BEGIN + END).partition(BEGIN)
    write(path, before + BEGIN + said + END + rest.partition(END)[2])


def write(path: Path, text: str) -> None:
    """Whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)
