"""One recorded episode as arrays and a few pictures. Times are seconds since the start of the bag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.data.bags import BagMessage, BagReader
from vla_mbpo_ros.data.bags.report import full_name
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.messages.images import decode_image
from vla_mbpo_ros.messages.joints import decode_command, decode_joint_state
from vla_mbpo_ros.robots import RobotSpec, get_robot
from vla_mbpo_ros.schema import Command, FloatArray, ImageArray

HOLD = "hold"


@dataclass(frozen=True)
class Track:
    """A vector over time."""

    times_s: FloatArray  # (T,)
    values: FloatArray  # (T, N) in the robot's order


@dataclass(frozen=True)
class Picture:
    """What one camera saw at one moment."""

    time_s: float
    image: ImageArray


@dataclass(frozen=True)
class EpisodeRecord:
    """Everything that a summary or a drawing needs."""

    path: Path
    facts: EpisodeFacts
    robot: RobotSpec
    duration_s: float
    size_bytes: int
    measured: Track
    executed: Track
    sources: tuple[str, ...]  # who was obeyed, one for each row of `executed`; "hold" for nobody
    chunk_times_s: FloatArray  # observation times of the proposed chunks
    largest_step: float  # rad or m, of any position target between two ticks
    seam_step: float  # the same, over the last seam between two chunks
    pictures: dict[str, tuple[Picture, ...]]  # by camera
    frames: dict[str, int]  # images in the bag, by camera

    @property
    def held(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(T,) where the arm was held."""
        return np.array([source == HOLD for source in self.sources], dtype=bool)


def read_episode(path: Path, moments: int = 8) -> EpisodeRecord:
    """The bag at `path`, with `moments` evenly spaced pictures of each camera."""
    bag = BagReader(path)
    facts = EpisodeFacts.from_custom_data(bag.custom_data, str(path))
    if not facts.robot:
        raise BagError(f"{path} does not say which robot it is of.", "Only bags of recorder_node can be summarised.")
    source = _Source(bag, facts, get_robot(facts.robot))
    measured, (executed, sources) = source.joints(), source.commands()
    chunks = [source.time_s(message) for message in source.messages("policy/action_chunk")]
    statuses = [bag.decode(message) for message in source.messages("executor/status")]
    cameras = source.robot.camera_names
    return EpisodeRecord(
        path=path,
        facts=facts,
        robot=source.robot,
        duration_s=(bag.end_ns - bag.start_ns) * 1e-9,
        size_bytes=bag.size_bytes,
        measured=measured,
        executed=executed,
        sources=sources,
        chunk_times_s=np.array(chunks),
        largest_step=max((float(status.largest_step) for status in statuses), default=0.0),
        seam_step=max((float(status.seam_step) for status in statuses), default=0.0),
        pictures={camera: source.pictures(camera, moments) for camera in cameras},
        frames={camera: source.count(f"{camera}/color/image_raw") for camera in cameras},
    )


class _Source:
    """A bag, asked by the names of the contract."""

    def __init__(self, bag: BagReader, facts: EpisodeFacts, robot: RobotSpec) -> None:
        self.bag, self.facts, self.robot = bag, facts, robot

    def name(self, topic: str) -> str:
        return full_name(self.facts.names.get(topic, topic), self.facts.namespace)

    def count(self, topic: str) -> int:
        info = self.bag.topics.get(self.name(topic))
        return info.count if info else 0

    def messages(self, topic: str) -> Iterator[BagMessage]:
        """Nothing for a topic that is not in the bag."""
        if self.name(topic) in self.bag.topics:
            yield from self.bag.messages([self.name(topic)])

    def time_s(self, message: BagMessage) -> float:
        """By the stamp inside the message."""
        stamp_ns = self.bag.decoder(message.topic).stamp_ns(message.data)
        return ((message.log_ns if stamp_ns is None else stamp_ns) - self.bag.start_ns) * 1e-9

    def joints(self) -> Track:
        states = [decode_joint_state(self._decode(message), self.robot) for message in self.messages("joint_states")]
        return self._track([(state.stamp_ns, state.position) for state in states])

    def commands(self) -> tuple[Track, tuple[str, ...]]:
        commands: list[Command] = [
            decode_command(self._decode(message), self.robot) for message in self.messages("robot/executed_command")
        ]
        track = self._track([(command.stamp_ns, command.values) for command in commands])
        return track, tuple(command.source for command in commands)

    def pictures(self, camera: str, moments: int) -> tuple[Picture, ...]:
        """Evenly spaced frames, the first and the last among them."""
        topic = f"{camera}/color/image_raw"
        count = self.count(topic)
        wanted = set(np.linspace(0, count - 1, min(moments, count)).round().astype(int)) if count else set()
        chosen = (message for index, message in enumerate(self.messages(topic)) if index in wanted)
        return tuple(Picture(self.time_s(message), np.array(decode_image(self._decode(message)))) for message in chosen)

    def _decode(self, message: BagMessage) -> Any:
        return self.bag.decode(message)

    def _track(self, rows: list[tuple[int, FloatArray]]) -> Track:
        times = np.array([(stamp - self.bag.start_ns) * 1e-9 for stamp, _ in rows])
        values = np.array([values for _, values in rows]).reshape(len(rows), self.robot.dof)
        return Track(times, values)
