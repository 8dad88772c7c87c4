"""What is not a word becomes a token: patches, positions in an image, the flow time, the encoder's output."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor, nn

WAVES = 256  # numbers that say the flow time
_LEVEL_WAVES = 15  # the fastest turns about four times from the lowest level to the highest
_SLOWEST = 10_000.0  # period of the slowest wave over that of the fastest


def patches(image: Tensor, side: int) -> Tensor:
    """(B, C, H, W) -> (B, h w, side side C): tokens row by row, and in a token the pixels row by row, channels last."""
    rows, columns = image.shape[2] // side, image.shape[3] // side
    cut = image.reshape(*image.shape[:2], rows, side, columns, side)  # (B, C, h, p, w, q)
    return cut.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def unpatched(tokens: Tensor, grid: tuple[int, int], side: int) -> Tensor:
    """The way back: (B, h w, side side C) -> (B, C, H, W)."""
    cut = tokens.reshape(len(tokens), *grid, side, side, -1)  # (B, h, w, p, q, C)
    return cut.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


def places(grid: tuple[int, int], max_side: int) -> Tensor:
    """(h w,) numbers of the tokens in a table for max_side x max_side."""
    return (torch.arange(grid[0])[:, None] * max_side + torch.arange(grid[1])).flatten()


def sine_table(width: int, grid: tuple[int, int]) -> Tensor:
    """(h w, width): where a token stands in its image. The first half says the column, the second half the row.

    Each half is the sines, then the cosines, of the coordinate times 10000^(-2i / half).
    """
    half = width // 2
    rate = _SLOWEST ** -(torch.arange(half // 2, dtype=torch.float64) / (half / 2))
    row, column = (one.flatten() for one in torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij"))
    angles = [place.double()[:, None] * rate for place in (column, row)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1).float()


def time_waves(t: Tensor, waves: int = WAVES) -> Tensor:
    """Flow time (…) -> (…, waves) float32: cosines, then sines, of t times 10000^(-i / half)."""
    half = waves // 2
    rate = torch.exp(torch.arange(half, dtype=torch.float32, device=t.device) * (-math.log(_SLOWEST) / half))
    angle = t.float()[..., None] * rate
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def level_codes(levels: int, width: int, generator: torch.Generator) -> Tensor:
    """(levels, width) of unit length on average, neighbours alike: a random mix of x in [-1, 1] and its slow waves."""
    x = torch.linspace(-1.0, 1.0, levels)[:, None]
    turns = torch.arange(1, _LEVEL_WAVES + 1)
    waves = torch.cat([x, (x * turns * math.pi / 2).sin() / turns, (x * turns * math.pi / 2).cos() / turns], dim=1)
    mixed = (waves - waves.mean(dim=0)) @ torch.randn(waves.shape[1], width, generator=generator)
    return mixed / mixed.square().sum(dim=1).mean().sqrt()


class TimeEmbedder(nn.Module):
    """Flow time (…) -> (…, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(WAVES, width), nn.Linear(width, width)

    def forward(self, t: Tensor) -> Tensor:
        result: Tensor = self.second(F.silu(self.first(time_waves(t).to(self.first.weight.dtype))))
        return result


class Connector(nn.Module):
    """The encoder's output (…, inputs) as tokens of the trunk (…, width)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(F.gelu(self.first(x), approximate="tanh"))
        return result
