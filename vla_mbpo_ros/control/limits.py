"""Where a command may go from here."""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import FloatArray

_TOLERANCE = 1e-6  # rad, m: a clip smaller than this is rounding, not a limit


def limit(
    robot: RobotSpec, values: FloatArray, start: FloatArray, elapsed_s: float, scale: float
) -> tuple[FloatArray, bool]:
    """(N,) the admissible values nearest to `values`, and whether they differ.

    position joints   clip to [low, high], then to start +- max_velocity * scale * elapsed_s
    velocity joints   clip to +- max_velocity * scale

    The step limit is applied last. So from a `start` inside the limits the result is inside both; an arm that
    stands outside its limits moves inwards at the allowed speed instead of jumping.
    """
    speed = robot.max_velocity * scale
    step = speed * elapsed_s
    position = np.clip(np.clip(values, robot.low, robot.high), start - step, start + step)
    velocity = np.clip(values, -speed, speed)
    allowed = np.where(robot.is_velocity, velocity, position)
    with np.errstate(over="ignore"):
        return allowed, bool((np.abs(allowed - values) > _TOLERANCE).any())
