"""The rows as tables in Markdown."""

import statistics

from contenders import PEERS
from folders import Rate
from measure import Row
from whole import Process

COLUMNS = {"native": "native", "tract": "tract", "ort": "ort", "plain-tract": "plain tract", "rten": "rten",
           "python-ort": "Python ORT", "openvino": "OpenVINO", "torch": "PyTorch",
           "torch-compiled": "PyTorch compiled"}


def text(results) -> str:
    """The tables of what was measured."""
    parts = [(engines, results.engines), (processes, results.processes), (folders, results.folders)]
    return "\n".join(table(rows) for table, rows in parts if rows)


def engines(rows: list[Row]) -> str:
    """Median microseconds, a line for each network, precision, number of threads and batch."""
    columns = [column for column in COLUMNS if any(row.engine == column for row in rows)]
    head = ["network", "threads", "batch", *(COLUMNS[column] for column in columns), "native / best peer",
            "native's rounds", "best peer's rounds", "share of the peak", "difference"]
    networks = list(dict.fromkeys(row.network for row in rows))
    rows = sorted(rows, key=lambda row: (row.threads, networks.index(row.network), row.batch))
    peak = max(row.arithmetic for row in rows), max(row.bandwidth for row in rows)
    lines = []
    for key in dict.fromkeys((*row.line, row.precision) for row in rows):
        threads, network, batch, precision = key
        of = {row.engine: row for row in rows if (*row.line, row.precision) == key and row.rounds}
        times = [f"{of[column].median * 1e6:,.0f}" if column in of else "-" for column in columns]
        end = held(of.get("native"), rows, *peak)
        lines.append([f"{network} {precision}".strip(), str(threads), str(batch), *times, *end])
    arithmetic, bandwidth = (f"{most / 1e9:,.0f}" for most in peak)
    rounds = between([len(row.rounds) for row in rows if row.rounds] or [0], "d", " to ")
    return f"{markdown(head, lines)}\nPeak of one core: {arithmetic} GFLOP/s, {bandwidth} GB/s. Rounds: {rounds}.\n"


def held(native: Row | None, rows: list[Row], arithmetic: float, bandwidth: float) -> list[str]:
    """Native against its best peer, the machine and the reference."""
    if not native:
        return ["-"] * 5
    best = best_peer(rows, native)
    ratio, rounds = (f"{native.median / best.median:.2f}", spread(best)) if best else ("-", "-")
    return [ratio, spread(native), rounds, share(native, arithmetic, bandwidth), f"{native.difference:.0e}"]


def best_peer(rows: list[Row], row: Row) -> Row | None:
    """The fastest of the Python peers beside a row, in its precision or in f32."""
    beside = [r for r in rows if r.rounds and r.engine in PEERS and r.line == row.line
              and r.precision in ("", row.precision)]
    return min(beside, key=lambda r: r.median, default=None)


def spread(row: Row) -> str:
    return between([seconds * 1e6 for seconds in row.rounds], ",.0f", " – ")


def share(row: Row, arithmetic: float, bandwidth: float) -> str:
    """The least time that the machine could take over what was taken: for the operations of the batch, or for
    reading every weight once, whichever is more. Weights that a cache holds can be read faster than that. The
    machine's operations are of f32, so that none in int8 is a share of them."""
    if row.precision == "int8":
        return "-"
    bounds = {"arithmetic": row.batch * row.flops / (arithmetic * row.threads), "memory": row.weights / bandwidth}
    kind = max(bounds, key=bounds.get)
    return f"{100 * bounds[kind] / row.median:.0f} % {kind}"


def processes(rows: list[Process]) -> str:
    """Median times with the lowest and the highest, and median peaks of memory; a line for each task."""
    head = ["network", "pictures", "whole process", "`vae-infer`, ms", "Python, ms", "time / Python's",
            "`vae-infer`, MiB", "Python, MiB", "memory / Python's"]
    lines = []
    for line in dict.fromkeys(row.line for row in rows):
        network, pictures, task = line
        ours, python = ({row.program: row for row in rows if row.line == line}[name] for name in Process.PROGRAMS)
        times = [[seconds * 1e3 for seconds in row.seconds] for row in (ours, python)]
        memory = [statistics.median(row.memory) for row in (ours, python)]
        lines.append([network, f"{pictures:,}", task, *(cell(time, ",.1f") for time in times), ratio(*times),
                      *(f"{peak:.0f}" for peak in memory), f"{memory[0] / memory[1]:.2f}"])
    return markdown(head, lines)


def folders(rows: list[Rate]) -> str:
    """Median pictures a second with the lowest and the highest; a line for each network and number of threads."""
    head = ["network", "files", "threads", "`vae-infer score`, files/s", "engine alone", "decoder alone",
            "engine on one thread", "decoder on one thread", "Python's loop", "score / engine",
            "score / one after the other", "score / slower one on one thread", "score / Python's loop"]
    lines = []
    for line in dict.fromkeys(row.line for row in rows):
        network, threads, files = line
        of = {row.contender: row.rounds for row in rows if row.line == line}
        score = of["score"]
        engine, decoder, *alone = (of[f"{part} {n}"] for n in (threads, 1) for part in ("engine", "decoder"))
        rates = [score, engine, decoder, *alone, of["python"]]
        after = [1 / (1 / e + 1 / d) for e, d in zip(engine, decoder)]
        slower = min(alone, key=statistics.median)
        ratios = [ratio(score, other) for other in (engine, after, slower, of["python"])]
        lines.append([network, f"{files:,}", str(threads), *(cell(rate, ",.0f") for rate in rates), *ratios])
    return markdown(head, lines)


def ratio(these: list[float], those: list[float]) -> str:
    """Of medians, with three digits where it is small."""
    value = statistics.median(these) / statistics.median(those)
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def cell(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({between(values, form, ' – ')})"


def between(values: list, form: str, word: str) -> str:
    """The lowest and the highest, or what both are."""
    return word.join(dict.fromkeys(f"{value:{form}}" for value in (min(values), max(values))))


def markdown(head: list[str], lines: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *lines])
