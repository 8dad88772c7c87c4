"""What learning by trial shares: settings, rounds, and what a learner remembers.

    Rounds             the pace of `descent.descend`: each round a row of the curve, now and then with true success
    learner_tensors    weights and both optimisers      learner_facts   steps taken, the brake

`online_ppo.py` and `branched_ppo.py` differ in where they play and how they judge, not in these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from vla_mbpo_ros.algorithms.descent.saved import module_tensors, optimiser_tensors, restore_module, restore_optimiser
from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.rl.ppo import PpoConfig
from vla_mbpo_ros.rl.update import Learner, UpdateConfig

Evaluate = Callable[[FlowPolicy], float]  # true success of a policy, outside of what it learns from


@dataclass(frozen=True)
class TrialConfig:
    """Settings of any PPO here."""

    iterations: int = leaf(24, "Rounds of playing and learning.", low=1)
    discount: float = leaf(0.97, "Discount of a whole chunk.", low=0.0, high=1.0)
    lam: float = leaf(0.95, "GAE's lambda, a chunk.", low=0.0, high=1.0)
    evaluate_every: int = leaf(0, "Rounds between evaluations on the curve; 0: none.", low=0)
    save_every: int = leaf(5, "Rounds between two saved states.", low=1)
    seed: int = leaf(0, "Seed of everything random.", low=0)
    ppo: PpoConfig = field(default_factory=lambda: PpoConfig(clip=0.2))
    update: UpdateConfig = field(default_factory=UpdateConfig)


@dataclass(frozen=True)
class Rounds:
    """The pace of a training by trial: a row of the curve a round."""

    steps: int
    save_every: int
    log_every: int = 1

    @classmethod
    def of(cls, cfg: TrialConfig) -> Rounds:
        return cls(cfg.iterations, cfg.save_every)


def evaluated(policy: FlowPolicy, cfg: TrialConfig, iteration: int, evaluate: Evaluate | None) -> dict[str, float]:
    """NaN where it is not due."""
    if evaluate is None or not cfg.evaluate_every or iteration % cfg.evaluate_every:
        return {"evaluated": float("nan")}
    return {"evaluated": evaluate(policy)}


_PACE = ("iterations", "evaluate_every", "save_every")  # no round depends on them


def without_pace(cfg: TrialConfig) -> dict[str, Any]:
    """The settings that must be the same when a training goes on; it may be given more rounds."""
    return {name: value for name, value in nested(cfg).items() if name not in _PACE}


def learner_tensors(learner: Learner) -> dict[str, Tensor]:
    return {
        **module_tensors(learner.policy, "policy"),
        **optimiser_tensors(learner.policy_optimiser, "acting"),
        **optimiser_tensors(learner.value_optimiser, "judging"),
    }


def learner_facts(learner: Learner) -> dict[str, Any]:
    return {"taken": learner.taken, "brake": learner.brake}


def restore_learner(learner: Learner, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    restore_module(learner.policy, "policy", tensors)
    restore_optimiser(learner.policy_optimiser, "acting", tensors)
    restore_optimiser(learner.value_optimiser, "judging", tensors)
    learner.taken, learner.brake = int(facts["taken"]), float(facts["brake"])
