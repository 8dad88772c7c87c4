"""How drivers that are not ours are commanded: one small encoder for each common form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Duration
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_mbpo_ros.messages.stamps import fill_stamp
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import Command


@dataclass(frozen=True)
class External:
    """A message class and how a command becomes one."""

    kind: type
    encode: Callable[[Command], Any]


def external_command(form: str, robot: RobotSpec) -> External | None:
    """`form` is `gate.command_type`."""
    forms = {
        "none": None,
        "joint_state": External(JointState, lambda command: _joint_state(command, robot)),
        "joint_trajectory": External(JointTrajectory, lambda command: _joint_trajectory(command, robot)),
        "multi_array": External(Float64MultiArray, lambda command: Float64MultiArray(data=command.values.tolist())),
    }
    return forms[form]


def _joint_state(command: Command, robot: RobotSpec) -> JointState:
    """Targets in `position`; for joints that are commanded by velocity, in `velocity`."""
    moving = robot.is_velocity
    message = JointState(name=list(robot.names))
    fill_stamp(message.header.stamp, command.stamp_ns)
    message.position = [0.0 if fast else value for value, fast in zip(command.values, moving, strict=True)]
    message.velocity = [value if fast else 0.0 for value, fast in zip(command.values, moving, strict=True)]
    message.effort = [0.0] * robot.dof
    return message


def _joint_trajectory(command: Command, robot: RobotSpec) -> JointTrajectory:
    """One point, to be reached within one control period."""
    period_ns = round(1e9 / robot.control_hz)
    point = JointTrajectoryPoint(time_from_start=Duration(nanosec=period_ns % 10**9, sec=period_ns // 10**9))
    point.positions = command.values.tolist()
    message = JointTrajectory(joint_names=list(robot.names), points=[point])
    fill_stamp(message.header.stamp, command.stamp_ns)
    return message
