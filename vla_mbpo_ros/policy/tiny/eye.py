"""Pictures -> places. What to look for is decided by the instruction.

    (3, H, W) ──conv /2──> ──conv /2, Film──> ──conv, Film──> M maps ──soft-argmax──> M places

A map is a probability over the picture; its mean is the place (x, y) in [-1, 1], which is known to a fraction of a
pixel of the map, and its spread tells how sure the network is. Pooling over tokens was too coarse for a button of
1.6 cm, and hides where things are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PER_KEYPOINT = 3  # x, y, spread
_GROUPS = 4


class Film(nn.Module):
    """Scales and shifts channels by a condition; starts as no change."""

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        self.map = nn.Linear(condition, 2 * channels)
        nn.init.zeros_(self.map.weight)
        nn.init.zeros_(self.map.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (B, C, ...), condition (B, Q)."""
        scale, shift = self.map(condition).view(len(x), 2, -1, *[1] * (x.ndim - 2)).unbind(1)
        result: Tensor = torch.addcmul(shift, x, 1.0 + scale)
        return result


class Eye(nn.Module):
    """One view; all views share it and are told apart by the condition."""

    def __init__(self, channels: int, keypoints: int, condition: int) -> None:
        super().__init__()
        wide = 2 * channels
        # the first layer finds edges and colours for every task alike: no need to steer the largest maps
        self.first = nn.Conv2d(3, channels, 5, stride=2, padding=2)
        self.convs = nn.ModuleList(
            [nn.Conv2d(channels, wide, 3, stride=2, padding=1), nn.Conv2d(wide, wide, 3, padding=1)]
        )
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, wide) for _ in self.convs)
        self.films = nn.ModuleList(Film(condition, wide) for _ in self.convs)
        self.maps = nn.Conv2d(wide, keypoints, 1)

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] and (B, Q) -> (B, M * 3)."""
        x = torch.relu(self.first(images))
        for conv, norm, film in zip(self.convs, self.norms, self.films, strict=True):
            x = torch.relu(film(norm(conv(x)), condition))
        return places(self.maps(x).float())


def places(maps: Tensor) -> Tensor:
    """(B, M, H, W) -> (B, M * 3): mean x, mean y and spread of each map's softmax."""
    with exact(maps):
        probability = maps.flatten(2).softmax(-1)  # (B, M, H * W)
        grid = _coordinates(maps).flatten(2)[0]  # (2, H * W)
        mean = probability @ grid.T  # (B, M, 2)
        spread = probability @ grid.square().sum(0)[:, None] - mean.square().sum(-1, keepdim=True)
        return torch.cat([mean, spread], dim=-1).flatten(1)


def exact(like: Tensor) -> torch.autocast:
    """Where bfloat16 would cost a quarter of a pixel: float32, also inside of autocast."""
    return torch.autocast(like.device.type, enabled=False)


def _coordinates(like: Tensor) -> Tensor:
    """(1, 2, H, W): x to the right and y down, both from -1 to 1."""
    height, width = like.shape[-2:]
    y = torch.linspace(-1.0, 1.0, height, dtype=like.dtype, device=like.device)
    x = torch.linspace(-1.0, 1.0, width, dtype=like.dtype, device=like.device)
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])[None]
