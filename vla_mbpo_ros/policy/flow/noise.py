"""Chance along the flow: how a policy explores, and how likely what it did was.

        x_t0 ~ N(0, I)      mean_i, std_i = step(x_i, v_i)      x_i+1 = mean_i + std_i * noise

    log p(chain) = log N(x_t0) + sum over i < S of log N(x_i+1; mean_i, std_i)

| | mean | standard deviation |
|---|---|---|
| Flow-Noise | the flow's own step, x - d v | learned, between two bounds |
| Flow-SDE | x0' (1 - t + d) + x1' (t - d - s^2 d / 2t) | sqrt(d) s, s = level sqrt(t / (1 - t)) |

with d = 1/S, x0' = x - t v and x1' = x + (1 - t) v, the data and the noise that the network sees; at t = 1 the
denominator uses the next moment.

Where chance acts is a `NoiseSpace`: all executed steps of all real dimensions one by one, or only the lowest
cosines over the executed steps, so that whole chunks differ smoothly. Elsewhere (steps that nobody executes, padding)
the plain flow is followed; so the sum above is exactly the joint likelihood of all that was left to chance.
Sums are in float64: a ratio of two likelihoods must not drown in rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.models.flow import grid

_LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class NoiseSpace:
    """M coefficients over time for each of d dimensions."""

    basis: Tensor  # (K, M) orthonormal columns, zero at steps that are not executed
    dims: tuple[int, ...]  # d of the D dimensions

    def coefficients(self, x: Tensor) -> Tensor:
        """(B, K, D) -> (B, M, d)"""
        return torch.einsum("km,bkd->bmd", self.basis.to(x), x[:, :, list(self.dims)])

    def spread(self, z: Tensor, action_dim: int) -> Tensor:
        """(B, M, d) -> (B, K, D)"""
        x = z.new_zeros(z.shape[0], self.basis.shape[0], action_dim)
        x[:, :, list(self.dims)] = torch.einsum("km,bmd->bkd", self.basis.to(z), z)
        return x

    def features(self, h: Tensor) -> Tensor:
        """What a noise head sees of the features: (B, K, F) -> (B, M, F)"""
        return torch.einsum("km,bkf->bmf", self.basis.to(h), h)

    def pick(self, per_dim: Tensor) -> Tensor:
        """(B, M, D) -> (B, M, d)"""
        return per_dim[:, :, list(self.dims)]


def steps_basis(horizon: int, executed: int) -> Tensor:
    """(K, M): each executed step by itself."""
    return torch.eye(horizon, dtype=torch.float64)[:, :executed]


def cosine_basis(horizon: int, executed: int, count: int) -> Tensor:
    """(K, M): the lowest cosines over the executed steps. The first is constant, the second goes from one side to
    the other once, and so on."""
    if count > executed:
        raise ConfigError(f"noise_basis is {count}.", f"Only {executed} steps are executed: give no more than that.")
    step = torch.arange(executed, dtype=torch.float64)
    columns = [torch.cos(math.pi * (step + 0.5) * index / executed) for index in range(count)]
    basis = torch.zeros(horizon, count, dtype=torch.float64)
    basis[:executed] = torch.stack([column / column.norm() for column in columns], dim=1)
    return basis


def flow_step(x: Tensor, v: Tensor, steps: int) -> Tensor:
    """The plain flow's next state."""
    return x - v / steps


def sde_step(x: Tensor, v: Tensor, index: int, steps: int, level: float) -> tuple[Tensor, float]:
    """Flow-SDE's mean of the next state, and its standard deviation."""
    moments = grid(steps)
    t, delta = moments[index], 1.0 / steps
    sigma = level * math.sqrt(t / (1.0 - (moments[1] if index == 0 else t)))
    data, noise = x - t * v, x + (1.0 - t) * v
    mean = data * (1.0 - t + delta) + noise * (t - delta - sigma**2 * delta / (2.0 * t))
    return mean, math.sqrt(delta) * sigma


def log_normal(z: Tensor, std: Tensor) -> Tensor:
    """Log-density (B,) of independent normals at distance z (B, …) from their mean."""
    z, std = z.double(), std.double().expand_as(z)
    each = -0.5 * (z / std).square() - std.log() - 0.5 * _LOG_2PI
    return each.flatten(1).sum(dim=1)


def entropy_of(std: Tensor) -> Tensor:
    """(B,) of independent normals with std (B, …)."""
    return (std.double().log() + 0.5 * (1.0 + _LOG_2PI)).flatten(1).sum(dim=1)


def reduce_terms(terms: Sequence[Tensor], how: str) -> Tensor:
    """The S + 1 terms of a chain, each (B,), as their sum or mean."""
    stacked = torch.stack(list(terms))
    return stacked.sum(dim=0) if how == "sum" else stacked.mean(dim=0)
