"""What is true on the table at one moment. Privileged: for judges and experts, never for a policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from vla_mbpo_ros.schema import FloatArray

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Thing:
    """Position of the middle; of a button the middle of its cap's top, of what lies flat its middle on the table."""

    position: Vector  # m
    yaw: float = 0.0  # rad
    speed: float = 0.0  # m/s

    def distance_xy(self, other: Thing) -> float:
        return math.hypot(self.position[0] - other.position[0], self.position[1] - other.position[1])


@dataclass(frozen=True)
class TableState:
    """The tool and everything on the table."""

    tool: FloatArray  # (6,) x y z [m], rx ry rz [rad]
    opening: float  # m, of the gripper
    things: Mapping[str, Thing]
