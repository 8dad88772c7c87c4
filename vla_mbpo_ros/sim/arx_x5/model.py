"""The MuJoCo model: two arms in their cell, with names and limits of the robot's description."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from vla_mbpo_ros.robots import Joint, RobotSpec
from vla_mbpo_ros.sim.arx_x5.layout import ARM_BASES, HEAD_FOVY_RAD, SIDES, head_pose
from vla_mbpo_ros.sim.arx_x5.texture import wood

FOLDER = Path(__file__).parent
GRIPPER = "gripper"
FINGERS = ("finger_a", "finger_b")
OPTICAL_TO_MUJOCO = np.array([1.0, -1.0, -1.0])  # of the axes: MuJoCo's cameras have y up and look along -z


def arm_spec(joints: Sequence[Joint], prefix: str) -> Any:
    """One arm, its ranges taken from `joints`, whose names begin with `prefix`."""
    spec = mujoco.MjSpec.from_file(str(FOLDER / "arm.xml"))
    for joint in joints:
        name = joint.name.removeprefix(prefix)
        spec.actuator(name).ctrlrange = (joint.low, joint.high)
        if name == GRIPPER:
            _limit_opening(spec, joint)
        else:
            spec.joint(name).range = (joint.low, joint.high)
    for body in spec.bodies:
        body.gravcomp = 1.0  # the vendor's controller carries the arm's own weight
    return spec


def cell_spec(robot: RobotSpec) -> Any:
    """Both arms at the table, and the head camera. Tasks add their things to it."""
    cell = mujoco.MjSpec.from_file(str(FOLDER / "cell.xml"))
    _lay_wood(cell)
    for side in SIDES:
        prefix = f"{side}_"
        arm = arm_spec(joints_of(robot, side), prefix)
        cell.attach(arm, prefix=prefix, frame=cell.worldbody.add_frame(pos=ARM_BASES[side]))
    _add_head_camera(cell)
    return cell


def joints_of(robot: RobotSpec, side: str) -> tuple[Joint, ...]:
    """The six joints and the gripper of one arm, in the robot's order."""
    return tuple(joint for joint in robot.joints if joint.name.startswith(f"{side}_"))


def _limit_opening(spec: Any, joint: Joint) -> None:
    """Each finger moves half the way."""
    spec.tendon(GRIPPER).range = (joint.low, joint.high)
    for finger in FINGERS:
        spec.joint(finger).range = (joint.low / 2.0, joint.high / 2.0)


def _lay_wood(cell: Any) -> None:
    picture = wood()
    height, width, _ = picture.shape
    cell.add_texture(
        name="wood",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=width,
        height=height,
        nchannel=3,
        data=picture.ravel().tolist(),
    )
    textures = [""] * int(mujoco.mjtTextureRole.mjNTEXROLE)
    textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "wood"
    cell.material("table").textures = textures


def _add_head_camera(cell: Any) -> None:
    pose = head_pose()
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, (pose.rotation * OPTICAL_TO_MUJOCO).flatten())
    fovy_deg = math.degrees(HEAD_FOVY_RAD)
    cell.worldbody.add_camera(name="head", pos=pose.position, quat=quaternion, fovy=fovy_deg)
