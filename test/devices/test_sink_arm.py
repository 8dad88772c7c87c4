"""The arm without hardware follows what it is told, no faster than its joints can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vla_mbpo_ros.devices.arms.protocol import Arm
from vla_mbpo_ros.devices.arms.sink import SinkArm
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import Mode

ARX = get_robot("arx_x5")
DT_S = 0.02


def test_it_starts_at_home_and_stays_there() -> None:
    arm: Arm = SinkArm(ARX, DT_S)
    arm.open()
    position, velocity = arm.read()
    np.testing.assert_array_equal(position, ARX.home)
    assert (velocity == 0.0).all()
    arm.close()


def test_it_reaches_a_near_target_at_once_and_a_far_one_at_full_speed() -> None:
    arm = SinkArm(ARX, DT_S)
    near = ARX.home + 0.9 * ARX.max_velocity * DT_S
    arm.write(near)
    position, velocity = arm.read()
    np.testing.assert_allclose(position, near)
    np.testing.assert_allclose(velocity, 0.9 * ARX.max_velocity)
    arm.write(near + 100.0)
    for step in range(1, 4):
        position, velocity = arm.read()
        np.testing.assert_allclose(position, near + step * ARX.max_velocity * DT_S)
        np.testing.assert_allclose(velocity, ARX.max_velocity)


def test_joints_that_are_driven_by_velocity_keep_moving() -> None:
    robot = replace(ARX, joints=(replace(ARX.joints[0], mode=Mode.VELOCITY), *ARX.joints[1:]))
    arm = SinkArm(robot, DT_S)
    arm.write(np.concatenate([[0.5], robot.home[1:]]))
    moved = [arm.read()[0][0] for _ in range(3)]
    np.testing.assert_allclose(moved, [0.01, 0.02, 0.03])
