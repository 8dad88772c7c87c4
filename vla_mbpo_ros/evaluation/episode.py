"""One recorded episode as arrays and a few pictures. Times are seconds since the start of the bag."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vla_mbpo_ros.data.bags import BagMessage
from vla_mbpo_ros.data.episodes.contract_bag import ContractBag
from vla_mbpo_ros.data.episodes.observations import decode_color
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.messages.joints import decode_command, decode_joint_state
from vla_mbpo_ros.robots import RobotSpec
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
    source = _Source(path)
    bag, facts, robot = source.bag, source.facts, source.state_spec
    measured, (executed, sources) = source.joints(), source.commands()
    chunks = [source.time_s(message) for message in source.messages("policy/action_chunk")]
    statuses = [source.decode(message) for message in source.messages("executor/status")]
    return EpisodeRecord(
        path=path,
        facts=facts,
        robot=robot,
        duration_s=(bag.end_ns - bag.start_ns) * 1e-9,
        size_bytes=bag.size_bytes,
        measured=measured,
        executed=executed,
        sources=sources,
        chunk_times_s=np.array(chunks),
        largest_step=max((float(status.largest_step) for status in statuses), default=0.0),
        seam_step=max((float(status.seam_step) for status in statuses), default=0.0),
        pictures={camera: source.pictures(camera, moments) for camera in robot.camera_names},
        frames={camera: source.count(source.color_topic(camera)) for camera in robot.camera_names},
    )


class _Source(ContractBag):
    """What of a bag is drawn."""

    def time_s(self, message: BagMessage) -> float:
        """By the stamp inside the message."""
        stamp_ns = self.bag.decoder(message.topic).stamp_ns(message.data)
        return ((message.log_ns if stamp_ns is None else stamp_ns) - self.bag.start_ns) * 1e-9

    def joints(self) -> Track:
        states = [
            decode_joint_state(self.decode(message), self.state_spec) for message in self.messages("joint_states")
        ]
        return self._track([(state.stamp_ns, state.position) for state in states])

    def commands(self) -> tuple[Track, tuple[str, ...]]:
        commands: list[Command] = [
            decode_command(self.decode(message), self.action_spec)
            for message in self.messages("robot/executed_command")
        ]
        track = self._track([(command.stamp_ns, command.values) for command in commands])
        return track, tuple(command.source for command in commands)

    def pictures(self, camera: str, moments: int) -> tuple[Picture, ...]:
        """Evenly spaced frames, the first and the last among them."""
        topic = self.color_topic(camera)
        count = self.count(topic)
        wanted = set(np.linspace(0, count - 1, min(moments, count)).round().astype(int)) if count else set()
        chosen = (message for index, message in enumerate(self.messages(topic)) if index in wanted)
        kind = self.type_of(topic)
        return tuple(Picture(self.time_s(m), np.array(decode_color(self.decode(m), kind).image)) for m in chosen)

    def _track(self, rows: list[tuple[int, FloatArray]]) -> Track:
        times = np.array([(stamp - self.bag.start_ns) * 1e-9 for stamp, _ in rows])
        values = np.array([values for _, values in rows]).reshape(len(rows), self.state_spec.dof)
        return Track(times, values)
