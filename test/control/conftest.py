"""A small robot with every kind of joint: two turning, one sliding, two driven by velocity."""

from __future__ import annotations

import pytest

from vla_mbpo_ros.robots import Joint, RobotSpec
from vla_mbpo_ros.schema import Mode


@pytest.fixture(scope="session")
def mixed() -> RobotSpec:
    return RobotSpec(
        name="mixed",
        title="A robot for tests",
        joints=(
            Joint("shoulder", -1.0, 2.0, 3.0, 0.5),
            Joint("wheel_left", -1e9, 1e9, 2.0, mode=Mode.VELOCITY),
            Joint("elbow", 0.0, 1.5, 2.0, 0.3),
            Joint("wheel_right", -1e9, 1e9, 2.0, mode=Mode.VELOCITY),
            Joint("gripper", 0.0, 0.08, 0.3, 0.08, unit="m"),
        ),
        cameras=(),
        control_hz=50.0,
    )
