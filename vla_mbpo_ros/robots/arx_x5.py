"""ARX X5: two arms of six joints and a gripper, a head camera and one on each wrist.

Limits are those of the vendor's interface (arx5-interface 0.1.5). Grippers are in metres, 0 closed; newer
hardware opens to 0.082, older to 0.088: the smaller one is safe on both.
"""

from __future__ import annotations

from vla_mbpo_ros.robots.spec import Camera, Joint, RobotSpec

_LOW = (-3.14, -0.05, -0.1, -1.6, -1.57, -2.0)  # rad
_HIGH = (2.618, 3.5, 3.2, 1.55, 1.57, 2.0)  # rad
_MAX_VELOCITY = (5.0, 5.0, 5.5, 5.5, 5.0, 5.0)  # rad/s
_HOME = (0.0, 0.6, 0.9, -1.0, 0.0, 0.0)  # rad: folded back, gripper 0.2 m above the table and looking at it
_GRIPPER_OPEN = 0.082  # m
_GRIPPER_SPEED = 0.3  # m/s


def _arm(side: str) -> tuple[Joint, ...]:
    joints = tuple(
        Joint(f"{side}_joint{index + 1}", low, high, velocity, home)
        for index, (low, high, velocity, home) in enumerate(zip(_LOW, _HIGH, _MAX_VELOCITY, _HOME, strict=True))
    )
    gripper = Joint(f"{side}_gripper", 0.0, _GRIPPER_OPEN, _GRIPPER_SPEED, _GRIPPER_OPEN, unit="m")
    return (*joints, gripper)


ARX_X5 = RobotSpec(
    name="arx_x5",
    title="ARX X5 (bimanual)",
    joints=_arm("left") + _arm("right"),
    cameras=(
        Camera("head", "head", "head_color_optical_frame"),
        Camera("left_wrist", "wrist", "left_wrist_color_optical_frame"),
        Camera("right_wrist", "wrist", "right_wrist_color_optical_frame"),
    ),
    control_hz=15.0,  # as in the paper's experiments
)
