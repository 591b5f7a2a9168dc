"""The comparison with the peers.

python3 benches/peers/compare.py --make VAE_TRAIN [--threads N...] [--without ENGINE...]
python3 benches/peers/compare.py NAME=BUNDLE... [--half NAME=BUNDLE]... [--eight NAME=BUNDLE]...
python3 benches/peers/compare.py NAME=BUNDLE... --measure processes --program VAE_INFER
python3 benches/peers/compare.py NAME=BUNDLE... --measure folders --program VAE_INFER --folder NAME=DIR...

Installs the peers in target/peers-venv the first time, builds the driver, measures, and prints the tables. Times are
medians over rounds in which every contender has its turn. Every round is kept in peers.json, where a run replaces the
lines that it measured again and no others; the tables between the markers of benches/README.md and the picture are made
from all that is kept, with no bundle from that alone. Trials (--quick, --only) and runs with another --json write no
file but those that are named.
"""

import argparse
import os
import subprocess
from pathlib import Path

import document
import environment
import make
from contenders import PYTHON, RUST

HERE = Path(__file__).resolve().parent
PARTS = ["engines", "processes", "folders"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", type=bundle, metavar="NAME=BUNDLE", help="a network's f32 export")
    parser.add_argument("--half", action="append", default=[], type=bundle, metavar="NAME=BUNDLE",
                        help="the same network's f16 export, for rows with half weights")
    parser.add_argument("--eight", action="append", default=[], type=bundle, metavar="NAME=BUNDLE",
                        help="the same network's int8 export, for rows in eight bits")
    parser.add_argument("--make", type=Path, metavar="VAE_TRAIN",
                        help="makes all of these for six networks, in target/peers-bundles, where they are kept")
    parser.add_argument("--measure", nargs="+", choices=PARTS, default=PARTS[:1], help="[default: engines]")
    parser.add_argument("--driver", type=Path, help="the built Rust contenders [default: cargo builds them]")
    parser.add_argument("--program", type=Path, help="vae-infer, for processes and folders")
    parser.add_argument("--folder", action="append", default=[], type=folder, metavar="NAME=DIR",
                        help="pictures that fit a network, for folders")
    parser.add_argument("--only", metavar="NETWORK/ENGINE", help="either side may be empty")
    parser.add_argument("--without", nargs="+", action="extend", default=[], choices=[*RUST, *PYTHON],
                        metavar="ENGINE", help="leaves contenders out")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 0], help="0 for one on every core")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a contender's turn in a round")
    parser.add_argument("--quick", action="store_true", help="two short rounds: does everything run")
    parser.add_argument("--json", type=Path, help="keeps every round here [default: peers.json]")
    parser.add_argument("--table", type=Path, help="has the tables between its markers; a new file gets both "
                                                   "[default: benches/README.md]")
    parser.add_argument("--picture", type=Path, help="[default: peers.png]")
    chosen = parser.parse_args()
    if not (chosen.quick or chosen.only or chosen.json):
        chosen.json = HERE / "peers.json"
        chosen.table = chosen.table or HERE.parent / "README.md"
        chosen.picture = chosen.picture or HERE / "peers.png"
    if wrong := refusal(chosen):
        parser.error(wrong)
    chosen.threads = list(dict.fromkeys(threads or os.cpu_count() for threads in chosen.threads))
    if chosen.quick:
        chosen.rounds, chosen.seconds = 2, 0.02
    return chosen


def refusal(chosen: argparse.Namespace) -> str | None:
    """What is wrong with the arguments, as far as one can tell before anything is measured."""
    if chosen.make and (chosen.bundles or chosen.half or chosen.eight):
        return "--make makes the bundles, and goes without NAME=BUNDLE"
    if chosen.make and not chosen.make.is_file():
        return f"{chosen.make} is no program"
    names = list(make.NETWORKS) if chosen.make else [name for name, _ in chosen.bundles]
    strange = [name for name, _ in [*chosen.half, *chosen.eight, *chosen.folder] if name not in names]
    if strange:
        return f"no NAME=BUNDLE gives the f32 export of {strange[0]}"
    network, _, engine = (chosen.only or "/").partition("/")
    if network not in ("", *names) or engine not in ("", *RUST, *PYTHON):
        return f"--only {chosen.only} is neither NETWORK/ENGINE nor one side of it"
    processes = {"processes", "folders"} & set(chosen.measure)
    if bool(processes) != bool(chosen.program):
        return "--measure processes and --measure folders need --program, and nothing else does"
    if chosen.program and not chosen.program.is_file():
        return f"{chosen.program} is no program"
    if ("folders" in chosen.measure) != bool(chosen.folder):
        return "--measure folders needs --folder NAME=DIR, and nothing else does"
    if chosen.rounds < 1 or chosen.seconds <= 0 or min(chosen.batches) < 1 or min(chosen.threads) < 0:
        return "rounds, seconds and batches are more than 0, and threads not less"
    if not names and not (chosen.json and chosen.json.exists()):
        return "there is no NAME=BUNDLE to measure, and nothing was measured before"
    return document.refusal(chosen.table) if chosen.table else None


def bundle(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not (Path(path) / "manifest.json").is_file():
        raise argparse.ArgumentTypeError(f"{text} is not NAME=BUNDLE, where BUNDLE is a folder with a manifest.json")
    return name, resolved(path)


def folder(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not Path(path).is_dir() or not any(Path(path).iterdir()):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=DIR, where DIR is a folder of pictures")
    return name, resolved(path)


def resolved(path: str) -> Path:
    """A path that can be a word of a request."""
    whole = Path(path).resolve()
    if any(letter.isspace() for letter in str(whole)):
        raise argparse.ArgumentTypeError(f"{whole} has a space in its name")
    return whole


def exports(chosen: argparse.Namespace, network: str) -> dict[str, dict[str, Path]]:
    """What is measured: bundles by precision of every network, or of one."""
    if chosen.make:
        return make.bundles(chosen.make.resolve(), [name for name in make.NETWORKS if network in ("", name)])
    found = {name: {"f32": path} for name, path in chosen.bundles if network in ("", name)}
    for precision, named in {"f16": chosen.half, "int8": chosen.eight}.items():
        for name, path in named:
            if name in found:
                found[name][precision] = path
    return found


def build() -> Path:
    """The driver, by cargo."""
    command = ["cargo", "build", "--release", "-p", "vae-benches", "--bin", "peers", "--features", "peers"]
    subprocess.run(command, cwd=environment.ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", environment.ROOT / "target"))
    return target / "release" / "peers"


def run(chosen: argparse.Namespace, results) -> None:
    """What was asked for, kept network by network."""
    import folders
    import measure
    import whole

    network, _, engine = (chosen.only or "/").partition("/")
    bundles = exports(chosen, network)
    if {"engines", "folders"} & set(chosen.measure) and bundles:
        driver = (chosen.driver or build()).resolve()
    if "engines" in chosen.measure and bundles:
        engines = [engine, "python-ort"] if engine else [*RUST, *PYTHON]
        engines = [engine for engine in engines if engine not in chosen.without]
        for threads in chosen.threads:
            for name, of in bundles.items():
                results.add("engines", measure.network(name, of, threads, chosen.batches, engines, driver,
                                                       chosen.rounds, chosen.seconds))
    if "processes" in chosen.measure:
        pictures = 200 if chosen.quick else 5_000
        for name, of in bundles.items():
            results.add("processes", whole.measure(name, of["f32"], chosen.program.resolve(), pictures, chosen.rounds))
    if "folders" in chosen.measure:
        for threads in chosen.threads:
            for name, pictures in chosen.folder:
                if name in bundles:
                    results.add("folders", folders.measure(name, bundles[name]["f32"], pictures, threads,
                                                           chosen.program.resolve(), driver, chosen.rounds,
                                                           chosen.quick))


def main() -> None:
    chosen = arguments()
    environment.enter()
    import picture
    import report
    from results import Results

    results = Results(chosen.json)
    run(chosen, results)
    said = report.text(results)
    print(said, end="")
    if chosen.table:
        document.insert(said, chosen.table)
    if chosen.picture:
        picture.draw(results.engines, chosen.picture)


if __name__ == "__main__":
    main()
