"""The small network.

    instruction ──bytes, conv──────────────┐
    view 1..V ──Eye, told what to look for──┼──> seen ──> context (C) ──┐
    state ──────────────────────────────────┘                          ├──> blocks ──> h (K, F) ──> v (K, D)
    noisy chunk x (K, D), time t ──────────────────────────────────────┘

The head sees the whole chunk at once: what it proposes is one motion, not K independent steps. A value head sees the
context and what it was mixed from: the places themselves tell how well the tool is aligned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from vla_mbpo_ros.policy.flow.net import Inputs
from vla_mbpo_ros.policy.tiny.config import TinyConfig
from vla_mbpo_ros.policy.tiny.eye import PER_KEYPOINT, Eye, Film, exact

_TIME_WIDTH = 64
_BYTES = 512  # codes of a tokenizer of bytes, its special ones included


@dataclass(frozen=True)
class TinyCache:
    """What `velocity` and a value head need of an observation."""

    context: Tensor  # (B, C)
    seen: Tensor  # (B, P): places in all views, what was understood, the state


class TinyNet(nn.Module):
    """Encodes an observation, and says where noise should flow."""

    def __init__(self, cfg: TinyConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.horizon, self.action_dim, self.state_dim = cfg.horizon, cfg.action_dim, cfg.state_dim
        seen = cfg.views * cfg.keypoints * PER_KEYPOINT + cfg.text_width + cfg.state_dim
        self.feature_width, self.context_width = cfg.features, cfg.context + seen
        self.read = Reader(cfg.text_width)
        self.view = nn.Embedding(cfg.views, cfg.text_width)
        self.eye = Eye(cfg.channels, cfg.keypoints, cfg.text_width)
        self.mix = nn.Sequential(nn.Linear(seen, cfg.context), nn.SiLU(), nn.Linear(cfg.context, cfg.context))
        self.head = Head(cfg)

    def encode(self, inputs: Inputs) -> TinyCache:
        with exact(inputs.state):
            text = self.read(inputs.tokens, inputs.token_mask)  # (B, W)
        places = self._look(inputs, text)
        with exact(inputs.state):
            seen = torch.cat([places, text, inputs.state], dim=-1)
            return TinyCache(self.mix(seen), seen)

    def velocity(self, cache: TinyCache, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        result: tuple[Tensor, Tensor] = self.head(cache.context, x, t)
        return result

    def context(self, cache: TinyCache) -> Tensor:
        return torch.cat([cache.context, cache.seen], dim=-1)

    def to_precision(self, dtype: torch.dtype) -> None:
        """Everything stays float32: there is little to win, and likelihoods stay exact."""

    def trunk(self) -> list[nn.Module]:
        return [self.read, self.view, self.eye, self.mix]

    def adaptable(self) -> list[nn.Module]:
        return [self.head]

    def _look(self, inputs: Inputs, text: Tensor) -> Tensor:
        """(B, V * M * 3); zeros where a camera is missing."""
        rows, views = inputs.image_mask.shape
        condition = (text[:, None] + self.view.weight).flatten(0, 1)  # (B * V, W)
        seen = self.eye(inputs.images.flatten(0, 1), condition).view(rows, views, -1)
        result: Tensor = (seen * inputs.image_mask[..., None]).flatten(1)
        return result


class Reader(nn.Module):
    """Instruction -> a vector. Neighbouring letters count: "red" is not "der"."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.letters = nn.Embedding(_BYTES, width)
        self.conv = nn.Conv1d(width, width, 5, padding=2)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) and (B, L) -> (B, W); padding changes nothing."""
        letters = self.letters(tokens) * mask[..., None]
        found = torch.relu(self.conv(letters.transpose(1, 2))) * mask[:, None]
        result: Tensor = self.out(found.amax(-1))
        return result


class Head(nn.Module):
    """The flow over the whole chunk, as a residual MLP that context and time steer."""

    def __init__(self, cfg: TinyConfig) -> None:
        super().__init__()
        self.cfg = cfg
        condition = cfg.context + _TIME_WIDTH
        self.enter = nn.Linear(cfg.horizon * cfg.action_dim + condition, cfg.width)
        self.blocks = nn.ModuleList(Block(cfg.width, condition) for _ in range(cfg.blocks))
        self.leave = nn.Linear(cfg.width, cfg.horizon * cfg.features)
        self.out = nn.Linear(cfg.features, cfg.action_dim)

    def forward(self, context: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C), (B, K, D), (B,) -> v (B, K, D), h (B, K, F)."""
        condition = torch.cat([context, time_waves(t)], dim=-1)
        y = self.enter(torch.cat([x.flatten(1), condition], dim=-1))
        for block in self.blocks:
            y = block(y, condition)
        h = silu(self.leave(silu(y))).view(len(x), self.cfg.horizon, self.cfg.features)
        return self.out(h), h


class Block(nn.Module):
    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.film = Film(condition, width)
        self.one, self.two = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, y: Tensor, condition: Tensor) -> Tensor:
        result: Tensor = y + self.two(silu(self.one(self.film(self.norm(y), condition))))
        return result


def time_waves(t: Tensor) -> Tensor:
    """(B,) in [0, 1] -> (B, 64): sines and cosines from one to about a thousand radians."""
    speeds = torch.exp(torch.linspace(0.0, math.log(1000.0), _TIME_WIDTH // 2, device=t.device))
    angles = t.float()[:, None] * speeds
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
