"""What behaviour cloning learns from: observations and the chunks that should follow.

data.batch([5, 2, 9]) ──> Inputs (3), actions (3, K, D) normalised, weight (3, K, D) or None
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.models import tree
from vla_mbpo_ros.policy.flow.net import Inputs
from vla_mbpo_ros.policy.flow.normalisation import QUANTILE, Columns, Normalisation
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.rl.arrays import ArrayReader
from vla_mbpo_ros.robots.spec import RobotSpec
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import Demonstrations, to_command

IntArray = npt.NDArray[np.int64]
_LEAST_SHARE = 0.05  # of a joint's limit: an action that never changes must not have its rounding blown up


@dataclass(frozen=True)
class Batch:
    """B rows of what should be learnt."""

    inputs: Inputs
    states: FloatArray  # (B, N) in the robot's units, for policies whose actions are relative to it
    actions: Tensor  # (B, K, D) normalised
    weight: Tensor | None = None  # (B, K, D) what counts; None: everything

    def to(self, device: torch.device | str) -> Batch:
        weight = None if self.weight is None else self.weight.to(device)
        return replace(self, inputs=tree.move(self.inputs, device), actions=self.actions.to(device), weight=weight)


class ChunkData(Protocol):
    """Rows in a fixed order. What is read must be a matter of `rows` alone."""

    def __len__(self) -> int: ...

    def batch(self, rows: IntArray) -> Batch: ...


class DemonstrationChunks:
    """The tabletop's demonstrations, for one policy. Pictures stay bytes until they are asked for."""

    def __init__(self, demos: Demonstrations, policy: FlowPolicy, robot: RobotSpec) -> None:
        self._demos, self._device = demos, policy.device
        self._reader = ArrayReader(policy.maker, robot.camera_names)
        commands = commands_of(demos)
        if commands.shape[1] != policy.horizon:
            cause = f"The demonstrations have chunks of {commands.shape[1]} steps, the policy {policy.horizon}."
            raise ContractError(cause, f"Collect them with horizon={policy.horizon}.")
        if not np.isfinite(commands).all() or not np.isfinite(demos.state).all():
            raise NotFinite("The demonstrations hold a NaN or an infinity.", "Collect them anew.")
        self._actions = policy.from_robot(commands, demos.state)
        self._texts = demos.instructions

    def __len__(self) -> int:
        return len(self._actions)

    def batch(self, rows: IntArray) -> Batch:
        states = self._demos.state[rows]
        texts = [self._texts[row] for row in rows]
        inputs = self._reader(self._demos.images[rows], states, texts, self._device)
        return Batch(inputs, states, self._actions[torch.from_numpy(rows)])


def commands_of(demos: Demonstrations) -> FloatArray:
    """(M, K, 7) in the robot's units."""
    return to_command(demos.actions)


def normalisation_of(demos: Demonstrations, robot: RobotSpec) -> Normalisation:
    """By the middle 98 % of the demonstrations; actions by the robot's limits where none were shown."""
    if not len(demos.state):
        raise ContractError("There is no row to learn from.", "Collect at least one demonstration that succeeds.")
    places = np.maximum(np.abs(robot.low), np.abs(robot.high))
    limits = np.where(robot.is_velocity, robot.max_velocity, places)
    commands = commands_of(demos).reshape(-1, robot.dof)
    state = _quantile(robot.names, demos.state, places)
    if not len(commands):
        return Normalisation(QUANTILE, state, Columns(robot.names, (0.0,) * robot.dof, tuple(map(float, limits))))
    return Normalisation(QUANTILE, state, _quantile(robot.names, commands, limits))


def _quantile(names: tuple[str, ...], rows: FloatArray, limits: FloatArray) -> Columns:
    low, high = np.quantile(rows, (0.01, 0.99), axis=0)
    half = np.maximum((high - low) / 2.0, _LEAST_SHARE * limits)
    return Columns(tuple(names), tuple(((low + high) / 2.0).tolist()), tuple(half.tolist()))
