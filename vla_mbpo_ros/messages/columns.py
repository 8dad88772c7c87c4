"""Numbers of a message in the robot's order."""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import FloatArray


def order_of(names: Sequence[str], robot: RobotSpec) -> list[int]:
    """Indices that bring the columns into the robot's order; quick when they are in it already."""
    return list(range(robot.dof)) if tuple(names) == robot.names else robot.order(list(names))


def floats(values: Any, count: int, what: str) -> FloatArray:
    """A copy of `count` numbers as float64."""
    numbers = np.array(values, dtype=np.float64).reshape(-1)
    if len(numbers) != count:
        raise ContractError(f"{what} has {len(numbers)} values, expected {count}.", "Send one for each name.")
    return numbers


def check_finite(values: FloatArray, what: str, robot: RobotSpec) -> None:
    """`values` (N,) in the robot's order."""
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise NotFinite(
            f"{what} is {values[bad[0]]} for {robot.names[bad[0]]}.",
            "Send finite numbers; look for a NaN in its sender.",
        )


def check_modes(modes: Any, order: Sequence[int], what: str, robot: RobotSpec) -> None:
    given = [int(mode) for mode in modes]
    if len(given) != robot.dof:
        raise ContractError(f"{what} has {len(given)} modes, expected {robot.dof}.", "Send one for each name.")
    for joint, index in zip(robot.joints, order, strict=True):
        if given[index] != joint.mode:
            raise ContractError(
                f"{what} commands {joint.name} in mode {given[index]}.",
                f"Send mode {int(joint.mode)} ({joint.mode.name}): that is how {robot.name} drives it.",
            )


def double_array(values: FloatArray) -> array.array[float]:
    """What rclpy takes for float64[] without looking at each number."""
    numbers = array.array("d")
    numbers.frombytes(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    return numbers


def mode_array(robot: RobotSpec) -> array.array[int]:
    return array.array("B", [int(mode) for mode in robot.modes])
