"""Variational autoencoders as people write them in PyTorch, none of them with vae-infer in mind."""

import torch
from torch import nn
from torch.nn import functional as F


class MlpEncoder(nn.Module):
    """Flat pixels in, mean and standard deviation out."""

    def __init__(self, pixels=144, latent=4):
        super().__init__()
        self.hidden = nn.Linear(pixels, 24)
        self.mu = nn.Linear(24, latent)
        self.sigma = nn.Linear(24, latent)

    def forward(self, x):
        h = torch.tanh(self.hidden(x))
        return self.mu(h), F.softplus(self.sigma(h))


class MlpDecoder(nn.Module):
    def __init__(self, pixels=144, latent=4):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(latent, 24), nn.ELU(), nn.Linear(24, pixels), nn.Sigmoid())

    def forward(self, z):
        return self.net(z)


class ConvEncoder(nn.Module):
    """Colour, channels first, batch normalisation, a mean and a log-variance of [batch, Z, 1, 1]."""

    def __init__(self, latent=6):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(0.2),
            nn.Conv2d(8, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.LeakyReLU(0.2),
        )
        self.mu = nn.Conv2d(12, latent, 4)
        self.logvar = nn.Conv2d(12, latent, 4)

    def forward(self, x):
        h = self.features(x)
        return self.mu(h), self.logvar(h)


class ConvDecoder(nn.Module):
    """A reshape that names the batch size, so that an export with one example fixes it."""

    def __init__(self, latent=6):
        super().__init__()
        self.latent = latent
        self.expand = nn.Linear(latent, 12 * 4 * 4)
        self.net = nn.Sequential(
            nn.BatchNorm2d(12), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(12, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh(),
        )

    def forward(self, z):
        h = self.expand(z.reshape(z.shape[0], self.latent))
        return self.net(h.view(z.shape[0], 12, 4, 4))


class LastEncoder(nn.Module):
    """Channels last, and both heads in one tensor, as TensorFlow's tutorial has them."""

    def __init__(self, latent=2):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2, 1)
        self.dense = nn.Linear(6 * 5 * 5, 2 * latent)

    def forward(self, x):
        h = F.relu(self.conv(x.permute(0, 3, 1, 2)))
        return self.dense(h.permute(0, 2, 3, 1).flatten(1))


class LastDecoder(nn.Module):
    """Logits, channels last."""

    def __init__(self, latent=2):
        super().__init__()
        self.dense = nn.Linear(latent, 6 * 5 * 5)
        self.conv = nn.Conv2d(6, 3, 3, 1, 1)

    def forward(self, z):
        h = F.relu(self.dense(z)).view(-1, 6, 5, 5)
        h = F.interpolate(h, scale_factor=2, mode="nearest")
        return self.conv(h).permute(0, 2, 3, 1)


class UnetEncoder(nn.Module):
    """Hands its first layer's image on to the decoder."""

    def __init__(self, latent=5):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, 1, 1)
        self.second = nn.Conv2d(4, 8, 3, 2, 1)
        self.mean = nn.Linear(8 * 7 * 7, latent)
        self.log_var = nn.Linear(8 * 7 * 7, latent)

    def forward(self, x):
        wide = F.silu(self.first(x))
        h = F.gelu(self.second(wide)).flatten(1)
        return self.mean(h), self.log_var(h), wide


class UnetDecoder(nn.Module):
    def __init__(self, latent=5):
        super().__init__()
        self.dense = nn.Linear(latent, 8 * 7 * 7)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.last = nn.Conv2d(8, 1, 3, 1, 1)

    def forward(self, z, wide):
        h = self.up(F.silu(self.dense(z)).unflatten(1, (8, 7, 7)))
        return self.last(torch.cat([h, wide], dim=1))


class DrawingEncoder(nn.Module):
    """Gives the sampled latent vector first; mean and log-variance are there beside it."""

    def __init__(self, latent=3):
        super().__init__()
        self.hidden = nn.Linear(64, 16)
        self.mean = nn.Linear(16, latent)
        self.log_var = nn.Linear(16, latent)

    def forward(self, x):
        h = F.relu(self.hidden(x.flatten(1)))
        mean, log_var = self.mean(h), self.log_var(h)
        return mean + torch.randn_like(mean) * torch.exp(0.5 * log_var), mean, log_var


class DrawnEncoder(DrawingEncoder):
    """Gives nothing but the sampled latent vector."""

    def forward(self, x):
        return super().forward(x)[0]


class DrawingDecoder(nn.Module):
    def __init__(self, latent=3):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(latent, 16), nn.ReLU(), nn.Linear(16, 64), nn.Sigmoid())

    def forward(self, z):
        return self.net(z).view(-1, 1, 8, 8)
