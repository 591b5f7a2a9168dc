"""Bundles of the compared networks, where a user has none: of `vae-train`, in target/peers-bundles.

How fast a network is does not depend on its weights, so that it is fitted for one epoch to a few made pictures.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

import environment
from contenders import NARROW, surroundings

FOLDER = environment.ROOT / "target" / "peers-bundles"
CONFIGS = {name: str(environment.ROOT / "benches" / f"{name}.toml") for name in ("wide", "large")}
NETWORKS = {name: CONFIGS.get(name, name)
            for name in ("emnist-perceptual", "mnist-mlp", "mnist-conv", "eyes-vae", *CONFIGS)}
#: Pictures of a network, and those of them that are held out: int8 is calibrated with 16 at least.
PICTURES, HELD_OUT = 64, 24


def bundles(program: Path, names: list[str]) -> dict[str, dict[str, Path]]:
    """The exports of networks by precision. Those that an earlier call has made are taken as they are; one that the
    exporter refuses is left out, and its reason goes to standard error."""
    made = {}
    for name in names:
        made[name] = {}
        for precision in ("f32", *NARROW):
            bundle = FOLDER / f"{name}-{precision}"
            if not (bundle / "manifest.json").exists():
                print(f"making {bundle}", file=sys.stderr)
                export(program, name, precision, bundle)
            if bundle.exists():
                made[name][precision] = bundle
    return made


def export(program: Path, name: str, precision: str, bundle: Path) -> None:
    run, pictures = FOLDER / f"{name}-run", FOLDER / f"{name}-pictures"
    if not (run / "run.json").exists():
        fit(program, name, run, pictures)
    words = [program, "export", run, "--out", bundle, "--precision", precision]
    if precision == "int8":
        words += ["--calibrate", pictures, "--allow-slower"]
    done = subprocess.run(words, capture_output=True, text=True, env=surroundings())
    if done.returncode:
        reason = (done.stderr.strip() or "nothing").splitlines()[-1].removeprefix("error: ")
        if precision == "f32":
            raise SystemExit(f"error: {name} cannot be exported: {reason}")
        print(f"{name} has no {precision}: {reason}", file=sys.stderr)


def fit(program: Path, name: str, run: Path, pictures: Path) -> None:
    import whole  # whose packages are in the peers' environment alone

    config = NETWORKS[name]
    printed = Path(config).read_text() if name in CONFIGS else whole.run([program, "presets", name], subprocess.PIPE)
    if not pictures.exists():
        pictures.mkdir(parents=True)
        whole.write(pictures, tomllib.loads(printed)["image"], PICTURES)
    changes = ["train.epochs=1", f"train.validation={HELD_OUT}", "train.keep=[]"]
    whole.run([program, "fit", config, "--data", pictures, "--out", run, "--device", "cpu", "--no-figures",
               *(word for change in changes for word in ("--set", change))])
