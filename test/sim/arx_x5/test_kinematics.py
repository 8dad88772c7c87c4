from __future__ import annotations

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.sim.arx_x5.kinematics import ArmKinematics, looking_down
from vla_mbpo_ros.sim.arx_x5.layout import ARM_BASES, SIDES
from vla_mbpo_ros.sim.arx_x5.model import cell_spec, joints_of
from vla_mbpo_ros.sim.joints import JointMap

ROBOT = get_robot("arx_x5")
ARM = ArmKinematics(joints_of(ROBOT, "left"), "left_")
HOME = np.array(ROBOT.home[:6])
shares = st.lists(st.floats(0.02, 0.98), min_size=6, max_size=6)
nudges = st.lists(st.floats(-0.2, 0.2), min_size=6, max_size=6)


@settings(max_examples=60, deadline=None)
@given(share=shares, nudge=nudges)
def test_inverse_then_forward_leads_to_the_same_pose(share: list[float], nudge: list[float]) -> None:
    joints = ARM.low + np.array(share) * (ARM.high - ARM.low)
    goal = ARM.forward(joints)
    found = ARM.inverse(goal, joints + np.array(nudge))
    if found is None:
        # the way from the start may be barred by a limit; from the answer itself it must never be
        found = ARM.inverse(goal, joints)
    assert found is not None
    reached = ARM.forward(found)
    np.testing.assert_allclose(reached.position, goal.position, atol=2e-5)
    np.testing.assert_allclose(reached.rotation, goal.rotation, atol=2e-4)
    assert np.all(found >= ARM.low)
    assert np.all(found <= ARM.high)


@pytest.mark.parametrize(("x", "y"), [(0.22, -0.27), (0.35, -0.27), (0.38, -0.17), (0.38, 0.0), (0.22, 0.0)])
@pytest.mark.parametrize("z", [0.02, 0.10])
def test_the_corners_of_the_workspace_are_reached_from_home_looking_down(x: float, y: float, z: float) -> None:
    yaw_rad = float(np.arctan2(y, x))
    found = ARM.inverse(looking_down(np.array([x, y, z]), yaw_rad), np.array([yaw_rad, *HOME[1:]]))
    assert found is not None
    along = ARM.forward(found).rotation[:, 0]
    np.testing.assert_allclose(along, [0.0, 0.0, -1.0], atol=1e-3)


def test_out_of_reach_is_none() -> None:
    assert ARM.inverse(looking_down(np.array([0.9, 0.0, 0.1]), 0.0), HOME) is None


def test_the_reach_is_near_the_real_arm_s() -> None:
    """0.62 m from the shoulder to the flange, and the gripper beyond it."""
    stretched = np.array([0.0, np.pi, np.pi - 0.05, 0.0, 0.0, 0.0])
    stretched = np.clip(stretched, ARM.low, ARM.high)
    shoulder = np.array([0.02, 0.0, 0.1])
    assert 0.70 < np.linalg.norm(ARM.forward(stretched).position - shoulder) < 0.78


@pytest.mark.parametrize("side", SIDES)
def test_an_arm_alone_and_in_the_cell_have_the_same_kinematics(side: str) -> None:
    model = cell_spec(ROBOT).compile()
    data = mujoco.MjData(model)
    random = np.random.default_rng(1)
    arm = ArmKinematics(joints_of(ROBOT, side), f"{side}_")
    for _ in range(5):
        posture = random.uniform(ROBOT.low, ROBOT.high)
        JointMap(model, ROBOT).put(data, posture)
        mujoco.mj_kinematics(model, data)
        own = posture[[ROBOT.names.index(f"{side}_joint{number}") for number in range(1, 7)]]
        expected = data.site(f"{side}_tool").xpos - np.array(ARM_BASES[side])
        np.testing.assert_allclose(arm.forward(own).position, expected, atol=1e-9)
