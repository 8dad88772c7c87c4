"""PPO on chunks: what one minibatch costs, and what tells whether the update is healthy.

r   = exp(log π − log π_old)                          1 before the first step
L_π = −E[ min(r Â, clip(r, 1 − ε, 1 + ε) Â) ]         for Â < 0 at least c Â: the dual clip
L_V = Huber of V against its target, V kept within ε_V of V_old
KL to the policy that imitation gave: E[ q − 1 − log q ],  q = π_ref / π, never negative
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from vla_mbpo_ros.config import leaf

_TINY = 1e-8


@dataclass(frozen=True)
class PpoConfig:
    """The paper's figures where it gives them."""

    clip: float = leaf(0.1, "The ratio counts within 1 - this and 1 + this (epsilon).", low=0.0, high=1.0)
    dual_clip: float = leaf(3.0, "A bad chunk costs at most so many times its advantage (c); 0: no bound.", low=0.0)
    value_clip: float = leaf(0.2, "The value moves so far from the old one at most; 0: as far as it likes.", low=0.0)
    huber_delta: float = leaf(10.0, "Errors of the value beyond this count by their size, not its square.", low=1e-6)
    entropy_weight: float = leaf(0.0, "Reward for entropy.", low=0.0)
    reference_weight: float = leaf(0.0, "Price of the KL to the imitation policy.", low=0.0)


@dataclass(frozen=True)
class Losses:
    """Of one minibatch. `policy` and `value` carry gradients, the rest is for people."""

    policy: Tensor
    value: Tensor
    kl: float  # from the policy that collected to this one, E[r − 1 − log r]
    clipped: float  # share of samples whose ratio is outside of 1 ± ε
    reference_kl: float


def normalise(advantage: Tensor) -> Tensor:
    """Mean 0, deviation 1; constant advantages become 0."""
    return (advantage - advantage.mean()) / (advantage.std(unbiased=False) + _TINY)


def policy_loss(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, cfg: PpoConfig) -> Tensor:
    """(B,) each; a scalar."""
    ratio = (log_prob - old_log_prob).exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(1.0 - cfg.clip, 1.0 + cfg.clip) * advantage)
    if cfg.dual_clip:
        # A bad chunk that has become much likelier would give an unbounded loss.
        gain = torch.where(advantage < 0, torch.maximum(gain, cfg.dual_clip * advantage), gain)
    return -gain.mean()


def value_loss(value: Tensor, old_value: Tensor, target: Tensor, cfg: PpoConfig) -> Tensor:
    """(B,) each; a scalar."""
    loss = huber_loss(value, target, reduction="none", delta=cfg.huber_delta)
    if cfg.value_clip:
        near = old_value + (value - old_value).clamp(-cfg.value_clip, cfg.value_clip)
        loss = torch.maximum(loss, huber_loss(near, target, reduction="none", delta=cfg.huber_delta))
    return loss.mean()


def kl_of(log_prob: Tensor, other_log_prob: Tensor) -> Tensor:
    """KL(π || other) from samples of π: E[q − 1 − log q], q = other / π. A scalar, never negative."""
    log_q = other_log_prob - log_prob
    return (log_q.exp() - 1.0 - log_q).mean()


def losses(
    log_prob: Tensor,
    old_log_prob: Tensor,
    advantage: Tensor,
    value: Tensor,
    old_value: Tensor,
    target: Tensor,
    cfg: PpoConfig,
    entropy: Tensor | None = None,
    reference_log_prob: Tensor | None = None,
) -> Losses:
    """Everything of one minibatch, (B,) each. `advantage` is normalised already."""
    total = policy_loss(log_prob, old_log_prob, advantage, cfg)
    if entropy is not None and cfg.entropy_weight:
        total = total - cfg.entropy_weight * entropy.mean()
    reference = torch.zeros(())
    if reference_log_prob is not None:
        reference = kl_of(log_prob, reference_log_prob)
        total = total + cfg.reference_weight * reference
    with torch.no_grad():
        ratio = (log_prob - old_log_prob).exp()
        kl = float((ratio - 1.0 - (log_prob - old_log_prob)).mean())
        clipped = float(((ratio - 1.0).abs() > cfg.clip).float().mean())
    return Losses(total, value_loss(value, old_value, target, cfg), kl, clipped, float(reference.detach()))


def explained_variance(value: Tensor, target: Tensor) -> float:
    """1: the value explains all of the target's spread; 0 or less: none of it."""
    spread = float(target.var(unbiased=False))
    return 1.0 - float((target - value).var(unbiased=False)) / spread if spread > _TINY else 0.0
