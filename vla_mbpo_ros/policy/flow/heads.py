"""What reinforcement learning adds to a network: how boldly to try, and what to expect."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.models.mlp import Mlp


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
    """The expected return (B,), from a context (B, C). It starts at 0."""

    def __init__(self, context: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.mlp = Mlp(context, hidden, 1, nn.ReLU, zero_last=True)

    def forward(self, context: Tensor) -> Tensor:
        result: Tensor = self.mlp(context)[:, 0]
        return result
