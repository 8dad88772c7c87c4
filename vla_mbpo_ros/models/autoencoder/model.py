"""Pixels to latents and back, and a name for the weights that do it.

    z = encoder(pixels), or one drawn from the mean and variance that it says       latents = scale · (z - shift)

Latents have about unit variance, which is what a flow that begins at noise wants.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.autoencoder.config import TINY, AutoencoderConfig
from vla_mbpo_ros.models.autoencoder.net import Decoder, Encoder, split

_DIGITS = 16  # of the version


class Autoencoder(nn.Module):
    """One for all views."""

    def __init__(self, cfg: AutoencoderConfig = TINY) -> None:
        super().__init__()
        self.cfg = cfg
        self.encoder, self.decoder = Encoder(cfg), Decoder(cfg)
        self._named: tuple[Any, str] = ((), "")

    @property
    def latent_channels(self) -> int:
        return self.cfg.latent_channels

    @property
    def downsample(self) -> int:
        """Pixels of a side for one latent token."""
        return self.cfg.downsample

    def encode(self, pixels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, C, h, w). With a generator a draw, where the encoder says a variance; else
        the mean."""
        self._check(pixels)
        said = self.encoder(pixels)
        if self.cfg.sampled:
            said, deviation = split(said)
            if generator is not None:
                # drawn where the generator lives and in float32: the same for every device and type of the weights
                noise = torch.randn(said.shape, generator=generator, device=generator.device)
                said = said + deviation * noise.to(said)
        result: Tensor = self.cfg.scale * (said - self.cfg.shift)
        return result

    def decode(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 3, H, W), about in [-1, 1]: not cut off."""
        result: Tensor = self.decoder(latents / self.cfg.scale + self.cfg.shift)
        return result

    @property
    def version(self) -> str:
        """Hash of settings and weights: latents of one version mean nothing to another one. The type counts too, for
        half the digits give other latents."""
        marks = self.cfg, [(id(p), p.data_ptr(), p._version) for p in self.parameters()]
        if marks != self._named[0]:
            self._named = marks, self._hash()
        return self._named[1]

    def calibrate(self, pixels: Tensor) -> None:
        """Choose scale and shift so that the latents of these pixels have mean 0 and deviation 1."""
        self.cfg = replace(self.cfg, scale=1.0, shift=0.0)
        with torch.no_grad():
            z = self.encode(pixels)
        self.cfg = replace(self.cfg, scale=1.0 / max(float(z.std()), 1e-6), shift=float(z.mean()))

    def _hash(self) -> str:
        found = hashlib.sha256(json.dumps(nested(self.cfg)).encode())
        for name, tensor in sorted(self.state_dict().items()):
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return found.hexdigest()[:_DIGITS]

    def _check(self, pixels: Tensor) -> None:
        side = self.downsample
        if pixels.ndim != 4 or pixels.shape[1] != 3 or pixels.shape[2] % side or pixels.shape[3] % side:
            cause = f"Pixels of shape {tuple(pixels.shape)} came to an autoencoder."
            raise ContractError(cause, f"Give (B, 3, H, W), H and W multiples of {side}.")
