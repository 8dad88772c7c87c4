"""What an arm is: the side of the gate that moves.

The gate has checked every target; an arm adds no policy of its own. It is called once a control period.
"""

from __future__ import annotations

from typing import Protocol

from vla_mbpo_ros.schema import FloatArray


class Arm(Protocol):
    """Vectors are (N,) in the robot's order. Opening twice and closing twice are harmless."""

    def open(self) -> None:
        """DeviceError if it cannot be reached. Moves nothing."""

    def read(self) -> tuple[FloatArray, FloatArray]:
        """Measured position [rad or m] and velocity [rad/s or m/s]. DeviceError if it is silent."""

    def write(self, values: FloatArray) -> None:
        """Targets: positions, or velocities for joints that are commanded so."""

    def close(self) -> None:
        """Leave the arm as its maker says is safe without a computer."""
