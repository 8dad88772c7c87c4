"""Who acts where a world model shall learn what any policy may do: experts, more or less clumsy, and the astray.

plan        what the expert would do for a whole chunk, on a copy of the world with another luck: so what is done
            says nothing of the chance that is to come
clumsy      noise on it, smooth within a chunk; how much is the episode's
astray      now and then a whole chunk of smooth chance, the gripper included
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop.actions import ACTION_DIM, to_command
from vla_mbpo_ros.sim.tabletop.journeys import Moment
from vla_mbpo_ros.sim.tabletop.tasks import task_names
from vla_mbpo_ros.sim.tabletop.vector import Pool
from vla_mbpo_ros.sim.tabletop.world import Snapshot

NOISES = (0.0, 0.3, 0.6, 0.9)  # of an action, in its units; an episode has one of them
ASTRAY = 0.1  # share of chunks
_OTHER_LUCK = 1_000  # far from that of any episode
_KEPT = 0.85  # of the disturbance, from one control step to the next
_STREAM = 11  # of chance; the teacher's is another


class ClumsyExperts:
    """An `Act`. What it does in an episode depends on the task, the seed and the turn alone."""

    def __init__(self, pool: Pool, noises: Sequence[float] = NOISES, astray: float = ASTRAY, horizon: int = 10) -> None:
        self._pool, self._noises, self._astray, self._horizon = pool, tuple(noises), astray, horizon

    def __call__(self, moment: Moment) -> FloatArray:
        blind = [replace(one, luck=one.luck + _OTHER_LUCK) for one in moment.snapshots]
        plans = self._pool.plan(blind, self._horizon)
        clumsy = [self._spoilt(plan, one, moment.turn) for plan, one in zip(plans, moment.snapshots, strict=True)]
        return to_command(np.stack(clumsy))

    def _spoilt(self, plan: FloatArray, snapshot: Snapshot, turn: int) -> FloatArray:
        """(K, 7)"""
        task = task_names().index(snapshot.task)
        episode = np.random.default_rng((snapshot.seed, task, _STREAM))
        noise = float(episode.choice(self._noises))
        chance = np.random.default_rng((snapshot.seed, task, _STREAM, turn))
        wander = _smooth(self._horizon, chance)
        if chance.random() < self._astray:
            return np.clip(wander, -1.0, 1.0)
        wander[:, -1] = 0.0  # the gripper does what is planned
        return np.clip(plan + noise * wander, -1.0, 1.0)


def _smooth(steps: int, chance: np.random.Generator) -> FloatArray:
    """(K, 7) of spread 1, where neighbours are alike."""
    fresh = chance.standard_normal((steps, ACTION_DIM))
    found = fresh.copy()
    for step in range(1, steps):
        found[step] = _KEPT * found[step - 1] + np.sqrt(1.0 - _KEPT**2) * fresh[step]
    return found
