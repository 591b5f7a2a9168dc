"""What was measured, in a file that every run adds to."""

import json
from dataclasses import asdict
from pathlib import Path

from document import write
from folders import Rate
from measure import Row
from whole import Process

KINDS = {"engines": Row, "processes": Process, "folders": Rate}


class Results:
    """Rows of every part: of earlier runs from a file, if there is one, and of this."""

    def __init__(self, path: Path | None):
        self.path = path
        self.engines, self.processes, self.folders = [], [], []
        if path and path.exists():
            try:
                kept = json.loads(path.read_text())
                for part, kind in KINDS.items():
                    setattr(self, part, [kind(**row) for row in kept[part]])
            except (ValueError, TypeError, KeyError) as error:
                raise SystemExit(f"error: {path} is not what compare.py writes: {error!r}")

    def add(self, part: str, rows: list) -> None:
        """Takes the rows of whole lines: what a line compares was measured in one run."""
        kept = getattr(self, part)
        order = list(dict.fromkeys(row.line for row in [*kept, *rows]))
        measured = {row.line for row in rows}
        merged = [row for row in kept if row.line not in measured] + rows
        setattr(self, part, sorted(merged, key=lambda row: order.index(row.line)))
        if self.path:
            self.write()

    def write(self) -> None:
        """JSON with a line for each row."""
        parts = []
        for part in KINDS:
            lines = ",\n".join(json.dumps(asdict(row)) for row in getattr(self, part))
            parts.append(f'"{part}": [\n{lines}\n]')
        write(self.path, "{" + ",\n".join(parts) + "}\n")
