"""ActionChunk.msg <-> ActionChunk."""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.messages.columns import check_modes, double_array, floats, mode_array, order_of
from vla_mbpo_ros.messages.stamps import fill_stamp, from_ns, to_ns
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import ActionChunk


def decode_chunk(message: Any, robot: RobotSpec) -> ActionChunk:
    """Form only: whether it is finite, new and long enough is for the executor to judge."""
    what = f"Chunk {message.chunk_id}"
    if message.robot_id != robot.id:
        raise ContractError(
            f"{what} is for the robot '{message.robot_id}', this is '{robot.id}'.",
            "Start policy_node with the right `robot_id`, or give each robot its own ROS_DOMAIN_ID.",
        )
    if len(message.names) != robot.dof:
        raise ContractError(
            f"{what} has {len(message.names)} columns, {robot.name} has {robot.dof} joints.",
            f"Send one column for each of {', '.join(robot.names)}; is the policy made for another robot?",
        )
    order = order_of(message.names, robot)
    check_modes(message.modes, order, what, robot)
    steps = int(message.horizon)
    values = floats(message.values, steps * robot.dof, f"{what} of {steps} steps and {robot.dof} joints")
    return ActionChunk(
        observed_ns=to_ns(message.header.stamp),
        chunk_id=int(message.chunk_id),
        dt_ns=int(message.dt_ns),
        values=values.reshape(steps, robot.dof)[:, order],
        instruction=message.instruction,
        policy_version=message.policy_version,
        value=float(message.value),
        inference_s=float(message.inference_s),
        source_stamps_ns=_sources(message, what),
    )


def encode_chunk(chunk: ActionChunk, robot: RobotSpec, chunk_class: Any) -> Any:
    if chunk.values.ndim != 2 or chunk.values.shape[1] != robot.dof:
        raise ContractError(
            f"Chunk {chunk.chunk_id} has the shape {chunk.values.shape}, {robot.name} has {robot.dof} joints.",
            f"Let the policy propose (steps, {robot.dof}).",
        )
    message = chunk_class()
    fill_stamp(message.header.stamp, chunk.observed_ns)
    time_class = type(message.header.stamp)
    message.source_names = list(chunk.source_stamps_ns)
    message.source_stamps = [from_ns(stamp, time_class) for stamp in chunk.source_stamps_ns.values()]
    message.chunk_id, message.robot_id = chunk.chunk_id, robot.id
    message.instruction, message.policy_version = chunk.instruction, chunk.policy_version
    message.names, message.modes = list(robot.names), mode_array(robot)
    message.horizon, message.dt_ns = chunk.horizon, chunk.dt_ns
    message.values = double_array(np.asarray(chunk.values))
    message.value, message.inference_s = float(chunk.value), float(chunk.inference_s)
    return message


def _sources(message: Any, what: str) -> dict[str, int]:
    names, stamps = list(message.source_names), list(message.source_stamps)
    if len(names) != len(stamps):
        raise ContractError(
            f"{what} names {len(names)} sources and gives {len(stamps)} stamps.", "Send one stamp for each."
        )
    return {name: to_ns(stamp) for name, stamp in zip(names, stamps, strict=True)}
