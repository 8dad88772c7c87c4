"""What flows through the system, as plain arrays. No ROS, no torch.

        cameras ─┐
                 ├─> Observation ──> policy ──> ActionChunk ──> executor ──> Command ──> gate ──> arm
    joint states ┘

Vectors over joints are always in the robot's own order (`RobotSpec.names`); the border converts by name.
Images are (H, W, 3) uint8 RGB, the first row on top. Times are nanoseconds of the graph's clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.errors import ContractError

FloatArray = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]


class Mode(IntEnum):
    """How a joint is commanded; the numbers are those of JointCommand.msg."""

    POSITION = 0
    VELOCITY = 1


@dataclass(frozen=True)
class JointState:
    """Measured joints."""

    stamp_ns: int
    position: FloatArray  # (N,) rad or m
    velocity: FloatArray  # (N,) rad/s or m/s


@dataclass(frozen=True)
class Frame:
    """One camera image."""

    stamp_ns: int
    image: ImageArray  # (H, W, 3)
    number: int = 0  # counts every frame the camera took


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion; all in pixels, the middle of the first pixel is (0, 0)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @classmethod
    def from_fovy(cls, width: int, height: int, fovy_rad: float) -> Intrinsics:
        """Square pixels, the axis in the middle; `fovy_rad` is the whole vertical angle of view."""
        if not 0.0 < fovy_rad < math.pi:
            raise ContractError(f"An angle of view is {fovy_rad} rad.", "Give one between 0 and pi.")
        focal = height / 2.0 / math.tan(fovy_rad / 2.0)
        return cls(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0)

    @property
    def matrix(self) -> FloatArray:
        """(3, 3), the `k` of CameraInfo."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Observation:
    """Everything a policy may see at one moment; each part is the latest at or before `stamp_ns`."""

    stamp_ns: int
    images: Mapping[str, ImageArray]  # camera name -> (H, W, 3)
    state: FloatArray  # (N,) positions in the robot's order
    instruction: str
    source_stamps_ns: Mapping[str, int] = field(default_factory=dict)  # camera name or "joint_states"


@dataclass(frozen=True)
class ActionChunk:
    """K steps proposed from one observation; step i is meant for `observed_ns + i * dt_ns`."""

    observed_ns: int
    chunk_id: int  # never 0
    dt_ns: int
    values: FloatArray  # (K, N) in the robot's order
    instruction: str = ""
    policy_version: str = ""
    value: float = float("nan")
    inference_s: float = 0.0
    source_stamps_ns: Mapping[str, int] = field(default_factory=dict)

    @property
    def horizon(self) -> int:
        return int(self.values.shape[0])

    @property
    def end_ns(self) -> int:
        """First moment that the chunk no longer covers."""
        return self.observed_ns + self.horizon * self.dt_ns


@dataclass(frozen=True)
class Command:
    """What the joints are asked to do at one control tick."""

    stamp_ns: int
    source: str  # "policy", "human", or after the gate "hold"
    values: FloatArray  # (N,) in the robot's order
    chunk_id: int = 0
    step: int = -1
