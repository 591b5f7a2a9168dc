"""Training in JAX: with_jax.py START... where each START is a folder of compare.py.

Prints one JSON object a row. Every window of steps is one compiled loop on the device.
"""

import argparse
import json
import resource
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

WINDOW = 10
LAYOUT = ("NCHW", "OIHW", "NCHW")


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


def affine(block, weight, bias, x):
    if block["block"] == "dense":
        return x @ weight.T + bias
    stride, padding = block.get("stride", 1), block.get("padding", 0)
    if block["block"] == "conv":
        y = lax.conv_general_dilated(x, weight, [stride] * 2, [(padding, padding)] * 2, dimension_numbers=LAYOUT)
    else:
        around = weight.shape[2] - 1 - padding
        sides = (around, around + block.get("output_padding", 0))
        flipped = weight[:, :, ::-1, ::-1].swapaxes(0, 1)
        y = lax.conv_general_dilated(x, flipped, [1, 1], [sides] * 2, [stride] * 2, dimension_numbers=LAYOUT)
    return y + bias[:, None, None]


def run(blocks, weights, x, skips):
    for number, block in enumerate(blocks):
        match block["block"]:
            case "dense" | "conv" | "deconv":
                x = activation(block.get("activation"), affine(block, *weights[str(number)], x))
            case "flatten":
                x = x.reshape(len(x), -1)
            case "unflatten":
                x = x.reshape(-1, block["channels"], block["height"], block["width"])
            case "crop":
                top, left = (x.shape[2] - block["height"]) // 2, (x.shape[3] - block["width"]) // 2
                x = x[:, :, top:top + block["height"], left:left + block["width"]]
            case "tap":
                skips[block["skip"]] = x
            case "join":
                skip = skips[block["skip"]]
                sides = [(missing // 2, missing - missing // 2)
                         for missing in (x.shape[2] - skip.shape[2], x.shape[3] - skip.shape[3])]
                x = jnp.concatenate([x, jnp.pad(skip, [(0, 0), (0, 0), *sides])], 1)
            case other:
                raise ValueError(f"no JAX for the block {other}")
    return x


def terms(config, features, weights, images, key):
    """The loss of a batch."""
    skips, head = {}, [{"block": "dense"}]
    encoded = run(config["model"]["encoder"], weights["encoder"], images, skips)
    mean = run(head, weights["mean"], encoded, {})
    log_var = run(head, weights["log_var"], encoded, {})
    latent = mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape)
    decoded = run(config["model"]["decoder"], weights["decoder"], latent, skips)
    bernoulli = config["model"]["likelihood"]["kind"] == "bernoulli"
    error = optax.sigmoid_binary_cross_entropy(decoded, images) if bernoulli else jnp.square(decoded - images)
    loss = error.reshape(len(images), -1).sum(1).mean()
    kl = 0.5 * (jnp.square(mean) + jnp.exp(log_var) - log_var - 1.0).sum(1)
    loss = loss + config["train"].get("beta", 1.0) * kl.mean()
    if features is None:
        return loss
    description, fixed = features
    ours, theirs = {}, {}
    run(description["blocks"], fixed, jax.nn.sigmoid(decoded) if bernoulli else decoded, ours)
    run(description["blocks"], fixed, images, theirs)
    distance = sum(jnp.square(ours[tap] - theirs[tap]).reshape(len(images), -1).mean(1) for tap in ours)
    return loss + config["train"]["perceptual"]["weight"] * distance.mean()


def numbered(weights: dict, name: str) -> dict:
    """Weight and bias of every block of a network, by its number."""
    found = {}
    for key, value in weights.items():
        if key.startswith(f"{name}.layers."):
            number, kind = key.split(".")[2], key.split(".")[-1]
            found.setdefault(number, [None, None])[kind == "bias"] = jnp.asarray(value)
    return found


def measure(start: Path, config: dict, features, warmup: int) -> dict:
    stored = load_file(start / "weights.safetensors")
    order, images = jnp.asarray(np.load(start / "order.npy")), jnp.asarray(np.load(start / "images.npy"))
    began = time.perf_counter()
    weights = {name: numbered(stored, name) for name in ("encoder", "mean", "log_var", "decoder")}
    optimizer = optax.adamw(config["train"]["learning_rate"], weight_decay=config["train"].get("weight_decay", 0.0))
    state = weights, optimizer.init(weights), jax.random.key(0)

    def step(state, indices):
        weights, moments, key = state
        key, drawn = jax.random.split(key)
        loss, gradients = jax.value_and_grad(partial(terms, config, features))(weights, images[indices], drawn)
        updates, moments = optimizer.update(gradients, moments, weights)
        return (optax.apply_updates(weights, updates), moments, key), loss

    window = jax.jit(lambda state, order: lax.scan(step, state, order), donate_argnums=0)
    first = 0.0
    for done in range(0, warmup, WINDOW):
        state, losses = window(state, order[done:min(done + WINDOW, warmup)])
        losses.block_until_ready()
        first = first or time.perf_counter() - began
    # The last of those may have been shorter, and every length is compiled by itself.
    window = window.lower(state, order[:WINDOW]).compile()
    warm = time.perf_counter() - began
    rates, means, batch = [], [], order.shape[1]
    for done in range(warmup, len(order) - WINDOW + 1, WINDOW):
        begun = time.perf_counter()
        state, losses = window(state, order[done:done + WINDOW])
        means.append(float(np.asarray(losses).mean()))
        rates.append(WINDOW * batch / (time.perf_counter() - begun))
    rates.sort()
    return {"first_step_s": first, "warmup_s": warm, "images_per_second": [rates[len(rates) // 2], rates[0], rates[-1]],
            "losses": [means[0], means[-1]]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("starts", type=Path, nargs="+", metavar="START")
    parser.add_argument("--features", type=Path, help="features.toml of the perceptual term")
    parser.add_argument("--precisions", nargs="+", default=["f32"], choices=["f32", "tf32"])
    parser.add_argument("--warmup", type=int, default=20)
    chosen = parser.parse_args()
    for start in chosen.starts:
        config, features = tomllib.loads((start / "config.toml").read_text()), None
        if config["train"].get("perceptual"):
            description = tomllib.loads(chosen.features.read_text())
            stored = load_file(chosen.features.parent / description["weights"]["file"])
            numbers = [n for n, block in enumerate(description["blocks"]) if block["block"] in ("conv", "dense")]
            fixed = {str(n): [jnp.asarray(stored[f"{layer}.{kind}"]) for kind in ("weight", "bias")]
                     for n, layer in zip(numbers, description["weights"]["layers"])}
            features = description, fixed
        for precision in chosen.precisions:
            jax.config.update("jax_default_matmul_precision", "tensorfloat32" if precision == "tf32" else "highest")
            try:
                row = measure(start, config, features, chosen.warmup)
            except Exception as error:  # whatever a library throws is its row
                row = {"error": " ".join(str(error).split())[:300]}
            print(json.dumps({"start": start.name, "contender": "jax", "precision": precision, **row,
                              "peak_memory": memory()}), flush=True)


def memory() -> int:
    """The most that the process has taken, on a GPU of the device; it holds for all rows before it too."""
    on_device = jax.devices()[0].memory_stats() or {}
    return on_device.get("peak_bytes_in_use") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    main()
