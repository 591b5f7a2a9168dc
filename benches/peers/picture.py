"""The rows as bars."""

from pathlib import Path

import matplotlib
from measure import Row
from report import best_peer

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


def draw(rows: list[Row], path: Path) -> None:
    """Times over the best peer's on one thread: a panel for each network and batch, shorter is faster."""
    rows = [row for row in rows if row.threads == 1 and row.rounds and best_peer(rows, row)]
    networks = list(dict.fromkeys(row.network for row in rows))
    batches = sorted({row.batch for row in rows})
    if not rows:
        return
    figure, panels = pyplot.subplots(len(networks), len(batches), squeeze=False, layout="constrained",
                                     figsize=(4 * len(batches), 2.6 * len(networks)))
    for name, across in zip(networks, panels):
        for batch, panel in zip(batches, across):
            bars = [row for row in rows if (row.network, row.batch) == (name, batch)]
            ratios = [row.median / best_peer(rows, row).median for row in bars]
            colours = ["tab:orange" if row.contender.startswith("native") else "tab:gray" for row in bars]
            panel.barh([row.contender for row in bars], ratios, color=colours)
            panel.axvline(1, color="black", linewidth=0.8)
            panel.invert_yaxis()
            panel.set_title(f"{name}, batch {batch}", fontsize=9)
            panel.tick_params(labelsize=7)
    figure.supxlabel("time over the best of Python ORT, OpenVINO and PyTorch, one thread", fontsize=9)
    figure.savefig(path, dpi=110)
