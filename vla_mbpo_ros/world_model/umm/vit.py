"""The encoder of the understanding expert (SigLIP's form, as Bagel has it): patches of any grid, no class token.

view (3, H, W) ──patches, (h, w) then (p, q, c)──> linear ──+ place──> layers ──norm──> (h w) tokens

The table of places is for the largest grid: a patch at (row, column) has the number row · max_side + column.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor, nn

from vla_mbpo_ros.world_model.umm.config import VitConfig
from vla_mbpo_ros.world_model.umm.embed import patches, places


class VitLayer(nn.Module):
    """Attention of every patch to every patch, then two layers on each."""

    def __init__(self, cfg: VitConfig) -> None:
        super().__init__()
        self.heads = cfg.heads
        self.norm1 = nn.LayerNorm(cfg.width, eps=cfg.norm_eps)
        self.norm2 = nn.LayerNorm(cfg.width, eps=cfg.norm_eps)
        self.q = nn.Linear(cfg.width, cfg.width)
        self.k = nn.Linear(cfg.width, cfg.width)
        self.v = nn.Linear(cfg.width, cfg.width)
        self.out = nn.Linear(cfg.width, cfg.width)
        self.up = nn.Linear(cfg.width, cfg.mlp)
        self.down = nn.Linear(cfg.mlp, cfg.width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attention(self.norm1(x))
        result: Tensor = x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))
        return result

    def _attention(self, x: Tensor) -> Tensor:
        q, k, v = (
            layer(x).reshape(*x.shape[:-1], self.heads, -1).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        result: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return result


class Vit(nn.Module):
    """(B, 3, H, W) in [-1, 1] -> (B, tokens, width)."""

    def __init__(self, cfg: VitConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.patch = nn.Linear(3 * cfg.patch**2, cfg.width)
        self.place = nn.Embedding(cfg.max_side**2, cfg.width)
        self.layers = nn.ModuleList(VitLayer(cfg) for _ in range(cfg.layers))
        self.norm = nn.LayerNorm(cfg.width, eps=cfg.norm_eps)

    def forward(self, pixels: Tensor) -> Tensor:
        cut = patches(pixels, self.cfg.patch).to(self.patch.weight.dtype)
        x = self.patch(cut) + self.place(places(self.cfg.grid, self.cfg.max_side).to(pixels.device))
        for layer in self.layers:
            x = layer(x)
        result: Tensor = self.norm(x)
        return result
