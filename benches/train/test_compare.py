"""What a comparison ends with, without PyTorch, JAX or a build: python3 benches/train/test_compare.py"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from compare import unlike
from processes import LATE
from verdict import NO_START, complaints

HERE = Path(__file__).resolve().parent
#: A `vae-train` that writes where it begins and prints a row, or fails on the network that it is told.
PROGRAM = """#!{python}
import json, sys
from pathlib import Path
network, words = sys.argv[3], sys.argv[4:]
if network == "{broken}":
    sys.exit("error: it broke")
start = Path(words[words.index("--start") + 1])
start.mkdir()
(start / "config.toml").write_text('[model]\\nencoder = [{{ block = "BLOCK" }}]\\ndecoder = []\\n'
                                   .replace("BLOCK", "dense" if network == "mnist-mlp" else "conv"))
(start / "weights.safetensors").touch()
print(json.dumps({{"images_per_second": [2.0, 1.0, 3.0], "losses": [9.0, 8.0], "first_step_s": 0.1,
                  "words": words}}))
"""


def row(contender: str, loss: float, network: str = "mnist-mlp", **more) -> dict:
    return {"contender": contender, "network": network, "batch": 128, "losses": [loss, 300.0]} | more


class Verdict(unittest.TestCase):
    def said(self, *rows: dict, device: str = "cpu") -> list[str]:
        return complaints(list(rows), device)

    def test_the_same_noise_is_the_same_loss(self):
        ours = row("ours", 500.0)
        self.assertEqual(self.said(ours, row("torch-same-noise", 500.9)), [])
        for loss in (501.1, 498.9, float("nan")):
            said = self.said(ours, row("torch-same-noise", loss))
            self.assertEqual(len(said), 1)
            self.assertIn("torch-same-noise on mnist-mlp/128", said[0])

    def test_noise_of_its_own_may_have_another_loss(self):
        self.assertEqual(self.said(row("ours", 500.0), row("torch-eager", 530.0), row("jax", 470.0)), [])

    def test_a_gpu_rounds_more(self):
        rows = [row("ours", 500.0), row("jax-same-noise", 502.0)]
        self.assertEqual(self.said(*rows, device="cuda"), [])
        self.assertEqual(len(self.said(*rows, device="cpu")), 1)

    def test_what_rounding_does_later_is_not_judged(self):
        self.assertEqual(self.said(row("ours", 500.0), row("torch-same-noise", 500.0, losses=[500.0, 310.0])), [])

    def test_losses_are_compared_by_the_same_products(self):
        rows = [row("ours", 530.0, products="tf32"), row("ours", 500.0, products="f32"),
                row("torch-same-noise", 500.0, precision="f32")]
        self.assertEqual(self.said(*rows, device="cuda"), [])

    def test_every_cause_is_named_once(self):
        broken = [{"contender": contender, "network": network, "batch": 32, "error": "no memory"}
                  for network in ("wide", "eyes-vae") for contender in ("ours", "torch-eager")]
        self.assertEqual(self.said(*broken), ["ours, torch-eager on wide/32, eyes-vae/32: no memory"])

    def test_what_follows_from_another_failure_or_from_the_budget_is_no_cause(self):
        for reason in (LATE, NO_START):
            self.assertEqual(self.said({"contender": "jax", "network": "wide", "batch": 32, "error": reason}), [])


class Unlike(unittest.TestCase):
    def test_what_the_others_would_do_otherwise_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "config.toml"
            for lines, reason in [("", None), ("clip_norm = 1.0", "clipped gradients"), ('kl = "sampled"', "KL term"),
                                  ('perceptual = { weight = 1.0, features = "mine/features.toml" }', "features")]:
                config.write_text(f'[model]\nlikelihood = {{ kind = "bernoulli" }}\n[train]\n{lines}\n')
                said = unlike(Path(folder))
                self.assertTrue(said is None if reason is None else reason in said, said)
            config.write_text('[model]\nlikelihood = { kind = "gaussian", sigma = 0.1 }\n')
            self.assertIn("Gaussian", unlike(Path(folder)))


class Program(unittest.TestCase):
    def compare(self, *words: str, broken: str = "") -> tuple[subprocess.CompletedProcess, list[dict]]:
        """The exit code and talk of compare.py, and the rows that it wrote, where no package is installed."""
        with tempfile.TemporaryDirectory() as folder:
            program, rows = Path(folder) / "vae-train", Path(folder) / "rows.json"
            program.write_text(PROGRAM.format(python=sys.executable, broken=broken))
            program.chmod(0o755)
            command = [sys.executable, "-S", HERE / "compare.py", "--program", program, "--networks", "mnist-conv",
                       "mnist-mlp", "--batches", "32", "--json", rows, "--table", Path(folder) / "rows.md", *words]
            bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            done = subprocess.run(command, capture_output=True, text=True, env=bare)
            written = json.loads(rows.read_text())["rows"] if rows.exists() else []
        return done, written

    def test_it_passes_where_all_have_run(self):
        done, rows = self.compare("--contenders", "ours", "--set", "model.latent=4", "--set", "seed=1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual([row["network"] for row in rows], ["mnist-conv", "mnist-mlp"])
        self.assertEqual(rows[0]["words"][-4:], ["--set", "model.latent=4", "--set", "seed=1"])

    def test_it_fails_where_one_has_not_and_keeps_the_rows(self):
        done, rows = self.compare("--contenders", "ours", broken="mnist-conv")
        self.assertEqual(done.returncode, 1)
        self.assertIn("error: ours on mnist-conv/32: error: it broke", done.stderr.splitlines())
        self.assertEqual(len(rows), 2)
        self.assertEqual(rows[1]["losses"], [9.0, 8.0])

    def test_a_program_that_is_none_is_named(self):
        done, rows = self.compare("--program", "/nonexistent")
        self.assertEqual((done.returncode, rows), (1, []))
        self.assertEqual(done.stderr, "error: /nonexistent is no program\n")

    def test_a_contender_that_is_not_installed_says_so(self):
        done, rows = self.compare("--modes", "eager")
        self.assertEqual(done.returncode, 1)
        self.assertTrue(all(row["error"].startswith("not installed: ") for row in rows if row["contender"] != "ours"))
        self.assertNotIn("Traceback", done.stderr)

    def test_warming_up_tells_what_broke_and_leaves_the_rows_to_begin_anew(self):
        done, rows = self.compare("--contenders", "ours", "torch", "--warm", "600", "--modes", "compiled",
                                  broken="mnist-conv")
        said = [line.rsplit(" after ", 1)[0] for line in done.stderr.splitlines() if " after " in line]
        self.assertEqual(said, ["mnist-conv/32, ours: failed", "mnist-mlp/32, ours: warm",
                                "mnist-mlp/32, PyTorch: failed"])
        ours = {row["network"]: row for row in rows if row["contender"] == "ours"}
        self.assertEqual(ours["mnist-mlp"]["losses"], [9.0, 8.0])
        self.assertEqual(ours["mnist-conv"]["error"], "error: it broke")

    def test_convolutions_go_to_jax_on_a_processor_only_where_it_is_named(self):
        def with_jax(*words: str) -> list[str]:
            return [row["network"] for row in self.compare("--modes", "eager", *words)[1] if row["contender"] == "jax"]

        self.assertEqual(with_jax(), ["mnist-mlp"])
        self.assertEqual(with_jax("--contenders", "ours", "jax"), ["mnist-conv", "mnist-mlp"])


if __name__ == "__main__":
    unittest.main()
