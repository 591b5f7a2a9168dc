"""The rows as a table."""

from contenders import PEERS
from measure import Row

HEAD = ["network", "threads", "batch", "contender", "median, µs", "least to most", "of the best peer",
        "of the peak", "difference"]


def table(rows: list[Row], arithmetic: float, memory: float, cores: int) -> str:
    """Markdown: a block of rows for each network, number of threads and batch."""
    lines = [HEAD, ["---"] * len(HEAD)]
    for row in rows:
        if not row.rounds:
            lines.append([row.network, str(row.threads or cores), str(row.batch), f"`{row.contender}`", *["-"] * 5])
            continue
        best = best_peer(rows, row)
        ratio = f"{row.median / best:.2f}" if best else "-"
        if best and row.contender not in PEERS and row.median <= best:
            ratio = f"**{ratio}**"
        lines.append([row.network, str(row.threads or cores), str(row.batch), f"`{row.contender}`",
                      f"{row.median * 1e6:,.0f}", f"{min(row.rounds) * 1e6:,.0f} to {max(row.rounds) * 1e6:,.0f}",
                      ratio, share(row, arithmetic, memory, row.threads or cores), f"{row.difference:.0e}"])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def best_peer(rows: list[Row], row: Row) -> float | None:
    """The least median of the Python peers beside a row."""
    beside = [r.median for r in rows if r.rounds and r.contender in PEERS
              and (r.network, r.threads, r.batch) == (row.network, row.threads, row.batch)]
    return min(beside, default=None)


def share(row: Row, arithmetic: float, memory: float, threads: int) -> str:
    """The least time that the machine could take over what was taken: for the operations of the batch, or for
    reading every weight once, whichever is more. Weights that a cache holds can be read faster than that."""
    bounds = {"arithmetic": row.batch * row.flops / (arithmetic * threads), "memory": row.weights / memory}
    kind = max(bounds, key=bounds.get)
    return f"{100 * bounds[kind] / row.median:.0f} % {kind}"
