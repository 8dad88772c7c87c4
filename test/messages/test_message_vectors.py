"""Joint states, commands, chunks, stamps and statuses, with plain objects and with real messages."""

from __future__ import annotations

import importlib
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.messages.camera_info import encode_camera_info, encode_frame_info
from vla_mbpo_ros.messages.chunks import decode_chunk, encode_chunk
from vla_mbpo_ros.messages.header import stamp_of_cdr
from vla_mbpo_ros.messages.joints import decode_command, decode_joint_state, encode_command, encode_joint_state
from vla_mbpo_ros.messages.stamps import fill_stamp, from_ns, to_ns
from vla_mbpo_ros.messages.status import encode_status
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import ActionChunk, Command, Frame, Intrinsics, JointState, Mode

_ARX = get_robot("arx_x5")
# The last joint of this one is driven by velocity.
ROBOT = replace(_ARX, joints=(*_ARX.joints[:-1], replace(_ARX.joints[-1], mode=Mode.VELOCITY)))
STAMP_NS = 7_000_000_009


def fake() -> SimpleNamespace:
    return SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id=""))


def real(package: str, name: str) -> Callable[[], Any]:
    module = pytest.importorskip(package, reason=f"{package} is not built: run `make setup`")
    return getattr(module, name)  # type: ignore[no-any-return]


def classes(package: str, name: str) -> list[Any]:
    """The plain stand-in, and the real class where it exists."""
    try:
        return [fake, getattr(importlib.import_module(package), name)]
    except ImportError:
        return [fake]


def shuffled(message: Any, *columns: str, names: str) -> None:
    """Reverse the joints of a message, as another sender might order them."""
    setattr(message, names, list(getattr(message, names))[::-1])
    for column in columns:
        setattr(message, column, list(getattr(message, column))[::-1])


def random_vector(seed: int = 0, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=(*shape, ROBOT.dof))


# -- joint states


@pytest.mark.parametrize("kind", classes("sensor_msgs.msg", "JointState"))
def test_joint_states_survive_the_round_trip_in_any_order(kind: Any) -> None:
    state = JointState(STAMP_NS, random_vector(1), random_vector(2))
    message = encode_joint_state(state, ROBOT, kind)
    assert len(message.effort) == ROBOT.dof
    shuffled(message, "position", "velocity", names="name")
    back = decode_joint_state(message, ROBOT)
    assert back.stamp_ns == STAMP_NS
    np.testing.assert_array_equal(back.position, state.position)
    np.testing.assert_array_equal(back.velocity, state.velocity)


def test_a_driver_without_velocity_stands_still() -> None:
    message = encode_joint_state(JointState(0, random_vector(1), random_vector(2)), ROBOT, fake)
    message.velocity = []
    assert (decode_joint_state(message, ROBOT).velocity == 0.0).all()


def test_wrong_joint_states_are_refused() -> None:
    message = encode_joint_state(JointState(0, random_vector(1), random_vector(2)), ROBOT, fake)
    with pytest.raises(ContractError, match="missing: left_joint1"):
        decode_joint_state(SimpleNamespace(**{**vars(message), "name": message.name[1:]}), ROBOT)
    with pytest.raises(ContractError, match="13 values, expected 14"):
        decode_joint_state(SimpleNamespace(**{**vars(message), "position": message.position[1:]}), ROBOT)
    message.position[3] = math.nan
    with pytest.raises(NotFinite, match="nan for left_joint4"):
        decode_joint_state(message, ROBOT)
    with pytest.raises(ContractError, match=r"shape \(3,\)"):
        encode_joint_state(JointState(0, np.zeros(3), np.zeros(3)), ROBOT, fake)


# -- commands


@pytest.mark.parametrize("kind", classes("vla_mbpo_ros.msg", "JointCommand"))
def test_commands_survive_the_round_trip_in_any_order(kind: Any) -> None:
    command = Command(STAMP_NS, "human", random_vector(3), chunk_id=2**63, step=4)
    message = encode_command(command, ROBOT, kind)
    assert message.robot_id == ROBOT.id
    assert list(message.modes) == [0] * 13 + [1]
    shuffled(message, "modes", "values", names="names")
    back = decode_command(message, ROBOT)
    np.testing.assert_array_equal(back.values, command.values)
    assert (back.stamp_ns, back.source, back.chunk_id, back.step) == (STAMP_NS, "human", 2**63, 4)


def test_wrong_commands_are_refused() -> None:
    message = encode_command(Command(0, "human", random_vector()), ROBOT, fake)
    for changes, words in (
        ({"names": [*message.names[:-1], "tail"]}, "unknown: tail"),
        ({"values": message.values[1:]}, "'human' has 13 values"),
        ({"modes": message.modes[1:]}, "13 modes"),
        ({"modes": [1, *message.modes[1:]]}, "left_joint1 in mode 1. Send mode 0 (POSITION)"),
        ({"values": [*message.values[:-1], math.inf]}, "inf for right_gripper"),
    ):
        with pytest.raises(ContractError) as caught:
            decode_command(SimpleNamespace(**{**vars(message), **changes}), ROBOT)
        assert words in str(caught.value)


# -- chunks


@pytest.mark.parametrize("kind", classes("vla_mbpo_ros.msg", "ActionChunk"))
def test_chunks_survive_the_round_trip_in_any_order(kind: Any) -> None:
    chunk = ActionChunk(
        STAMP_NS,
        9,
        66_666_667,
        random_vector(4, 5),
        instruction="stack",
        policy_version="scripted/1",
        value=0.5,
        inference_s=0.25,
        source_stamps_ns={"head": STAMP_NS - 3, "joint_states": STAMP_NS},
    )
    message = encode_chunk(chunk, ROBOT, kind)
    order = list(range(ROBOT.dof))[::-1]
    message.names, message.modes = [ROBOT.names[i] for i in order], [int(ROBOT.modes[i]) for i in order]
    message.values = chunk.values[:, order].ravel().tolist()
    back = decode_chunk(message, ROBOT)
    np.testing.assert_array_equal(back.values, chunk.values)
    assert {**vars(back), "values": None} == {**vars(chunk), "values": None}  # arrays have no truth value


def test_wrong_chunks_are_refused_but_nan_is_left_to_the_executor() -> None:
    message = encode_chunk(ActionChunk(0, 7, 10, random_vector(0, 3)), ROBOT, fake)
    for changes, words in (
        ({"robot_id": "other"}, "Chunk 7 is for the robot 'other'"),
        ({"names": message.names[1:]}, "Chunk 7 has 13 columns, arx_x5 has 14 joints"),
        ({"horizon": 4}, "Chunk 7 of 4 steps and 14 joints has 42 values, expected 56"),
        ({"modes": [1, *message.modes[1:]]}, "mode 1"),
        ({"source_names": ["head"]}, "1 sources and gives 0 stamps"),
    ):
        with pytest.raises(ContractError) as caught:
            decode_chunk(SimpleNamespace(**{**vars(message), **changes}), ROBOT)
        assert words in str(caught.value)
    with pytest.raises(ContractError, match=r"shape \(3, 2\)"):
        encode_chunk(ActionChunk(0, 7, 10, np.zeros((3, 2))), ROBOT, fake)
    message.values[0] = math.nan
    assert math.isnan(decode_chunk(message, ROBOT).values[0, 0])


# -- stamps


@given(ns=st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1))
@settings(max_examples=100, deadline=None)
def test_stamps_survive_the_round_trip_also_serialised(ns: int) -> None:
    stamp = from_ns(ns, lambda: SimpleNamespace(sec=0, nanosec=0))
    assert to_ns(stamp) == ns
    assert 0 <= stamp.nanosec < 10**9
    for mark, layout in ((b"\x00\x01", "<iI"), (b"\x00\x00", ">iI")):
        data = mark + b"\x00\x00" + struct.pack(layout, stamp.sec, stamp.nanosec) + b"rest"
        assert stamp_of_cdr(data) == stamp_of_cdr(memoryview(data)) == ns


def test_what_has_no_stamp_is_refused() -> None:
    with pytest.raises(ContractError, match="another unit"):
        fill_stamp(SimpleNamespace(), 2**31 * 10**9)
    for data, words in (
        (b"\x00\x01\x00\x00", "4 bytes"),
        (b"\x00\x03\x00\x00" + bytes(8), "00030000"),
        (b"\x00\x01\x00\x00" + b"\xff" * 8, "4294967295 nanoseconds"),
    ):
        with pytest.raises(ContractError, match=words):
            stamp_of_cdr(data)


def test_the_stamp_of_a_real_message_is_read() -> None:
    serialization = pytest.importorskip("rclpy.serialization", reason="rclpy is not installed: run `make setup`")
    state = JointState(STAMP_NS, random_vector(1), random_vector(2))
    message = encode_joint_state(state, ROBOT, real("sensor_msgs.msg", "JointState"))
    assert stamp_of_cdr(serialization.serialize_message(message)) == STAMP_NS


# -- cameras, statuses


@pytest.mark.parametrize("kind", classes("sensor_msgs.msg", "CameraInfo"))
def test_a_camera_info_projects_like_its_pinhole(kind: Any) -> None:
    camera = Intrinsics.from_fovy(640, 480, math.radians(90.0))
    message = encode_camera_info(camera, STAMP_NS, "head_optical", kind)
    projection = np.array(message.p).reshape(3, 4)
    corner = projection @ [0.0, 1.0, 1.0, 1.0]  # 45 degrees down: half of the angle of view
    assert corner[1] / corner[2] == pytest.approx((480 - 1) / 2 + 240)
    np.testing.assert_array_equal(np.array(message.k).reshape(3, 3), projection[:, :3])
    assert (message.width, message.height, message.header.frame_id) == (640, 480, "head_optical")
    with pytest.raises(ContractError):
        Intrinsics.from_fovy(640, 480, math.pi)


@pytest.mark.parametrize("kind", classes("vla_mbpo_ros.msg", "FrameInfo"))
def test_a_frame_info_has_the_number_of_its_frame(kind: Any) -> None:
    frame = Frame(STAMP_NS, np.zeros((2, 2, 3), np.uint8), 12)
    message = encode_frame_info(frame, "head_optical", kind, clock=2)
    assert (message.frame_number, message.clock, to_ns(message.header.stamp)) == (12, 2, STAMP_NS)


def test_a_status_is_copied_by_field_name() -> None:
    class State(IntEnum):
        BUSY = 2

    @dataclass(frozen=True)
    class Status:
        stamp_ns: int
        state: State
        reason: str

    message = encode_status(Status(STAMP_NS, State.BUSY, "why"), fake)
    assert (message.state, type(message.state), message.reason) == (2, int, "why")
    assert to_ns(message.header.stamp) == STAMP_NS
