"""Processes that print a row a line, and the memory that they take."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

#: What a row says that there was no time for.
LATE = "no time left"


class CardMemory:
    """The memory in use on the first GPU, as its driver tells many times a second."""

    def __init__(self):
        command = ["nvidia-smi", "-i", "0", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-lms", "50"]
        self.idle = self.most = self.process = None
        try:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            return
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def watch(self) -> None:
        for line in self.process.stdout:
            if line.strip().isdigit():
                used = int(line) << 20
                self.idle = used if self.idle is None else self.idle
                self.most = used if self.most is None else max(self.most, used)

    def taken(self) -> int | None:
        """The most beyond what was in use at first, since the last time that it was asked."""
        most, self.most = self.most, None
        return None if most is None else max(0, most - self.idle)

    def close(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()


def rows(command: list[str], surroundings: dict[str, str], seconds: float, memory: CardMemory | None,
         folder: Path) -> Iterator[dict]:
    """The JSON lines that a process prints, as they come; a last one with `error` where it does not start, fails or is
    out of time."""
    complaint = []
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=surroundings, cwd=folder)
    except OSError as error:
        print(f"{command[0]} does not start: {error.strerror}", file=sys.stderr)
        yield {"error": f"it does not start: {error.strerror}"}
        return
    listener = threading.Thread(target=lambda: complaint.extend(process.stderr), daemon=True)
    listener.start()
    late = threading.Event()
    timer = threading.Timer(min(max(seconds, 1.0), 1e6), lambda: (late.set(), process.kill()))
    timer.start()
    try:
        if memory:
            memory.taken()
        for line in process.stdout:
            if line.startswith("{"):
                row = json.loads(line)
                taken = memory.taken() if memory else None
                yield row if taken is None else row | {"peak_memory": taken}
        code = process.wait()
    finally:
        timer.cancel()
        process.kill()
    listener.join(1)
    if late.is_set():
        yield {"error": LATE}
    elif code != 0:
        said = " ".join("".join(complaint).split())
        print(f"{command[0]}: {said[-2000:]}", file=sys.stderr)
        yield {"error": said[-300:] or f"it ended with {code}"}
