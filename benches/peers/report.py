"""The rows as a table."""

from contenders import PEERS
from measure import Row

COLUMNS = ["native", "tract", "ort", *PEERS, "rten", "plain-tract"]
HEAD = ["network", "threads", "batch", *COLUMNS, "native / best peer", "native's share of the peak", "difference"]


def table(rows: list[Row], arithmetic: float, memory: float, cores: int) -> str:
    """Markdown: median microseconds, a line for each network, precision, number of threads and batch."""
    lines = [HEAD, ["---"] * len(HEAD)]
    for key in dict.fromkeys(map(place, rows)):
        of = {row.contender.removesuffix(" f16"): row for row in rows if place(row) == key and row.rounds}
        name, half, threads, batch = key
        times = [f"{of[column].median * 1e6:,.0f}" if column in of else "-" for column in COLUMNS]
        native = of.get("native")
        end = ["-"] * 3
        if native:
            best = best_peer(rows, native)
            end = [f"{native.median / best:.2f}" if best else "-",
                   share(native, arithmetic, memory, threads or cores), f"{native.difference:.0e}"]
        lines.append([name + " f16" * half, str(threads or cores), str(batch), *times, *end])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def place(row: Row) -> tuple[str, bool, int, int]:
    """The line that a row belongs to."""
    return row.network, row.contender.endswith(" f16"), row.threads, row.batch


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
