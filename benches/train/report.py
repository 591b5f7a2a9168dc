"""The rows as Markdown: report.py ROWS.json"""

import json
import sys
from pathlib import Path

HEAD = ["network", "batch", "contender", "images/s", "slowest to fastest", "ours / it", "first step, s",
        "peak memory, MiB", "loss", "from ours", "share of the limit"]
#: Of products in f32 by every contender: ours takes TF32 where its autotuning finds it faster.
OURS = "tf32"


def text(result: dict) -> str:
    """A table with a line a row, under what was measured on."""
    machine, rows = result["machine"], result["rows"]
    lines = [HEAD, ["---"] * len(HEAD)]
    for row in sorted(rows, key=lambda row: [place(rows, row), rows.index(row)]):
        lines.append(cells(row, beside(rows, row), machine))
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{head(machine, result)}\n\n{table}"


def head(machine: dict, result: dict) -> str:
    limits = [f"{machine[kind] / 1e9:,.0f} GFLOP/s in {kind}" for kind in ("f32", "tf32", "bf16") if kind in machine]
    limits += [f"{machine['bytes'] / 1e9:.0f} GB/s copied"] if "bytes" in machine else []
    loops = any(row["contender"] == "jax" for row in result["rows"])
    loop = "; JAX takes all steps in one loop, whose later calls are its windows" if loops else ""
    changed = f", with {', '.join(result['set'])}," if result.get("set") else ""
    warm = "; of first steps an earlier process has compiled the kernels" if result.get("compiled before") else ""
    return (f"{machine.get('device', 'an unknown machine')}; PyTorch {machine.get('torch', '-')} reaches "
            f"{', '.join(limits) or 'nothing'}. {result['steps']} steps{changed} in windows of ten after "
            f"{result['warmup']} that warm up; the loss is that of the last window{loop}{warm}.")


def place(rows: list[dict], row: dict) -> int:
    """Rows of one network and batch stay together, in the order of their first."""
    return next(i for i, other in enumerate(rows) if same(row, other))


def same(row: dict, other: dict) -> bool:
    return (row["network"], row["batch"]) == (other["network"], other["batch"])


def beside(rows: list[dict], row: dict) -> dict:
    """Ours of the same network and batch, and by the same products where it has been told which."""
    found = [other for other in rows if same(row, other) and other["contender"] == "ours" and "error" not in other]
    alike = [other for other in found if products(other) == products(row)]
    return next(iter(alike + found), {})


def products(row: dict) -> str | None:
    """What products are in: of ours only where it was told."""
    return row.get("products") if row["contender"] == "ours" else row.get("precision")


def cells(row: dict, ours: dict, machine: dict) -> list[str]:
    named = row.get("products") or row.get("precision")
    title = row["contender"] + (f", {named}" if named and "tf32" in machine else "")
    start = [row["network"], str(row["batch"]), title]
    if "error" in row:
        return [*start, row["error"].replace("|", "/")[:160], *["-"] * (len(HEAD) - 4)]
    median, slowest, fastest = row["images_per_second"]
    memory = row.get("peak_memory")
    loss, apart = row["losses"][1], "-"
    if ours and row is not ours:
        apart = f"{100 * (loss / ours['losses'][1] - 1):+.2f} %"
    return [*start, f"{median:,.0f}", f"{slowest:,.0f} to {fastest:,.0f}",
            f"{ours['images_per_second'][0] / median:.2f}" if ours else "-", f"{row['first_step_s']:.1f}",
            f"{memory >> 20:,}" if memory else "-", f"{loss:.4g}", apart, share(row, ours, machine)]


def share(row: dict, ours: dict, machine: dict) -> str:
    """The least time in which the machine does a step's arithmetic, or moves its bytes, whichever is more, over the time
    taken."""
    precision = row.get("products") or row.get("precision", OURS)
    arithmetic = machine.get(precision, machine.get("f32"))
    if not arithmetic or not ours.get("step_flops"):
        return "-"
    bounds = {"arithmetic": ours["step_flops"] / arithmetic, "memory": ours["step_bytes"] / machine["bytes"]}
    kind = max(bounds, key=bounds.get)
    return f"{100 * bounds[kind] * row['images_per_second'][0] / row['batch']:.1f} % {kind}"


if __name__ == "__main__":
    print(text(json.loads(Path(sys.argv[1]).read_text())), end="")
