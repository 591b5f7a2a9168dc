"""Exports the models of `models.py` with PyTorch's own exporters, and records PyTorch's answers.

    pip install torch onnx onnxscript safetensors
    python tests/foreign/make.py

Every folder gets `encoder.onnx`, `decoder.onnx` and `expected.safetensors`, which holds images and
latent vectors, and what PyTorch makes of them, in the bundle's terms: images [N, C, H, W] and the
posterior's mean and log-variance [N, Z]. Weights are random, from a fixed seed.
"""

import argparse
import warnings
from pathlib import Path

import onnx
import torch
from safetensors.torch import save_file

import models

N = 3


def export(module, examples, path, inputs, outputs, dynamic, exporter):
    """Writes a graph, with an open batch axis or with that of the examples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = {"input_names": inputs, "output_names": outputs}
    if exporter == "classic":
        axes = {name: {0: "batch"} for name in inputs + outputs} if dynamic else None
        torch.onnx.export(module, examples, path, dynamo=False, opset_version=17, dynamic_axes=axes, **names)
    else:
        shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in examples) if dynamic else None
        torch.onnx.export(module, examples, path, dynamo=True, dynamic_shapes=shapes, verbose=False, **names)
    forget_paths(path)


def forget_paths(path):
    """Takes out the stack traces, which name the folders of the machine that exported."""
    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    path.write_bytes(model.SerializeToString())


def warm(module, *shape):
    """Gives batch normalisation statistics that are not those it begins with."""
    module.train()
    for _ in range(20):
        module(0.3 + torch.randn(*shape))
    return module.eval()


def write(folder, tensors):
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, folder / "expected.safetensors")


def mlp(folder):
    """Flat pixels and a standard deviation; the classic exporter."""
    encoder, decoder = models.MlpEncoder().eval(), models.MlpDecoder().eval()
    export(encoder, (torch.rand(2, 144),), folder / "encoder.onnx", ["x"], ["mu", "sigma"], True, "classic")
    export(decoder, (torch.rand(2, 4),), folder / "decoder.onnx", ["z"], ["x_hat"], True, "classic")
    image, latent = torch.rand(N, 1, 12, 12), torch.randn(N, 4)
    mean, std = encoder(image.flatten(1))
    reconstruction = decoder(latent).view(N, 1, 12, 12)
    write(folder, {"image": image, "mean": mean, "log_var": 2 * std.log(), "latent": latent, "reconstruction": reconstruction})


def conv(folder):
    """A fixed batch axis, batch normalisation, a latent vector of [batch, Z, 1, 1]; the new exporter."""
    encoder = warm(models.ConvEncoder(), 16, 3, 16, 16)
    decoder = warm(models.ConvDecoder(), 16, 6, 1, 1)
    export(encoder, (torch.rand(1, 3, 16, 16),), folder / "encoder.onnx", ["input"], ["mu", "logvar"], False, "new")
    export(decoder, (torch.rand(1, 6, 1, 1),), folder / "decoder.onnx", ["z"], ["output"], False, "new")
    image, latent = 2 * torch.rand(N, 3, 16, 16) - 1, torch.randn(N, 6)
    mean, log_var = encoder(image)
    reconstruction = decoder(latent.view(N, 6, 1, 1))
    write(folder, {"image": image, "mean": mean.flatten(1), "log_var": log_var.flatten(1), "latent": latent, "reconstruction": reconstruction})


def last(folder):
    """Channels last, both heads in one tensor, logits; no names were given; the new exporter."""
    encoder, decoder = models.LastEncoder().eval(), models.LastDecoder().eval()
    export(encoder, (torch.rand(2, 10, 10, 3),), folder / "encoder.onnx", ["x"], None, True, "new")
    export(decoder, (torch.rand(2, 2),), folder / "decoder.onnx", ["z"], None, True, "new")
    image, latent = torch.rand(N, 3, 10, 10), torch.randn(N, 2)
    mean, log_var = encoder(image.permute(0, 2, 3, 1)).chunk(2, dim=1)
    reconstruction = decoder(latent).permute(0, 3, 1, 2).sigmoid()
    write(folder, {"image": image, "mean": mean, "log_var": log_var, "latent": latent, "reconstruction": reconstruction})


def unet(folder):
    """A skip from the encoder to the decoder, under two names; a fixed batch; the classic exporter."""
    encoder, decoder = models.UnetEncoder().eval(), models.UnetDecoder().eval()
    export(encoder, (torch.rand(1, 1, 14, 14),), folder / "encoder.onnx", ["pixels"], ["mean", "log_var", "wide"], False, "classic")
    example = (torch.rand(1, 5), torch.rand(1, 4, 14, 14))
    export(decoder, example, folder / "decoder.onnx", ["latent", "features"], ["reconstruction"], False, "classic")
    image, latent = torch.rand(N, 1, 14, 14), torch.randn(N, 5)
    mean, log_var, wide = encoder(image)
    write(folder, {"image": image, "mean": mean, "log_var": log_var, "skip_wide": wide, "latent": latent, "reconstruction": decoder(latent, wide)})


def draws(folder):
    """An encoder that also samples (`encoder.onnx`), and one that only samples (`drawn.onnx`)."""
    encoder, drawn, decoder = models.DrawingEncoder().eval(), models.DrawnEncoder().eval(), models.DrawingDecoder().eval()
    example = (torch.rand(2, 1, 8, 8),)
    export(encoder, example, folder / "encoder.onnx", ["x"], ["z", "z_mean", "z_log_var"], True, "classic")
    export(drawn, example, folder / "drawn.onnx", ["x"], ["z"], True, "classic")
    export(decoder, (torch.rand(2, 3),), folder / "decoder.onnx", ["z"], ["decoded"], True, "new")
    image, latent = torch.rand(N, 1, 8, 8), torch.randn(N, 3)
    _, mean, log_var = encoder(image)
    write(folder, {"image": image, "mean": mean, "log_var": log_var, "latent": latent, "reconstruction": decoder(latent)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="the folder that gets one folder a model")
    out = parser.parse_args().out
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    for make in (mlp, conv, last, unet, draws):
        torch.manual_seed(4)
        make(out / make.__name__)


if __name__ == "__main__":
    main()
