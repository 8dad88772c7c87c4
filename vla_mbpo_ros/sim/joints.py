"""Between the robot's vectors and MuJoCo's: which numbers of a model are which joint."""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.arx_x5.model import FINGERS, GRIPPER


class JointMap:
    """A gripper's number is the sum of its two fingers': the opening in metres."""

    def __init__(self, model: Any, robot: RobotSpec) -> None:
        parts = [_parts(name) for name in robot.names]
        self._owner = np.array([index for index, names in enumerate(parts) for _ in names])
        flat = [name for names in parts for name in names]
        self._share = np.array([1.0 / len(parts[index]) for index in self._owner])
        self._qpos = np.array([int(model.joint(name).qposadr[0]) for name in flat])
        self._dofs = np.array([int(model.joint(name).dofadr[0]) for name in flat])
        self._actuators = np.array([int(model.actuator(name).id) for name in robot.names])
        self._dof = robot.dof

    def position(self, data: Any) -> FloatArray:
        return self._gather(data.qpos[self._qpos])

    def velocity(self, data: Any) -> FloatArray:
        return self._gather(data.qvel[self._dofs])

    def command(self, data: Any) -> FloatArray:
        """(N,) set-points of the controllers now."""
        return np.array(data.ctrl[self._actuators])

    def set_command(self, data: Any, values: FloatArray) -> None:
        data.ctrl[self._actuators] = values

    def put(self, data: Any, values: FloatArray) -> None:
        """Set joints and set-points to `values` (N,), at rest."""
        data.qpos[self._qpos] = values[self._owner] * self._share
        data.qvel[self._dofs] = 0.0
        self.set_command(data, values)

    def _gather(self, flat: FloatArray) -> FloatArray:
        return np.bincount(self._owner, weights=flat, minlength=self._dof).astype(np.float64)


def _parts(name: str) -> list[str]:
    """The model's joints behind one joint of the robot."""
    if not name.endswith(f"_{GRIPPER}"):
        return [name]
    side = name.removesuffix(GRIPPER)
    return [f"{side}{finger}" for finger in FINGERS]
