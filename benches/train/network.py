"""The network of a configuration of vae-train, as a PyTorch module."""

import torch
import torch.nn.functional as F
from torch import nn


def activation(kind):
    match kind:
        case "relu":
            return F.relu
        case "sigmoid":
            return torch.sigmoid
        case "silu":
            return F.silu
        case {"leaky_relu": slope}:
            return lambda x: F.leaky_relu(x, slope)
    return lambda x: x


class Blocks(nn.Module):
    """A list of blocks. The weights have the blocks' numbers, as in a checkpoint of vae-train."""

    def __init__(self, blocks: list[dict], inputs: int, weights: dict[str, torch.Tensor], name: str):
        super().__init__()
        self.blocks = blocks
        self.layers = nn.ModuleDict()
        for number, block in enumerate(blocks):
            weight = next((w for key, w in weights.items() if key.startswith(f"{name}.layers.{number}.")
                           and key.endswith(".weight")), None)
            if weight is None:
                continue
            bias = next(w for key, w in weights.items() if key.startswith(f"{name}.layers.{number}.")
                        and key.endswith(".bias"))
            layer = made(block, weight)
            layer.weight.data.copy_(weight)
            layer.bias.data.copy_(bias)
            self.layers[str(number)] = layer

    def forward(self, x, skips):
        for number, block in enumerate(self.blocks):
            match block["block"]:
                case "dense" | "conv" | "deconv":
                    x = activation(block.get("activation"))(self.layers[str(number)](x))
                case "flatten":
                    x = x.flatten(1)
                case "unflatten":
                    x = x.view(-1, block["channels"], block["height"], block["width"])
                case "crop":
                    top, left = (x.shape[2] - block["height"]) // 2, (x.shape[3] - block["width"]) // 2
                    x = x[:, :, top:top + block["height"], left:left + block["width"]]
                case "tap":
                    skips[block["skip"]] = x
                case "join":
                    skip = skips[block["skip"]]
                    rows, columns = x.shape[2] - skip.shape[2], x.shape[3] - skip.shape[3]
                    around = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
                    x = torch.cat([x, F.pad(skip, around)], 1)
                case other:
                    raise ValueError(f"no PyTorch for the block {other}")
        return x


def made(block: dict, weight: torch.Tensor) -> nn.Module:
    if block["block"] == "dense":
        return nn.Linear(weight.shape[1], weight.shape[0])
    stride, padding = block.get("stride", 1), block.get("padding", 0)
    if block["block"] == "conv":
        return nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], stride, padding)
    return nn.ConvTranspose2d(weight.shape[0], weight.shape[1], weight.shape[2], stride, padding,
                              block.get("output_padding", 0))


class Vae(nn.Module):
    """The loss of a batch; that of a plain autoencoder has no noise and no KL term."""

    def __init__(self, config: dict, weights: dict, features: tuple[dict, dict] | None):
        super().__init__()
        model, channels = config["model"], config["image"]["channels"]
        self.likelihood = model["likelihood"]["kind"]
        self.beta = config["train"].get("beta", 1.0)
        self.encoder = Blocks(model["encoder"], channels, weights, "encoder")
        self.decoder = Blocks(model["decoder"], model["latent"], weights, "decoder")
        head = [{"block": "dense"}]
        self.mean = Blocks(head, 0, weights, "mean")
        self.log_var = Blocks(head, 0, weights, "log_var") if model.get("variational", True) else None
        self.perceptual, self.features = 0.0, None
        if features:
            description, feature_weights = features
            self.perceptual = config["train"]["perceptual"]["weight"]
            self.features = Blocks(description["blocks"], channels, feature_weights, "features").requires_grad_(False)

    def forward(self, images, epsilon):
        skips = {}
        encoded = self.encoder(images, skips)
        latent = mean = self.mean(encoded, {})
        if self.log_var is not None:
            log_var = self.log_var(encoded, {})
            latent = mean + torch.exp(0.5 * log_var) * epsilon
        decoded = self.decoder(latent, skips)
        if self.likelihood == "bernoulli":
            error = F.binary_cross_entropy_with_logits(decoded, images, reduction="none")
        else:
            error = (decoded - images).square()
        loss = error.flatten(1).sum(1).mean()
        if self.log_var is not None:
            loss = loss + self.beta * 0.5 * (mean.square() + log_var.exp() - log_var - 1.0).sum(1).mean()
        if self.features is None:
            return loss
        shown = torch.sigmoid(decoded) if self.likelihood == "bernoulli" else decoded
        ours, theirs = {}, {}
        with torch.no_grad():
            self.features(images, theirs)
        self.features(shown, ours)
        distance = sum((ours[tap] - theirs[tap]).square().flatten(1).mean(1) for tap in ours)
        return loss + self.perceptual * distance.mean()


def feature_weights(weights: dict, layers: list[str], blocks: list[dict]) -> dict:
    """Weights that are named by layer, under the numbers of their blocks."""
    numbers = [number for number, block in enumerate(blocks) if block["block"] in ("conv", "dense")]
    return {f"features.layers.{number}.{kind}": weights[f"{layer}.{kind}"]
            for layer, number in zip(layers, numbers) for kind in ("weight", "bias")}
