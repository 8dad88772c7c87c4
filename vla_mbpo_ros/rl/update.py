"""Several passes of PPO over the same samples, stopped before the policy has moved too far.

pass 1 … passes
  minibatch ──> log π, V ──> losses ──> KL beyond the stop? ──yes──> the policy rests, the value goes on
                                               └──no──> one step of both
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.policy.protocol import NOISE
from vla_mbpo_ros.rl.ppo import Losses, PpoConfig, explained_variance, losses, normalise
from vla_mbpo_ros.rl.samples import Samples

_STEP = 1.3  # of the learning rate


@dataclass(frozen=True)
class UpdateConfig:
    """How far and how fast the policy moves on one set of samples."""

    passes: int = leaf(3, "Passes over the samples at most.", low=1, high=1000)
    minibatch: int = leaf(1024, "Samples in a step.", low=1)
    kl_stop: float = leaf(0.06, "The policy rests for the other minibatches beyond this KL.", low=0.0)
    lr: float = leaf(4e-5, "Learning rate of the policy.", low=0.0, high=1.0)
    kl_target: float = leaf(
        0.01, "A brake: beyond twice this KL the learning rate steps down, below half of it up again; 0: none.", low=0.0
    )
    warmup: int = leaf(10, "First steps of the policy, with a rising learning rate: Adam knows no scale yet.", low=0)
    value_lr: float = leaf(1e-3, "Learning rate of the value head.", low=0.0, high=1.0)
    clip_gradient: float = leaf(1.0, "Greatest norm of the gradient, of policy and value apart.", low=1e-6)
    weight_decay: float = leaf(0.0, "Weight decay of AdamW.", low=0.0, high=1.0)


@dataclass(frozen=True)
class Report:
    """What an update did."""

    kl: float  # of the last minibatch that the policy learnt from or stopped at
    clipped: float  # mean share
    reference_kl: float
    value_loss: float
    explained: float  # of the targets' variance, by the values the samples were made with
    steps: int  # of the policy
    lr: float  # of the policy, with which this update began


class Learner:
    """A policy with frozen trunk and what its two optimisers remember."""

    def __init__(self, policy: FlowPolicy, ppo: PpoConfig, cfg: UpdateConfig, value_learns: bool = True) -> None:
        policy.freeze_trunk()
        self.policy, self.ppo, self.cfg, self.value_learns = policy, ppo, cfg, value_learns
        self.taken = 0  # steps of the policy so far
        self.brake = 1.0  # share of its learning rate that is left
        moving = (policy.net, policy.noise_head)
        self.acting = [p for module in moving for p in module.parameters() if p.requires_grad]
        self.judging = list(policy.value_head.parameters())
        self.policy_optimiser = _adamw(self.acting, cfg.lr, cfg.weight_decay)
        self.value_optimiser = _adamw(self.judging, cfg.value_lr, cfg.weight_decay)

    def update(self, samples: Samples, seed: int, reference: FlowPolicy | None = None, act: bool = True) -> Report:
        """`seed` shuffles. `reference` is the imitation policy, of the same trunk. Without `act` only values learn."""
        lr = self.cfg.lr * self.brake
        advantage = normalise(samples.advantage)
        told: list[Losses] = []
        steps, passes = 0, self.cfg.passes
        for rows in minibatches(len(samples), passes, self.cfg.minibatch, seed):
            found = self._losses(samples, advantage, rows, reference)
            told.append(found)
            act = act and found.kl <= self.cfg.kl_stop
            if act:
                self._warm_up(lr)
                self._step(self.policy_optimiser, found.policy, self.acting)
                steps += 1
            if self.value_learns:
                self._step(self.value_optimiser, found.value, self.judging)
        seen = told[: steps + 1]
        if steps and self.cfg.kl_target:
            self.brake = follow(self.brake, seen[-1].kl, self.cfg.kl_target)
        return Report(
            kl=seen[-1].kl,
            clipped=sum(each.clipped for each in seen) / len(seen),
            reference_kl=seen[-1].reference_kl,
            value_loss=float(torch.stack([each.value.detach() for each in told]).mean()),
            explained=explained_variance(samples.value, samples.target),
            steps=steps,
            lr=lr,
        )

    def _losses(self, samples: Samples, advantage: Tensor, rows: list[int], reference: FlowPolicy | None) -> Losses:
        prefix, index = samples.prefix.select(rows), torch.tensor(rows)
        chain = samples.chain[index]
        weighed = reference is not None and self.ppo.reference_weight > 0.0
        with torch.no_grad():
            old = reference.log_prob(prefix, chain, NOISE) if reference is not None and weighed else None
        return losses(
            self.policy.log_prob(prefix, chain, NOISE),
            samples.log_prob[index],
            advantage[index],
            self.policy.value_of(prefix),
            samples.value[index],
            samples.target[index],
            self.ppo,
            self.policy.entropy(prefix, chain, NOISE) if self.ppo.entropy_weight else None,
            old,
        )

    def _warm_up(self, lr: float) -> None:
        self.taken += 1
        share = min(1.0, self.taken / max(self.cfg.warmup, 1))
        for group in self.policy_optimiser.param_groups:
            group["lr"] = share * lr

    def _step(self, optimiser: torch.optim.Optimizer, loss: Tensor, parameters: list[nn.Parameter]) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, self.cfg.clip_gradient)
        optimiser.step()


def follow(brake: float, kl: float, target: float) -> float:
    """The next share of the learning rate, at most 1: less if the policy moved too far, more if it hardly moved."""
    if kl < target / 2.0:
        return min(brake * _STEP, 1.0)
    return brake / _STEP if kl > 2.0 * target else brake


def _adamw(parameters: list[nn.Parameter], lr: float, weight_decay: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=lr, betas=(0.9, 0.95), weight_decay=weight_decay, fused=True)


def minibatches(rows: int, passes: int, size: int, seed: int) -> Iterator[list[int]]:
    """Every row once in each pass, shuffled; nearly equal parts of at most `size`."""
    parts = -(-rows // size)
    for number in range(passes):
        order = np.random.default_rng(mix(seed, number)).permutation(rows)
        for part in np.array_split(order, parts):
            yield part.tolist()
