"""What reinforcement learning adds to a network: how boldly to try, and what to expect."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.models.mlp import Mlp

CLOCK = 8  # numbers that tell the time


class NoiseHead(nn.Module):
    """Standard deviations (B, M, D) inside (low, high), from features (B, M, F)."""

    def __init__(
        self, features: int, hidden: Sequence[int], action_dim: int, low: float, high: float, start: float
    ) -> None:
        super().__init__()
        if not low < high:
            raise ConfigError(f"Noise is bounded by {low} and {high}.", "Give noise_low below noise_high.")
        start = start or math.sqrt(low * high)
        if not low < start < high:
            raise ConfigError(f"noise_start is {start}.", f"Give a number inside ({low}, {high}), or 0.")
        self.low, self.high = math.log(low), math.log(high)
        self.mlp = Mlp(features, hidden, action_dim, nn.Tanh, zero_last=True)
        share = (math.log(start) - self.low) / (self.high - self.low)
        nn.init.constant_(self.mlp.last.bias, math.atanh(2.0 * share - 1.0))

    def forward(self, features: Tensor) -> Tensor:
        share = 0.5 * (torch.tanh(self.mlp(features)) + 1.0)
        result: Tensor = torch.exp(self.low + share * (self.high - self.low))
        return result


class ValueHead(nn.Module):
    """The expected return (B,), from a context (B, C) and the share of the time that is left (B,). It starts at 0."""

    def __init__(self, context: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.mlp = Mlp(context + CLOCK, hidden, 1, nn.ReLU, zero_last=True)

    def forward(self, context: Tensor, time_left: Tensor) -> Tensor:
        result: Tensor = self.mlp(torch.cat([context, clock(time_left).to(context)], dim=-1))[:, 0]
        return result


def clock(time_left: Tensor) -> Tensor:
    """(B,) in [0, 1] -> (B, CLOCK): slow and fast hands. One number would drown among hundreds."""
    turns = torch.arange(1, CLOCK + 1, device=time_left.device, dtype=time_left.dtype)
    return torch.cos(math.pi * time_left[:, None] * turns)
