"""A bag as the recorder writes it, made without a running graph: 2 s at 10 Hz, held for the first half second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vla_mbpo_ros.data.bags import BagWriter
from vla_mbpo_ros.data.bags.encode import Encoder
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.messages.images import fill_image
from vla_mbpo_ros.messages.joints import encode_command, encode_joint_state
from vla_mbpo_ros.messages.stamps import fill_stamp
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import Command, JointState

HZ, TICKS, HELD = 10.0, 20, 5
START_NS = 10**9
ROBOT = get_robot("arx_x5")
TYPES = {
    "joint_states": "sensor_msgs/msg/JointState",
    "robot/executed_command": "vla_mbpo_ros/msg/JointCommand",
    "policy/action_chunk": "vla_mbpo_ros/msg/ActionChunk",
    "executor/status": "vla_mbpo_ros/msg/ExecutorStatus",
    "head/color/image_raw": "sensor_msgs/msg/Image",
}


def pose(tick: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(14,) joint 1 of the left arm turns by 0.1 rad a tick."""
    position = ROBOT.home.copy()
    position[0] += 0.1 * tick
    return position


@pytest.fixture
def bag(tmp_path: Path) -> Callable[..., Path]:
    """bag(**facts) -> path."""
    try:
        encoders = {topic: Encoder(name) for topic, name in TYPES.items()}
    except BagError as error:
        pytest.skip(f"message definitions are not installed: {error}")

    def write(**facts: object) -> Path:
        said: dict[str, object] = {"robot": "arx_x5", "control_hz": HZ, "simulated": True, **facts}
        with BagWriter(tmp_path / "episode") as writer:
            for topic, name in TYPES.items():
                writer.add_topic(f"/{topic}", name)
            for tick in range(TICKS):
                _write_tick(writer, encoders, tick)
            writer.close(EpisodeFacts(episode_id="episode", **said).to_custom_data())  # type: ignore[arg-type]
        return tmp_path / "episode"

    return write


def _write_tick(writer: BagWriter, encoders: dict[str, Encoder], tick: int) -> None:
    now_ns = START_NS + round(tick * 1e9 / HZ)

    def put(topic: str, message: object) -> None:
        writer.write(f"/{topic}", encoders[topic](message), now_ns)

    states, commands = encoders["joint_states"].new, encoders["robot/executed_command"].new
    put("joint_states", encode_joint_state(JointState(now_ns, pose(tick), np.zeros(14)), ROBOT, states))
    source = "hold" if tick < HELD else "policy"
    put("robot/executed_command", encode_command(Command(now_ns, source, pose(tick)), ROBOT, commands))
    image = encoders["head/color/image_raw"].new()
    fill_image(image, np.full((24, 32, 3), tick, dtype=np.uint8), now_ns, "head")
    put("head/color/image_raw", image)
    status = encoders["executor/status"].new(largest_step=0.01 * tick, seam_step=0.02 if tick == 9 else 0.0)
    fill_stamp(status.header.stamp, now_ns)
    put("executor/status", status)
    if tick in (HELD, 13):
        chunk = encoders["policy/action_chunk"].new(chunk_id=tick)
        fill_stamp(chunk.header.stamp, now_ns)
        put("policy/action_chunk", chunk)
