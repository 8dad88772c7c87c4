"""The image tower: patches as tokens, a plain transformer over them, no class token.

image (3, 224, 224) ──14x14 patches──> 256 tokens ──+ place──> 27 layers ──norm──> 256 tokens of 1152
"""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor, nn

from vla_mbpo_ros.policy.pi.config import VisionConfig

_EPS = 1e-6


class VisionBlock(nn.Module):
    """Attention of every patch to every patch, then two layers on each."""

    def __init__(self, cfg: VisionConfig) -> None:
        super().__init__()
        self.heads = cfg.heads
        self.norm1 = nn.LayerNorm(cfg.width, eps=_EPS)
        self.norm2 = nn.LayerNorm(cfg.width, eps=_EPS)
        self.q = nn.Linear(cfg.width, cfg.width)
        self.k = nn.Linear(cfg.width, cfg.width)
        self.v = nn.Linear(cfg.width, cfg.width)
        self.out = nn.Linear(cfg.width, cfg.width)
        self.up = nn.Linear(cfg.width, cfg.mlp)
        self.down = nn.Linear(cfg.mlp, cfg.width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attention(normed(self.norm1, x))
        inner = F.gelu(self.up(normed(self.norm2, x)), approximate="tanh")
        result: Tensor = x + self.down(inner)
        return result

    def _attention(self, x: Tensor) -> Tensor:
        q, k, v = (self._split(layer(x)) for layer in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v)
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result

    def _split(self, x: Tensor) -> Tensor:
        """(B, P, width) -> (B, heads, P, width / heads)"""
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(1, 2)


class VisionTower(nn.Module):
    """(B, 3, side, side) in [-1, 1] -> (B, P, width)."""

    def __init__(self, cfg: VisionConfig) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, cfg.width, kernel_size=cfg.patch, stride=cfg.patch)
        self.place = nn.Embedding(cfg.tokens, cfg.width)
        self.layers = nn.ModuleList(VisionBlock(cfg) for _ in range(cfg.depth))
        self.norm = nn.LayerNorm(cfg.width, eps=_EPS)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch(images.to(self.patch.weight.dtype)).flatten(2).transpose(1, 2) + self.place.weight
        x = x.to(cast(VisionBlock, self.layers[0]).q.weight.dtype)
        for layer in self.layers:
            x = layer(x)
        return normed(self.norm, x)


def normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """In the norm's own precision, which stays float32 where the rest is bfloat16."""
    result: Tensor = norm(x.to(norm.weight.dtype)).to(x.dtype)
    return result
