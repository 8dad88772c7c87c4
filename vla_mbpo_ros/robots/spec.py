"""The form of a robot description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import FloatArray, Mode


@dataclass(frozen=True)
class Joint:
    """One degree of freedom. Units: rad and rad/s, or m and m/s for a gripper."""

    name: str
    low: float  # least position
    high: float  # greatest position
    max_velocity: float
    home: float = 0.0
    mode: Mode = Mode.POSITION
    unit: str = "rad"


@dataclass(frozen=True)
class Camera:
    """One view. `role` is "head" or "wrist": the world model predicts the head view first."""

    name: str
    role: str
    frame_id: str


@dataclass(frozen=True)
class RobotSpec:
    """A robot. `joints` fixes the order of every vector."""

    name: str
    title: str
    joints: tuple[Joint, ...]
    cameras: tuple[Camera, ...]
    control_hz: float
    robot_id: str = ""  # of this very robot, when it differs from the name: "arx_x5-sim"

    @property
    def id(self) -> str:
        """What commands for this very robot carry."""
        return self.robot_id or self.name

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        return tuple(joint.mode for joint in self.joints)

    @property
    def dof(self) -> int:
        return len(self.joints)

    @cached_property
    def low(self) -> FloatArray:
        return self._vector([joint.low for joint in self.joints])

    @cached_property
    def high(self) -> FloatArray:
        return self._vector([joint.high for joint in self.joints])

    @cached_property
    def max_velocity(self) -> FloatArray:
        return self._vector([joint.max_velocity for joint in self.joints])

    @cached_property
    def home(self) -> FloatArray:
        return self._vector([joint.home for joint in self.joints])

    @cached_property
    def is_velocity(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(N,) True where a joint is commanded by velocity."""
        return np.array([mode is Mode.VELOCITY for mode in self.modes])

    @property
    def camera_names(self) -> tuple[str, ...]:
        return tuple(camera.name for camera in self.cameras)

    def order(self, names: Sequence[str]) -> list[int]:
        """Indices that bring columns named `names` into the robot's order."""
        if sorted(names) != sorted(self.names):
            raise ContractError(_name_mismatch(self, names), "Send every joint once, by these names.")
        position = {name: index for index, name in enumerate(names)}
        return [position[name] for name in self.names]

    @staticmethod
    def _vector(values: Sequence[float]) -> FloatArray:
        vector = np.array(values, dtype=np.float64)
        vector.flags.writeable = False  # shared by everyone who holds the description
        return vector


def _name_mismatch(robot: RobotSpec, names: Sequence[str]) -> str:
    missing = [name for name in robot.names if name not in names]
    extra = [name for name in names if name not in robot.names]
    twice = sorted({name for name in names if list(names).count(name) > 1})
    parts = [("missing", missing), ("unknown", extra), ("twice", twice)]
    detail = "; ".join(f"{word}: {', '.join(found)}" for word, found in parts if found)
    return f"{robot.name} has {robot.dof} joints, got {len(names)} ({detail})."
