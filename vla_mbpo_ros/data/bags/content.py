"""What is inside the messages of one topic: can it be read, and does it fit the robot?

    images               every one: encoding, row padding, size; depth and compressed ones are decoded now and then
    joint_states         every one: names, finite numbers
    commands, chunks     every one: names, modes, finite numbers, the robot that they are for
    everything else      now and then: do the bytes fit the definition in the bag?

Trouble of one kind is told once, with the first time and how often.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ContractError, VlaMbpoError
from vla_mbpo_ros.messages.chunks import decode_chunk
from vla_mbpo_ros.messages.compressed import decode_compressed
from vla_mbpo_ros.messages.images import decode_depth, decode_image
from vla_mbpo_ros.messages.joints import decode_command, decode_joint_state
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.robots.contract import PACKAGE

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
PICTURES = frozenset({IMAGE, COMPRESSED})
JOINTS, COMMAND, CHUNK = "sensor_msgs/msg/JointState", f"{PACKAGE}/msg/JointCommand", f"{PACKAGE}/msg/ActionChunk"
FRAME_INFO = f"{PACKAGE}/msg/FrameInfo"
SAMPLE = 16  # of what takes long to decode, or says little, the first and every so many
_KINDS = 3  # of trouble that are told of one topic
_DEPTHS = ("16UC1", "mono16", "32FC1")

Check = Callable[[Any], None]  # takes a decoded message; raises what is wrong with it


@dataclass
class Trouble:
    """One kind of trouble."""

    text: str  # of the first
    first_ns: int  # log time
    count: int = 1


@dataclass
class Troubles:
    """Of one topic."""

    kinds: dict[str, Trouble] = field(default_factory=dict)

    def note(self, error: VlaMbpoError, log_ns: int) -> None:
        """Sentences that differ only in their numbers are of one kind."""
        kind = re.sub(r"\d+", "#", error.cause)
        if kind in self.kinds:
            self.kinds[kind].count += 1
        else:
            self.kinds[kind] = Trouble(error.cause, log_ns)

    def sentences(self, name: str, start_ns: int) -> list[str]:
        told = list(self.kinds.values())[:_KINDS]
        lines = [_sentence(name, trouble, (trouble.first_ns - start_ns) * 1e-9) for trouble in told]
        if len(self.kinds) > _KINDS:
            lines.append(f"{name}: {len(self.kinds) - _KINDS} more kinds of trouble.")
        return lines


def every(type_name: str) -> int:
    """How often a message of that type is looked into."""
    return 1 if type_name in {IMAGE, JOINTS, COMMAND, CHUNK, FRAME_INFO} else SAMPLE


def make_check(type_name: str, robot: RobotSpec | None = None) -> Check:
    """`robot` is given where the topic is one of its own contract."""
    if type_name == IMAGE:
        return _Images()
    if type_name == COMPRESSED:
        return _compressed
    if type_name == JOINTS:
        return _any_joints if robot is None else lambda message: _joints(message, robot)
    if robot is not None and type_name == COMMAND:
        return lambda message: _command(message, robot)
    if robot is not None and type_name == CHUNK:
        return lambda message: _chunk(message, robot)
    return _nothing


class _Images:
    """Views cost nothing, so every image is looked at; depth is turned into metres and takes longer."""

    def __init__(self) -> None:
        self._count = 0
        self._form: tuple[int, int, str] | None = None

    def __call__(self, message: Any) -> None:
        self._count += 1
        if message.encoding not in _DEPTHS:
            decode_image(message)
        elif self._count % SAMPLE == 1:
            decode_depth(message)
        form = (int(message.width), int(message.height), str(message.encoding))
        before, self._form = self._form, form
        if before is not None and before != form:
            raise ContractError(f"An image is {_form(form)}, the one before was {_form(before)}.")


def _form(form: tuple[int, int, str]) -> str:
    return f"{form[0]} x {form[1]} {form[2]}"


def _compressed(message: Any) -> None:
    decode_compressed(message)


def _joints(message: Any, robot: RobotSpec) -> None:
    decode_joint_state(message, robot)


def _any_joints(message: Any) -> None:
    """Of a robot that nobody has described."""
    names = list(message.name)
    if len(set(names)) != len(names):
        raise ContractError("A joint state names a joint twice.")
    for word in ("position", "velocity", "effort"):
        values = np.asarray(getattr(message, word))
        if len(values) and names and len(values) != len(names):
            raise ContractError(f"A joint state has {len(names)} names and {len(values)} values of {word}.")
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            who = names[bad[0]] if names else f"joint {bad[0]}"
            raise ContractError(f"A joint state's {word} is {values[bad[0]]} for {who}.")


def _command(message: Any, robot: RobotSpec) -> None:
    if message.robot_id != robot.id:
        raise ContractError(f"A command is for the robot '{message.robot_id}', this is '{robot.id}'.")
    decode_command(message, robot)


def _chunk(message: Any, robot: RobotSpec) -> None:
    chunk = decode_chunk(message, robot)
    step, joint = np.nonzero(~np.isfinite(chunk.values))
    if len(step):
        value = chunk.values[step[0], joint[0]]
        cause = f"Chunk {chunk.chunk_id} is {value} for {robot.names[joint[0]]} at step {step[0]}."
        raise ContractError(cause)


def _nothing(message: Any) -> None:
    """That it could be decoded is all that is known."""


def _sentence(name: str, trouble: Trouble, at_s: float) -> str:
    if trouble.count == 1:
        return f"{name}: at {at_s:.2f} s: {trouble.text}"
    return f"{name}: {trouble.count} times, first at {at_s:.2f} s: {trouble.text}"
