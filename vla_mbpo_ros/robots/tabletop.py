"""Tabletop: the embedded ground for learning. One arm, one gripper, a head camera and one on the wrist.

It exists in simulation only and has LIBERO's face: seven numbers, six of them velocities of the tool.

    x y z      velocity, m/s     of the point between the fingertips; x away from the arm's base, y to its left, z up
    rx ry rz   velocity, rad/s   turns about the tool's own axes: rx and ry tilt a little, rz turns the fingers
    gripper    position, m       opening, 0 closed

`low` and `high` bound positions, of velocity joints too. An action in [-1, 1] is `max_velocity` times itself,
and for the gripper -1 open and +1 closed (`sim/tabletop/actions.py`).
"""

from __future__ import annotations

from vla_mbpo_ros.robots.spec import Camera, Joint, RobotSpec
from vla_mbpo_ros.schema import Mode

_SPEED = 0.12  # m/s
_TILT_SPEED, _TURN_SPEED = 0.3, 0.8  # rad/s
_TILT, _TURN = 0.3, 1.2  # rad to either side
_GRIPPER_OPEN = 0.08  # m
_GRIPPER_SPEED = 0.20  # m/s: open to closed in eight ticks


def _moved(name: str, low: float, high: float, speed: float, home: float, unit: str) -> Joint:
    return Joint(name, low, high, speed, home, Mode.VELOCITY, unit)


TABLETOP = RobotSpec(
    name="tabletop",
    title="Tabletop (simulated, single arm)",
    joints=(
        _moved("x", -0.19, 0.19, _SPEED, -0.06, "m"),
        _moved("y", -0.24, 0.24, _SPEED, 0.0, "m"),
        _moved("z", 0.008, 0.26, _SPEED, 0.19, "m"),
        _moved("rx", -_TILT, _TILT, _TILT_SPEED, 0.0, "rad"),
        _moved("ry", -_TILT, _TILT, _TILT_SPEED, 0.0, "rad"),
        _moved("rz", -_TURN, _TURN, _TURN_SPEED, 0.0, "rad"),
        Joint("gripper", 0.0, _GRIPPER_OPEN, _GRIPPER_SPEED, _GRIPPER_OPEN, unit="m"),
    ),
    cameras=(
        Camera("head", "head", "head_color_optical_frame"),
        Camera("wrist", "wrist", "wrist_color_optical_frame"),
    ),
    control_hz=20.0,  # as LIBERO's
)
