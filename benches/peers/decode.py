"""The decoder of pictures alone: decode.py FOLDER reads every file and keeps nothing."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image


def decode(file: Path) -> None:
    Image.open(file).load()


with ThreadPoolExecutor() as threads:
    list(threads.map(decode, sorted(Path(sys.argv[1]).iterdir())))
