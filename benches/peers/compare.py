"""The comparison with the peers.

python3 benches/peers/compare.py NAME=BUNDLE... [--half NAME=BUNDLE]... [--program VAE_INFER]

Installs the peers in target/peers-venv the first time, builds the driver, measures, and prints the table. Times are
medians over rounds in which every contender has its turn.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import environment


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=pair, metavar="NAME=BUNDLE", help="a network's f32 export")
    parser.add_argument("--half", action="append", default=[], type=pair, metavar="NAME=BUNDLE",
                        help="the same network's f16 export, for rows with half weights")
    parser.add_argument("--driver", type=Path, help="the built Rust contenders [default: cargo builds them]")
    parser.add_argument("--program", type=Path, help="vae-infer, for the rows of whole processes")
    parser.add_argument("--only", metavar="NETWORK/ENGINE", help="either side may be empty")
    parser.add_argument("--without", action="append", default=[], metavar="ENGINE", help="leaves a contender out")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 0], help="0 for one on every core")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a contender's turn in a round")
    parser.add_argument("--quick", action="store_true", help="two short rounds: does everything run")
    parser.add_argument("--json", type=Path, help="writes every round's median here")
    parser.add_argument("--table", type=Path, help="writes the Markdown here too")
    parser.add_argument("--picture", type=Path, default=Path(__file__).with_name("peers.png"))
    return parser.parse_args()


def pair(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not (Path(path) / "manifest.json").is_file():
        raise argparse.ArgumentTypeError(f"{text} is not NAME=BUNDLE, where BUNDLE is a folder with a manifest.json")
    return name, Path(path).resolve()


def build() -> Path:
    """The driver, by cargo."""
    command = ["cargo", "build", "--release", "-p", "vae-benches", "--bin", "peers", "--features", "peers"]
    subprocess.run(command, cwd=environment.ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", environment.ROOT / "target"))
    return target / "release" / "peers"


def main() -> None:
    chosen = arguments()
    environment.enter()
    import measure
    import picture
    import report
    from contenders import PYTHON, RUST, Contender

    network, _, engine = (chosen.only or "/").partition("/")
    engines = [engine, "python-ort"] if engine else [*RUST, *PYTHON]
    engines = [engine for engine in engines if engine not in chosen.without]
    rounds, seconds = (2, 0.02) if chosen.quick else (chosen.rounds, chosen.seconds)
    driver = (chosen.driver or build()).resolve()
    half = dict(chosen.half)
    rows = []
    for threads in chosen.threads:
        for name, bundle in chosen.bundles:
            if network in ("", name):
                rows += measure.network(name, bundle, half.get(name), threads, chosen.batches, engines, driver,
                                        rounds, seconds)
    machine = Contender("peak", "native", driver)
    arithmetic, memory = map(float, machine.ask("peak 1").split())
    machine.close()
    said = report.table(rows, arithmetic, memory, os.cpu_count())
    said += f"\nPeak of one core: {arithmetic / 1e9:.0f} GFLOP/s, {memory / 1e9:.1f} GB/s read from memory.\n"
    if chosen.program:
        import whole
        said += "\n" + whole.table(chosen.program.resolve(), chosen.bundles[0][1], chosen.quick)
    print(said, end="")
    if chosen.table:
        chosen.table.write_text(said)
    if chosen.json:
        chosen.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
    picture.draw(rows, chosen.picture)


if __name__ == "__main__":
    main()
