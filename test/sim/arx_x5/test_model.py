from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest

from vla_mbpo_ros.robots import Joint, get_robot
from vla_mbpo_ros.sim.arx_x5.model import cell_spec
from vla_mbpo_ros.sim.joints import JointMap

ROBOT = get_robot("arx_x5")
ARM_JOINTS = [joint for joint in ROBOT.joints if joint.unit == "rad"]
GRIPPERS = [joint for joint in ROBOT.joints if joint.unit == "m"]


@pytest.fixture(scope="module")
def model() -> Any:
    return cell_spec(ROBOT).compile()


@pytest.fixture
def data(model: Any) -> Any:
    """At home."""
    made = mujoco.MjData(model)
    JointMap(model, ROBOT).put(made, ROBOT.home)
    mujoco.mj_forward(model, made)
    return made


@pytest.mark.parametrize("joint", ARM_JOINTS, ids=lambda joint: joint.name)
def test_every_joint_of_the_robot_is_in_the_model_with_its_limits(model: Any, joint: Joint) -> None:
    assert model.joint(joint.name).range.tolist() == [joint.low, joint.high]
    assert model.actuator(joint.name).ctrlrange.tolist() == [joint.low, joint.high]


@pytest.mark.parametrize("gripper", GRIPPERS, ids=lambda gripper: gripper.name)
def test_a_gripper_is_commanded_by_its_opening(model: Any, gripper: Joint) -> None:
    assert model.tendon_range[model.tendon(gripper.name).id].tolist() == [gripper.low, gripper.high]
    assert model.actuator(gripper.name).ctrlrange.tolist() == [gripper.low, gripper.high]


def test_the_model_moves_the_robot_s_joints_and_no_others(model: Any) -> None:
    names = {model.actuator(index).name for index in range(model.nu)}
    assert names == set(ROBOT.names)


def test_the_robot_s_cameras_are_in_the_model(model: Any) -> None:
    assert {model.camera(index).name for index in range(model.ncam)} == {*ROBOT.camera_names, "overview"}


def test_at_home_nothing_touches(data: Any) -> None:
    assert data.ncon == 0


def test_at_home_the_hands_are_above_the_table_and_look_down_at_it(data: Any) -> None:
    for side in ("left", "right"):
        assert 0.15 < data.site(f"{side}_tool").xpos[2] < 0.3
        along = data.site(f"{side}_tool").xmat.reshape(3, 3)[:, 0]
        assert along[0] > 0
        assert along[2] < -0.4


@pytest.mark.parametrize("opening_m", [0.0, 0.03, 0.082])
def test_the_fingers_are_as_far_apart_as_the_gripper_says(model: Any, data: Any, opening_m: float) -> None:
    posture = np.array(ROBOT.home)
    posture[ROBOT.names.index("left_gripper")] = opening_m
    JointMap(model, ROBOT).put(data, posture)
    mujoco.mj_forward(model, data)
    centres = [data.geom(f"left_{pad}").xpos for pad in ("pad_a", "pad_b")]
    thickness = 2 * model.geom("left_pad_a").size[1]
    assert np.isclose(np.linalg.norm(centres[0] - centres[1]) - thickness, opening_m, atol=1e-9)


def test_positive_angles_turn_the_way_the_vendor_s_do(model: Any, data: Any) -> None:
    """From the all-zero pose (hand forward and level): yaw left, pitch down, pitch up, pitch up, yaw right."""
    ways = {"joint1": (1, 1), "joint2": (2, -1), "joint3": (2, 1), "joint4": (2, 1), "joint5": (1, -1)}
    joints, start = JointMap(model, ROBOT), np.zeros(ROBOT.dof)
    before = _tool(model, data, joints, start)
    for name, (axis, sign) in ways.items():
        posture = start.copy()
        posture[ROBOT.names.index(f"left_{name}")] = 0.2
        assert sign * (_tool(model, data, joints, posture) - before)[axis] > 0.01


def _tool(model: Any, data: Any, joints: JointMap, posture: Any) -> Any:
    joints.put(data, posture)
    mujoco.mj_kinematics(model, data)
    return np.array(data.site("left_tool").xpos)
