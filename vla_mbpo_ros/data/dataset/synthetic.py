"""Bags of a made-up episode, as the recorder writes them: for benchmarks and for tests, without a running graph.

Each camera pans over a soft texture of its own, so that video codecs have what they have before a real scene.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vla_mbpo_ros.data.bags import BagWriter
from vla_mbpo_ros.data.bags.encode import Encoder
from vla_mbpo_ros.data.episodes.observations import IMAGE, JOINTS
from vla_mbpo_ros.data.episodes.reader import CHUNKS, COMMANDS, TYPES
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.messages.chunks import encode_chunk
from vla_mbpo_ros.messages.images import fill_image
from vla_mbpo_ros.messages.joints import encode_command, encode_joint_state
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import ActionChunk, Command, FloatArray, ImageArray, JointState

START_NS = 10**9
Edit = Callable[[str, int, Any], Any]  # (topic, row, message) -> the message that is written; None leaves it out
_GRAIN_PIXELS = 12  # of the texture
_NOISE = 4  # of the sensor, in steps of 256


def write_synthetic_bag(
    path: Path,
    *,
    rows: int = 60,
    size: tuple[int, int] = (24, 32),
    seed: int = 0,
    horizon: int = 8,
    replan: int = 4,
    edit: Edit = lambda topic, row, message: message,
    **facts: Any,
) -> Path:
    """An episode of `rows` control ticks with images of (height, width); a chunk every `replan` ticks."""
    robot = get_robot("arx_x5")
    hz = robot.control_hz
    cameras = {name: f"{name}/color/image_raw" for name in robot.camera_names}
    said: dict[str, Any] = {
        "episode_id": path.name,
        "robot": robot.name,
        "control_hz": hz,
        "camera_hz": dict.fromkeys(robot.camera_names, hz),
        "instruction": "do it",
        **facts,
    }
    encoders = {**{topic: Encoder(kind) for topic, kind in TYPES.items()}, **dict.fromkeys(cameras.values(), _image())}
    views = {name: _View(size, seed * len(cameras) + index) for index, name in enumerate(cameras)}
    with BagWriter(path) as bag:
        for topic, encoder in encoders.items():
            bag.add_topic(f"/{topic}", encoder.type_name)
        for row in range(rows):
            now_ns = START_NS + round(row * 1e9 / hz)
            for topic, message in _tick(row, now_ns, round(1e9 / hz), horizon, replan, encoders, seed):
                _put(bag, encoders, edit, topic, row, message, now_ns)
            for name, topic in cameras.items():
                image = encoders[topic].new()
                fill_image(image, views[name].at(row), now_ns, name)
                _put(bag, encoders, edit, topic, row, image, now_ns)
        bag.close(EpisodeFacts(**said).to_custom_data())
    return path


def pose(row: int, seed: int = 0) -> FloatArray:
    """(14,) where the joints are."""
    home = get_robot("arx_x5").home
    return np.asarray(home + 0.1 * np.sin(0.05 * row + np.arange(len(home)) + seed))


def target(row: int, seed: int = 0) -> FloatArray:
    """(14,) what the arm is told."""
    return pose(row + 1, seed)


def _image() -> Encoder:
    return Encoder(IMAGE)


def _put(
    bag: BagWriter, encoders: dict[str, Encoder], edit: Edit, topic: str, row: int, message: Any, now_ns: int
) -> None:
    edited = edit(topic, row, message)
    if edited is not None:
        data = edited if isinstance(edited, bytes) else encoders[topic](edited)
        bag.write(f"/{topic}", data, now_ns)


def _tick(
    row: int, now_ns: int, dt_ns: int, horizon: int, replan: int, encoders: dict[str, Encoder], seed: int
) -> list[tuple[str, Any]]:
    robot = get_robot("arx_x5")
    state = JointState(now_ns, pose(row, seed), np.zeros(robot.dof))
    chunk_id, step = row // replan + 1, row % replan
    command = Command(now_ns, "policy", target(row, seed), chunk_id, step)
    messages = [
        (JOINTS, encode_joint_state(state, robot, encoders[JOINTS].new)),
        (COMMANDS, encode_command(command, robot, encoders[COMMANDS].new)),
    ]
    if step == 0:
        values = np.stack([target(row + ahead, seed) for ahead in range(horizon)])
        stamps = dict.fromkeys((*robot.camera_names, JOINTS), now_ns)
        chunk = ActionChunk(now_ns, chunk_id, dt_ns, values, "do it", "synthetic-1", source_stamps_ns=stamps)
        messages.append((CHUNKS, _chunk(chunk, encoders[CHUNKS])))
    return messages


def _chunk(chunk: ActionChunk, encoder: Encoder) -> Any:
    robot = get_robot("arx_x5")
    stamp = type(encoder.new().header.stamp)
    message = encode_chunk(
        ActionChunk(**{**vars(chunk), "source_stamps_ns": {}}), robot, encoder.new
    )  # the encoder's Time takes its fields by name only
    message.source_names = list(chunk.source_stamps_ns)
    message.source_stamps = [stamp(*divmod(ns, 10**9)) for ns in chunk.source_stamps_ns.values()]
    return message


class _View:
    """What one camera sees."""

    def __init__(self, size: tuple[int, int], seed: int) -> None:
        self._size, self._draw = size, np.random.default_rng(seed)
        height, width = size
        grains = self._draw.integers(0, 256, (height // _GRAIN_PIXELS + 2, width // _GRAIN_PIXELS + 2, 3), np.uint8)
        texture = Image.fromarray(grains).resize((width, height), Image.Resampling.BICUBIC)
        self._texture = np.asarray(texture).astype(np.int16)

    def at(self, row: int) -> ImageArray:
        """(H, W, 3)"""
        noise = self._draw.integers(-_NOISE, _NOISE + 1, self._texture.shape, np.int16)
        panned = np.roll(self._texture, (row, 2 * row), axis=(0, 1))
        return np.asarray(np.clip(panned + noise, 0, 255), dtype=np.uint8)
