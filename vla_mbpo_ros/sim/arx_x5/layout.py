"""Where things stand in the cell, in metres. x points away from the robot, y to its left; table top z = 0."""

from __future__ import annotations

import math

from vla_mbpo_ros.schema import Intrinsics
from vla_mbpo_ros.sim.camera import Pose, look_at

SIDES = ("left", "right")
ARM_BASES = {"left": (0.0, 0.22, 0.0), "right": (0.0, -0.22, 0.0)}
HEAD_POSITION = (-0.15, 0.0, 0.75)
HEAD_TARGET = (0.18, 0.0, 0.0)
HEAD_FOVY_RAD = math.radians(43.0)  # as the colour camera of a D435i


def head_pose() -> Pose:
    """The head camera in the world."""
    return look_at(HEAD_POSITION, HEAD_TARGET)


def head_intrinsics(width: int, height: int) -> Intrinsics:
    return Intrinsics.from_fovy(width, height, HEAD_FOVY_RAD)
