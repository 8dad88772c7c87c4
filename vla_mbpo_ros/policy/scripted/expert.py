"""The scripted expert as a policy.

It looks while both arms are at home, plans once, follows the plan, and looks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.errors import ConfigError, ContractError
from vla_mbpo_ros.policy.protocol import Prefix, Sample
from vla_mbpo_ros.policy.scripted.look import Sight, look
from vla_mbpo_ros.policy.scripted.path import Path
from vla_mbpo_ros.policy.scripted.pick import Picker
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import FloatArray, Observation
from vla_mbpo_ros.sim.tasks.pick_place import ON_PAD_M, PickPlace

HEAD = "head"
_AT_HOME = 0.1  # rad or m: the arms hide nothing of the table
_STRAYED = 0.7  # rad or m behind the plan: the arm was held, and would jump if the plan went on


class ScriptedPolicy:
    """Knows one task. With another instruction, or without a cube in sight, it stays where it is."""

    version = "scripted-1"
    uses_state = True

    def __init__(self, robot: RobotSpec, control_hz: float, horizon: int) -> None:
        if robot.name != "arx_x5":
            raise ConfigError(f"The scripted policy is for the arx_x5, not for {robot.name}.", "Take another policy.")
        self._robot, self._horizon, self._dt_ns = robot, horizon, round(1e9 / control_hz)
        self._picker = Picker(robot)
        self._experts: list[_Expert] = []

    def encode(self, observations: Sequence[Observation]) -> Prefix:
        for observation in observations:
            if HEAD not in observation.images:
                raise ContractError("The scripted policy got no head image.", "Switch the head camera on.")
            if observation.state.shape != (self._robot.dof,):
                raise ContractError(
                    f"The scripted policy got a state of shape {observation.state.shape}.",
                    f"{self._robot.name} has ({self._robot.dof},).",
                )
        return Prefix(len(observations), tuple(observations))

    def sample(self, prefix: Prefix, seed: int) -> Sample:
        """Nothing here is left to chance: `seed` changes nothing."""
        while len(self._experts) < prefix.size:
            self._experts.append(_Expert(self._robot, self._picker))
        rows = [
            self._chunk(expert, observation) for expert, observation in zip(self._experts, prefix.content, strict=False)
        ]
        return Sample(np.stack(rows), np.full(prefix.size, np.nan))

    def reset(self) -> None:
        self._experts.clear()

    def _chunk(self, expert: _Expert, observation: Observation) -> FloatArray:
        """(K, N)"""
        path = expert.follow(observation)
        stamps = (observation.stamp_ns + step * self._dt_ns for step in range(self._horizon))
        return np.stack([observation.state if path is None else path.at(stamp) for stamp in stamps])


@dataclass
class _Expert:
    """What is remembered of one robot's episode."""

    robot: RobotSpec
    picker: Picker
    path: Path | None = None
    pad: FloatArray | None = None
    pad_share: float = 0.0

    def follow(self, observation: Observation) -> Path | None:
        """The path to be on now; None is to stay."""
        if observation.instruction.strip().lower() != PickPlace.instruction:
            return None
        path = self.path
        if path is None or path.is_over(observation.stamp_ns) or _has_strayed(path, observation):
            self.path = self._next(observation)
        return self.path

    def _next(self, observation: Observation) -> Path | None:
        state, stamp_ns = observation.state, observation.stamp_ns
        if np.max(np.abs(state - self.robot.home)) > _AT_HOME:
            return Path(self.picker.go_home(state), stamp_ns)
        sight = look(observation.images[HEAD])
        self._remember_pad(sight)
        if sight.cube is None or self.pad is None:
            return None
        if np.max(np.abs(sight.cube[:2] - self.pad[:2])) <= ON_PAD_M:
            return self.path  # done: the end of the path is held
        moves = self.picker.plan(state, sight.cube, self.pad)
        return None if moves is None else Path(moves, stamp_ns)

    def _remember_pad(self, sight: Sight) -> None:
        """The pad does not move, but a cube may hide a part of it: the look that saw most of it counts."""
        if sight.pad is not None and sight.pad_share > self.pad_share:
            self.pad, self.pad_share = sight.pad, sight.pad_share


def _has_strayed(path: Path, observation: Observation) -> bool:
    behind = np.abs(path.at(observation.stamp_ns) - observation.state)
    return bool(np.max(behind) > _STRAYED)
