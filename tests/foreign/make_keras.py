"""Exports the convolutional VAE of TensorFlow's tutorial by tf2onnx, and records Keras's answers.

    pip install tensorflow tf2onnx safetensors
    python tests/foreign/make_keras.py

The folder `keras` gets what `make.py` gives every model. Weights are random, from a fixed seed.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import tf2onnx
from safetensors.numpy import save_file

N = 3
LATENT = 2


def chain(start, layers):
    """One layer after the other."""
    end = start
    for layer in layers:
        end = layer(end)
    return keras.Model(start, end)


def encoder():
    """Colour, channels last; mean and log-variance in one tensor."""
    return chain(keras.Input((8, 8, 3), name="x"), [
        keras.layers.Conv2D(6, 3, strides=2, activation="relu"),
        keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(LATENT + LATENT),
    ])


def decoder():
    """Logits."""
    return chain(keras.Input((LATENT,), name="z"), [
        keras.layers.Dense(2 * 2 * 8, activation="relu"),
        keras.layers.Reshape((2, 2, 8)),
        keras.layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu"),
        keras.layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu"),
        keras.layers.Conv2DTranspose(3, 3, strides=1, padding="same"),
    ])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="the folder that gets the folder `keras`")
    folder = parser.parse_args().out / "keras"
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(4)
    models = {"encoder": encoder(), "decoder": decoder()}
    for name, model in models.items():
        tf2onnx.convert.from_keras(model, opset=17, output_path=folder / f"{name}.onnx")
    generator = np.random.default_rng(4)
    image = generator.random((N, 8, 8, 3), dtype=np.float32)
    latent = generator.standard_normal((N, LATENT), dtype=np.float32)
    mean, log_var = np.split(np.asarray(models["encoder"](image)), 2, axis=1)
    reconstruction = 1 / (1 + np.exp(-np.asarray(models["decoder"](latent))))
    tensors = {
        "image": image.transpose(0, 3, 1, 2), "mean": mean, "log_var": log_var,
        "latent": latent, "reconstruction": reconstruction.transpose(0, 3, 1, 2),
    }
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, folder / "expected.safetensors")


if __name__ == "__main__":
    main()
