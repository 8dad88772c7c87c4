"""What a policy in reinforcement learning remembers, for `saved.py`: weights, both optimisers, the brake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from vla_mbpo_ros.algorithms.saved import module_tensors, optimiser_tensors, restore_module, restore_optimiser
from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.rl.update import Learner

_PACE = ("iterations", "evaluate_every", "save_every")  # no round depends on them


def without_pace(cfg: Any) -> dict[str, Any]:
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
