"""Training in JAX: with_jax.py START... where each START is a folder of compare.py.

Prints one JSON object a row. All steps of a folder, those that warm up first, are one compiled loop on the device,
where batches are gathered and noise is drawn. Its first call has the loss and warms up; others, which go on from there,
are timed as a whole. Images are NHWC and kernels HWIO, as XLA takes them fastest.

- own-noise: as its user would write it
- same-noise: with the noise of `vae-train`, for its loss

What makes its steps in f64 is its loss alone too.
"""

import argparse
import json
import resource
import statistics
import time
import tomllib
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from safetensors.numpy import load_file

#: Steps over which a loss is the mean.
WINDOW = 10
#: Calls of the loop that are timed.
REPETITIONS = 3
MODES = ["own-noise", "same-noise"]
LAYOUT = ("NHWC", "HWIO", "NHWC")
HEAD = [{"block": "dense"}]


def activation(kind, x):
    match kind:
        case "relu":
            return jax.nn.relu(x)
        case "sigmoid":
            return jax.nn.sigmoid(x)
        case "silu":
            return jax.nn.silu(x)
        case {"leaky_relu": slope}:
            return jax.nn.leaky_relu(x, slope)
    return x


def laid_out(block, weight):
    """A weight of PyTorch's in the layout here; the kernel of a transposed convolution is that of a plain one."""
    match block["block"]:
        case "dense":
            return weight.T
        case "conv":
            return weight.transpose(2, 3, 1, 0)
        case "deconv":
            return weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)


def affine(block, weight, bias, x):
    if block["block"] == "dense":
        return x @ weight + bias
    stride, padding = block.get("stride", 1), block.get("padding", 0)
    if block["block"] == "conv":
        y = lax.conv_general_dilated(x, weight, [stride] * 2, [(padding, padding)] * 2, dimension_numbers=LAYOUT)
    else:
        around = weight.shape[0] - 1 - padding
        sides = (around, around + block.get("output_padding", 0))
        y = lax.conv_general_dilated(x, weight, [1, 1], [sides] * 2, [stride] * 2, dimension_numbers=LAYOUT)
    return y + bias


def run(blocks, weights, x, skips):
    for number, block in enumerate(blocks):
        match block["block"]:
            case "dense" | "conv" | "deconv":
                x = activation(block.get("activation"), affine(block, *weights[str(number)], x))
            case "flatten":
                # The next layer's inputs are numbered as in CHW.
                x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
            case "unflatten":
                x = x.reshape(-1, block["channels"], block["height"], block["width"]).transpose(0, 2, 3, 1)
            case "crop":
                top, left = (x.shape[1] - block["height"]) // 2, (x.shape[2] - block["width"]) // 2
                x = x[:, top:top + block["height"], left:left + block["width"]]
            case "tap":
                skips[block["skip"]] = x
            case "join":
                skip = skips[block["skip"]]
                sides = [(missing // 2, missing - missing // 2)
                         for missing in (x.shape[1] - skip.shape[1], x.shape[2] - skip.shape[2])]
                x = jnp.concatenate([x, jnp.pad(skip, [(0, 0), *sides, (0, 0)])], 3)
            case other:
                raise ValueError(f"no JAX for the block {other}")
    return x


def terms(config, features, weights, images, epsilon):
    """The loss of a batch; that of a plain autoencoder has no noise and no KL term."""
    skips, variational = {}, config["model"].get("variational", True)
    encoded = run(config["model"]["encoder"], weights["encoder"], images, skips)
    latent = mean = run(HEAD, weights["mean"], encoded, {})
    if variational:
        log_var = run(HEAD, weights["log_var"], encoded, {})
        latent = mean + jnp.exp(0.5 * log_var) * epsilon
    decoded = run(config["model"]["decoder"], weights["decoder"], latent, skips)
    bernoulli = config["model"]["likelihood"]["kind"] == "bernoulli"
    error = optax.sigmoid_binary_cross_entropy(decoded, images) if bernoulli else jnp.square(decoded - images)
    loss = error.reshape(len(images), -1).sum(1).mean()
    if variational:
        kl = 0.5 * (jnp.square(mean) + jnp.exp(log_var) - log_var - 1.0).sum(1)
        loss = loss + config["train"].get("beta", 1.0) * kl.mean()
    if features is None:
        return loss
    description, frozen = features
    ours, theirs = {}, {}
    run(description["blocks"], frozen, jax.nn.sigmoid(decoded) if bernoulli else decoded, ours)
    run(description["blocks"], frozen, images, theirs)
    distance = sum(jnp.square(ours[tap] - theirs[tap]).reshape(len(images), -1).mean(1) for tap in ours)
    return loss + config["train"]["perceptual"]["weight"] * distance.mean()


def numbered(blocks: list[dict], stored: dict, name: str) -> dict:
    """Weight and bias of every block of a network, by its number."""
    found = {}
    for key, value in stored.items():
        if key.startswith(f"{name}.layers."):
            number, kind = key.split(".")[2], key.split(".")[-1]
            value = laid_out(blocks[int(number)], value) if kind == "weight" else value
            found.setdefault(number, [None, None])[kind == "bias"] = jnp.asarray(value)
    return found


def measure(start: Path, config: dict, features, mode: str, precision: str, warmup: int) -> dict:
    stored, model = load_file(start / "weights.safetensors"), config["model"]
    numbers = partial(jnp.asarray, dtype=jnp.float64 if precision == "f64" else jnp.float32)
    order = jnp.asarray(np.load(start / "order.npy"))
    images = numbers(np.load(start / "images.npy").transpose(0, 2, 3, 1))
    noise = numbers(np.load(start / "noise.npy")) if mode == "same-noise" else None
    began = time.perf_counter()
    blocks = {"encoder": model["encoder"], "mean": HEAD, "log_var": HEAD, "decoder": model["decoder"]}
    weights = jax.tree.map(numbers, {name: numbered(blocks[name], stored, name) for name in blocks})
    features = features and (features[0], jax.tree.map(numbers, features[1]))
    optimizer = optax.adamw(config["train"]["learning_rate"], weight_decay=config["train"].get("weight_decay", 0.0))
    loss_of = jax.value_and_grad(partial(terms, config, features))

    def epoch(state, images, given):
        def step(state, given):
            (weights, moments, key), (indices, epsilon) = state, given
            if epsilon is None:
                key, drawn = jax.random.split(key)
                epsilon = jax.random.normal(drawn, (len(indices), model["latent"]), images.dtype)
            loss, gradients = loss_of(weights, images[indices], epsilon)
            updates, moments = optimizer.update(gradients, moments, weights)
            return (optax.apply_updates(weights, updates), moments, key), loss

        return lax.scan(step, state, given)

    state = weights, optimizer.init(weights), jax.random.key(0)
    loop = jax.jit(epoch, donate_argnums=0).lower(state, images, (order, noise)).compile()
    compiled, taken, losses = time.perf_counter() - began, [], []
    for _ in range(1 + REPETITIONS):
        begun = time.perf_counter()
        state, made = loop(state, images, (order, noise))
        losses.append(np.asarray(made))
        taken.append(time.perf_counter() - begun)
    rates = [order.size / seconds for seconds in taken[1:]]
    measured = losses[0][warmup:]
    windows = measured[:len(measured) // WINDOW * WINDOW].reshape(-1, WINDOW).mean(1)
    # A loop tells of no step before its end: the first is as long as any other.
    return {"first_step_s": compiled + taken[0] / len(order), "warmup_s": compiled + taken[0],
            "images_per_second": [statistics.median(rates), min(rates), max(rates)],
            "losses": [float(windows[0]), float(windows[-1])]}


def fixed(description: dict, stored: dict) -> dict:
    """Weights of a feature network, which are stored under the names of its layers, by the numbers of its blocks."""
    blocks = [(n, block) for n, block in enumerate(description["blocks"]) if block["block"] in ("conv", "dense")]
    return {str(n): [jnp.asarray(laid_out(block, stored[f"{layer}.weight"])), jnp.asarray(stored[f"{layer}.bias"])]
            for (n, block), layer in zip(blocks, description["weights"]["layers"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("starts", type=Path, nargs="+", metavar="START")
    parser.add_argument("--features", type=Path, help="features.toml of the perceptual term")
    parser.add_argument("--precisions", nargs="+", default=["f32"], choices=["f32", "tf32", "f64"],
                        help="of products; f64 is of everything")
    parser.add_argument("--modes", nargs="+", default=MODES[:1], choices=MODES)
    parser.add_argument("--warmup", type=int, default=20)
    chosen = parser.parse_args()
    for start in chosen.starts:
        config, features = tomllib.loads((start / "config.toml").read_text()), None
        if config["train"].get("perceptual"):
            description = tomllib.loads(chosen.features.read_text())
            stored = load_file(chosen.features.parent / description["weights"]["file"])
            features = description, fixed(description, stored)
        for precision in chosen.precisions:
            jax.config.update("jax_default_matmul_precision", "tensorfloat32" if precision == "tf32" else "highest")
            jax.config.update("jax_enable_x64", precision == "f64")
            for mode in chosen.modes:
                try:
                    row = measure(start, config, features, mode, precision, chosen.warmup)
                except Exception as error:  # whatever a library throws is its row
                    row = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
                contender = "jax" if mode == "own-noise" else f"jax-{mode}"
                print(json.dumps({"start": start.name, "contender": contender, "precision": precision, **row,
                                  "peak_memory": memory()}), flush=True)


def memory() -> int:
    """The most that the process has taken, on a GPU of the device; it holds for all rows before it too."""
    on_device = jax.devices()[0].memory_stats() or {}
    return on_device.get("peak_bytes_in_use") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    main()
