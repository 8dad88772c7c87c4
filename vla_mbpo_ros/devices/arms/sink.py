"""An arm of numbers: it follows its commands within its speed, and costs nothing."""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import FloatArray


class SinkArm:
    """Each `read` is one control period later than the last, whatever the clock says. It starts at home."""

    def __init__(self, robot: RobotSpec, period_s: float) -> None:
        self._robot, self._period_s = robot, period_s
        self._position = robot.home.copy()
        self._target = np.where(robot.is_velocity, 0.0, robot.home)

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self) -> tuple[FloatArray, FloatArray]:
        speed = self._robot.max_velocity
        towards = (self._target - self._position) / self._period_s
        velocity = np.clip(np.where(self._robot.is_velocity, self._target, towards), -speed, speed)
        self._position = self._position + velocity * self._period_s
        return self._position.copy(), velocity

    def write(self, values: FloatArray) -> None:
        self._target = np.array(values, dtype=np.float64)
