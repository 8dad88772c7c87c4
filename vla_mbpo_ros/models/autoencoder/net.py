"""The convolutions of an autoencoder, by the names that FLUX's has.

    encoder   conv_in ──> down.0 ──half──> down.1 ──half──> … ──> mid ──> norm_out, conv_out
    decoder   conv_in ──> mid ──> up.n ──twice──> … ──twice──> up.0 ──> norm_out, conv_out

Levels are numbered from fine to coarse in both. A level is `block.0` … and, but for the coarsest, `downsample` on the
way in; on the way out `upsample`, but for the finest.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor, nn
from torch.nn.functional import silu

from vla_mbpo_ros.models.autoencoder.config import AutoencoderConfig

_EPS = 1e-6  # of the norms, as FLUX has it


class Encoder(nn.Module):
    def __init__(self, cfg: AutoencoderConfig) -> None:
        super().__init__()
        first, last = cfg.widths[0], cfg.widths[-1]
        self.patch = cfg.patch
        self.conv_in = nn.Conv2d(3 * cfg.patch**2, first, 3, padding=1)
        self.down = nn.ModuleList()
        for level, (before, width) in enumerate(pairwise((first, *cfg.widths))):
            halve = Downsample(width) if level + 1 < len(cfg.widths) else None
            self.down.append(_level(before, width, cfg.encoder_blocks, cfg.groups, "downsample", halve))
        self.mid = Middle(last, cfg.groups) if cfg.middle else nn.Identity()
        self.norm_out = nn.GroupNorm(cfg.groups, last, _EPS)
        self.conv_out = nn.Conv2d(last, cfg.latent_channels * (2 if cfg.sampled else 1), 3, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C or 2 C, h, w)"""
        x = self.conv_in(F.pixel_unshuffle(pixels, self.patch))
        for level in self.down:
            x = _run(level, x, "downsample")
        result: Tensor = self.conv_out(silu(self.norm_out(self.mid(x))))
        return result


class Decoder(nn.Module):
    def __init__(self, cfg: AutoencoderConfig) -> None:
        super().__init__()
        first, last = cfg.widths[0], cfg.widths[-1]
        self.patch = cfg.patch
        self.conv_in = nn.Conv2d(cfg.latent_channels, last, 3, padding=1)
        self.mid = Middle(last, cfg.groups) if cfg.middle else nn.Identity()
        self.up = nn.ModuleList()
        for level, (width, coarser) in enumerate(pairwise((*cfg.widths, last))):
            double = Upsample(width) if level else None
            self.up.append(_level(coarser, width, cfg.decoder_blocks, cfg.groups, "upsample", double))
        self.norm_out = nn.GroupNorm(cfg.groups, first, _EPS)
        self.conv_out = nn.Conv2d(first, 3 * cfg.patch**2, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 3, H, W)"""
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = _run(level, x, "upsample")
        return F.pixel_shuffle(self.conv_out(silu(self.norm_out(x))), self.patch)


class Block(nn.Module):
    """Two convolutions beside the straight way."""

    def __init__(self, before: int, width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, before, _EPS)
        self.conv1 = nn.Conv2d(before, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, width, _EPS)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(before, width, 1) if before != width else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(silu(self.norm1(x)))
        y = self.conv2(silu(self.norm2(y)))
        result: Tensor = (x if self.nin_shortcut is None else self.nin_shortcut(x)) + y
        return result


class Attention(nn.Module):
    """Every place looks at every place, with one head."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, _EPS)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        q, k, v = (layer(y).flatten(2).transpose(1, 2)[:, None] for layer in (self.q, self.k, self.v))  # (B, 1, N, W)
        seen = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).reshape(x.shape)
        result: Tensor = x + self.proj_out(seen)
        return result


class Middle(nn.Module):
    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.block_1 = Block(width, width, groups)
        self.attn_1 = Attention(width, groups)
        self.block_2 = Block(width, width, groups)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return result


class Downsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        # FLUX pads at the right and at the bottom only
        result: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return result


class Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return result


def _level(before: int, width: int, blocks: int, groups: int, name: str, change: nn.Module | None) -> nn.ModuleDict:
    """Blocks, the first from `before` channels, and what changes the side."""
    parts: dict[str, nn.Module] = {
        "block": nn.ModuleList(Block(before if place == 0 else width, width, groups) for place in range(blocks))
    }
    return nn.ModuleDict(parts if change is None else {**parts, name: change})


def _run(level: nn.Module, x: Tensor, name: str) -> Tensor:
    assert isinstance(level, nn.ModuleDict)
    blocks = level["block"]
    assert isinstance(blocks, nn.ModuleList)
    for block in blocks:
        x = block(x)
    return level[name](x) if name in level else x


def split(moments: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 2 C, h, w) -> mean and standard deviation, (B, C, h, w) each."""
    mean, log_variance = moments.chunk(2, dim=1)
    return mean, torch.exp(0.5 * log_variance)
