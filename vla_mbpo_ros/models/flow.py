"""The straight path between data and noise, and the way back along a learned velocity.

        x0 data                                    eps noise
        t = 0 ───────────── x_t ────────────────── t = 1          x_t = (1 - t) x0 + t eps
                             └── v = eps - x0 ──>                  the same at every t

A network learns v from (x_t, t). Acting goes from t = 1 down to t = 0, with S steps of 1/S:

        t_0 = 1 ──> t_1 = 1 - 1/S ──> … ──> t_S = 0               x <- x - v / S
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]  # x (B, K, D), t (B,) -> v (B, K, D)

# Training sees noisy moments more often: near t = 1 the network must guess, near 0 it only has to read.
_ALPHA = 1.5  # of Beta(alpha, 1)
_EARLIEST, _SPAN = 0.001, 0.999  # t = 0 is data already, there is nothing to learn


def interpolate(x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
    """x_t (B, K, D), from data and noise of that shape and t (B,)."""
    share = t[:, None, None].to(x0.dtype)
    return share * eps + (1.0 - share) * x0


def velocity_target(x0: Tensor, eps: Tensor) -> Tensor:
    """What the network should say anywhere on the path (B, K, D)."""
    return eps - x0


def flow_loss(v: Tensor, x0: Tensor, eps: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean squared error of each row (B,); `weight` (B, K, D) counts elements, 0 leaves one out."""
    error = (v - velocity_target(x0, eps)).square()
    if weight is None:
        return error.mean(dim=(1, 2))
    return (error * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2)).clamp(min=1.0)


def sample_time(uniform: Tensor) -> Tensor:
    """Moments t (B,) to train on, from `uniform` (B,) in [0, 1): Beta(1.5, 1) by its inverse."""
    return _EARLIEST + _SPAN * uniform ** (1.0 / _ALPHA)


def grid(steps: int) -> list[float]:
    """t_0 = 1, …, t_S = 0: S + 1 moments."""
    return [1.0 - step / steps for step in range(steps + 1)]


def euler(velocity: Velocity, x: Tensor, steps: int) -> list[Tensor]:
    """All states from noise x (B, K, D) to data: S + 1 of them."""
    states = [x]
    for moment in grid(steps)[:-1]:
        t = torch.full((x.shape[0],), moment, dtype=torch.float32, device=x.device)
        states.append(states[-1] - velocity(states[-1], t) / steps)
    return states
