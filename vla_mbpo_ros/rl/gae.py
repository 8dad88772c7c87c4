"""Generalised advantage estimation over chunks.

One column is one episode or branch, one row one chunk j; Γ = γ^k is the discount of a whole chunk:

    R_j = Σ_{i<k} γ^i r_{jk+i}                            reward inside chunk j
    δ_j = R_j + Γ (1 − done_j) V(s_{j+1}) − V(s_j)
    Â_j = δ_j + Γ λ (1 − end_j) Â_{j+1}

`done` is success: nothing comes after it, its value is 0. `truncated` is where the column is cut (out of time,
the end of a branch): the value of what would have come is still counted. Both end the sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError


@dataclass(frozen=True)
class Returns:
    """Both (T, B); 0 where `valid` is False."""

    advantage: Tensor
    target: Tensor  # what the value of s_j should have been: Â_j + V(s_j)


def chunk_rewards(rewards: Tensor, gamma: float) -> Tensor:
    """(..., K) rewards of the steps of a chunk -> (...) its discounted sum R."""
    weights = gamma ** torch.arange(rewards.shape[-1], dtype=rewards.dtype, device=rewards.device)
    return (rewards * weights).sum(-1)


def gae(
    rewards: Tensor,  # (T, B) R_j
    values: Tensor,  # (T, B) V(s_j)
    next_values: Tensor,  # (T, B) V(s_{j+1})
    done: Tensor,  # (T, B) bool
    truncated: Tensor,  # (T, B) bool
    *,
    discount: float,  # Γ = γ^k
    lam: float,
    valid: Tensor | None = None,  # (T, B) bool: rows that exist; None: all
) -> Returns:
    """Advantages and value targets."""
    _check(rewards, values, next_values, done, truncated)
    exists = torch.ones_like(done) if valid is None else valid
    delta = rewards + discount * next_values * ~done - values
    goes_on = ~(done | truncated)
    advantage = torch.zeros_like(rewards)
    later = nothing = torch.zeros_like(rewards[0])
    for row in reversed(range(len(rewards))):
        follows = torch.where(goes_on[row], later, nothing)
        later = torch.where(exists[row], delta[row] + discount * lam * follows, nothing)
        advantage[row] = later
    return Returns(advantage, torch.where(exists, advantage + values, torch.zeros_like(values)))


def _check(*tensors: Tensor) -> None:
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ContractError(f"GAE got the shapes {sorted(shapes)}.", "Give (chunks, columns) for every one.")
