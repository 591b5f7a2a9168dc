"""The table of docs/export.md: every run in every precision.

python3 benches/precisions.py VAE_TRAIN RUN=IMAGES...

IMAGES is the folder that int8 is calibrated with. ORT_DYLIB_PATH names ONNX Runtime's library.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

UNITS = {"ns": 1e-3, "µs": 1.0, "ms": 1e3, "s": 1e6}
#: Engines by the names of their columns.
ENGINES = {"native": "native", "tract": "tract", "ort": "ORT"}


class Refused(Exception):
    """What the gate says."""


def export(program, run, images, precision, bundle):
    """Exports, and gives what the bundle and the command say."""
    command = [program, "export", run, "-o", bundle, "--precision", precision]
    if precision == "int8":
        command += ["--calibrate", images, "--allow-slower"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Refused(done.stderr.strip().splitlines()[-1].removeprefix("error: "))
    said = done.stdout
    manifest = json.loads((bundle / "manifest.json").read_text())
    return manifest, {engine: (us(here), us(full)) for engine, here, full in
                      re.findall(r"(\w+): (\S+) an image in \S+, (\S+) in f32", said)}


def us(text):
    number, unit = re.fullmatch(r"([\d.]+)(\D+)", text).groups()
    return float(number) * UNITS[unit]


def row(run, precision, manifest, timings, full_bytes):
    graphs = manifest["encoder"]["bytes"] + manifest["decoder"]["bytes"]
    def worst(engine):
        values = [p["difference"] for p in manifest["parity"] if p["engine"] == engine]
        return f"{max(values):.1e}" if values else "-"
    def time(engine):
        if engine not in timings:
            return "-"
        here, full = timings[engine]
        return f"{here:,.0f} ({here / full:.2f})"
    verdicts = manifest["verdicts"]
    flips, images = verdicts["flips"], verdicts["images"]
    flips = f"{10_000 * flips / images:.0f} ({flips} of {images})"
    lost = f"{verdicts['psnr_lost']:.3f}"
    correlation = verdicts["rank_correlation"]
    return [f"`{run}`", precision, f"{graphs / 1024:,.0f} ({graphs / full_bytes:.2f})", *map(worst, ENGINES), lost,
            flips, f"{correlation:.4f}" if correlation else "-", *map(time, ENGINES)]


def main(program, *runs):
    head = ["model", "precision", "KiB (share)", *ENGINES.values(), "dB lost", "flips", "rank",
            *(f"{title}, µs" for title in ENGINES.values())]
    for line in head, ["---"] * len(head):
        print(f"| {' | '.join(line)} |")
    for pair in runs:
        run, _, images = pair.partition("=")
        with tempfile.TemporaryDirectory() as folder:
            full_bytes, rows = None, {}
            for precision in ["f32", "f16", "int8"]:
                bundle = Path(folder) / precision
                try:
                    manifest, timings = export(program, run, images, precision, bundle)
                except Refused as reason:
                    print(f"{run} has no {precision}: {reason}", file=sys.stderr)
                    continue
                full_bytes = full_bytes or manifest["encoder"]["bytes"] + manifest["decoder"]["bytes"]
                rows[precision] = (manifest, timings)
            # What f32 takes is measured beside the other two.
            _, beside = rows.get("int8") or rows.get("f16") or ({}, {})
            if "f32" in rows:
                rows["f32"][1].update({engine: (full, full) for engine, (_, full) in beside.items()})
            for precision, (manifest, timings) in rows.items():
                cells = row(manifest["name"], precision, manifest, timings, full_bytes)
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
