"""How often a policy succeeds on the tabletop: the same starts for every policy, by the plain flow.

The starts and the policy's x_t0 are seeded, and no row's numbers depend on its company: an evaluation can be
repeated to the last episode with any number of workers, and two policies are compared start by start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_mbpo_ros.algorithms.grounds.tabletop import TabletopGround
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.evaluation.intervals import Share
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.rl.rollout import Player
from vla_mbpo_ros.sim.tabletop import Pool

FIRST_SEED = 5_000_000  # far from the seeds of demonstrations and of reinforcement learning
CHANCE = 17  # seed of x_t0


@dataclass(frozen=True)
class Result:
    """Outcomes by episode."""

    tasks: tuple[str, ...]  # (E)
    seeds: tuple[int, ...]  # (E)
    success: tuple[bool, ...]  # (E)
    steps: tuple[int, ...]  # (E) control steps until it was over

    @property
    def overall(self) -> Share:
        return Share(sum(self.success), len(self.success))

    def by_task(self) -> dict[str, Share]:
        found: dict[str, list[bool]] = {}
        for task, success in zip(self.tasks, self.success, strict=True):
            found.setdefault(task, []).append(success)
        return {task: Share(sum(each), len(each)) for task, each in found.items()}

    def to_json(self) -> dict[str, Any]:
        rows = {"all": self.overall, **self.by_task()}
        return {
            name: {"success": each.share, "low": each.interval[0], "high": each.interval[1], "episodes": each.n}
            for name, each in rows.items()
        }


@dataclass(frozen=True)
class Gain:
    """One policy against another on the same starts."""

    mean: float
    error: float  # standard error over starts
    won: int
    lost: int


def evaluate(
    policy: FlowPolicy, pool: Pool, tasks: Sequence[str], episodes: int, first_seed: int = FIRST_SEED
) -> Result:
    """`episodes` in all, shared out over the tasks in turn: the first tasks get one more if it does not divide."""
    if episodes < len(tasks):
        raise ContractError(f"{episodes} episodes for {len(tasks)} tasks.", "Give at least one for each.")
    names = [tasks[index % len(tasks)] for index in range(episodes)]
    seeds = [first_seed + index // len(tasks) for index in range(episodes)]
    played = Player(policy, TabletopGround(pool), keep=False).play(names, seeds, CHANCE)
    return Result(
        played.tasks, played.seeds, tuple(map(bool, played.success)), tuple(int(steps) for steps in played.steps)
    )


def compare(before: Result, after: Result) -> Gain:
    """By how much `after` succeeds more often."""
    if (before.tasks, before.seeds) != (after.tasks, after.seeds):
        raise ContractError("The two evaluations have different starts.", "Evaluate both with the same episodes.")
    change = np.array(after.success, dtype=float) - np.array(before.success, dtype=float)
    error = float(change.std(ddof=1) / math.sqrt(len(change))) if len(change) > 1 else float("nan")
    return Gain(float(change.mean()), error, int((change > 0).sum()), int((change < 0).sum()))
