"""JointState and JointCommand <-> vectors in the robot's order."""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.messages.columns import check_finite, check_modes, double_array, floats, mode_array, order_of
from vla_mbpo_ros.messages.stamps import fill_stamp, to_ns
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import Command, FloatArray, JointState


def decode_joint_state(message: Any, robot: RobotSpec) -> JointState:
    """Drivers that do not measure velocity may leave it empty: it is zero then. Effort is not read."""
    order = order_of(message.name, robot)
    position = floats(message.position, robot.dof, "The position of a joint state")[order]
    velocity = np.zeros(robot.dof)
    if len(message.velocity):
        velocity = floats(message.velocity, robot.dof, "The velocity of a joint state")[order]
    check_finite(position, "A joint state's position", robot)
    check_finite(velocity, "A joint state's velocity", robot)
    return JointState(to_ns(message.header.stamp), position, velocity)


def encode_joint_state(state: JointState, robot: RobotSpec, joint_state_class: Any) -> Any:
    """Velocity and effort are always filled: empty arrays at the end make bytes that some readers refuse."""
    message = joint_state_class()
    fill_stamp(message.header.stamp, state.stamp_ns)
    message.name = list(robot.names)
    message.position = double_array(_vector(state.position, robot))
    message.velocity = double_array(_vector(state.velocity, robot))
    message.effort = double_array(np.zeros(robot.dof))
    return message


def decode_command(message: Any, robot: RobotSpec) -> Command:
    """`message.robot_id` is for the gate to judge: hand it over beside the command."""
    what = f"A command of '{message.source}'"
    order = order_of(message.names, robot)
    check_modes(message.modes, order, what, robot)
    values = floats(message.values, robot.dof, what)[order]
    check_finite(values, what, robot)
    return Command(to_ns(message.header.stamp), message.source, values, int(message.chunk_id), int(message.step))


def encode_command(command: Command, robot: RobotSpec, joint_command_class: Any) -> Any:
    message = joint_command_class()
    fill_stamp(message.header.stamp, command.stamp_ns)
    message.robot_id, message.source = robot.id, command.source
    message.chunk_id, message.step = command.chunk_id, command.step
    message.names, message.modes = list(robot.names), mode_array(robot)
    message.values = double_array(_vector(command.values, robot))
    return message


def _vector(values: FloatArray, robot: RobotSpec) -> FloatArray:
    if np.shape(values) != (robot.dof,):
        raise ContractError(
            f"A vector has the shape {np.shape(values)}, {robot.name} has {robot.dof} joints.",
            "Give one value for each joint.",
        )
    return values
