"""An `Episode` -> a bag that the rest of the house reads as if the recorder had written it.

    frames         <camera>/color/image_raw (rgb8), or …/compressed where the source has JPEG or PNG bytes
                   <camera>/color/frame_info, numbered from 0
    state          joint_states; velocity and effort stay empty: nobody measured them
    action         robot/executed_command
    chunks         policy/action_chunk, if there are any
    instruction    once, latched

Every message is logged at its own stamp. What the contract promises beyond this is listed in `without`.
"""

from __future__ import annotations

import heapq
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from vla_mbpo_ros.data.bags import BagWriter, Qos
from vla_mbpo_ros.data.bags.encode import Encoder
from vla_mbpo_ros.data.episodes.episode import Episode
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.formats.bag_facts import bag_facts
from vla_mbpo_ros.errors import BagError, ContractError
from vla_mbpo_ros.messages import encode_chunk, encode_command, encode_frame_info, fill_image, fill_stamp
from vla_mbpo_ros.robots import Joint, RobotSpec, get_robot, robot_names
from vla_mbpo_ros.robots.contract import camera_topics, image_topics
from vla_mbpo_ros.schema import Command, Frame

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
INFO, TEXT, STATE = "vla_mbpo_ros/msg/FrameInfo", "std_msgs/msg/String", "sensor_msgs/msg/JointState"
COMMAND, CHUNK = "vla_mbpo_ros/msg/JointCommand", "vla_mbpo_ros/msg/ActionChunk"
_LATCHED = Qos(depth=1, durability="transient_local")


@runtime_checkable
class EncodedFrames(Protocol):
    """Frames whose source keeps them as files: they go into the bag as they are."""

    def encoded(self, index: int) -> tuple[str, bytes]:
        """("jpeg" or "png", the file)."""


@dataclass(frozen=True, order=True)
class _Event:
    stamp_ns: int
    rank: int  # at one stamp: images before joints before commands
    kind: str
    index: int
    camera: str = ""


def write_episode(episode: Episode, folder: Path, name: str) -> Path:
    """The path of the new bag `folder`/`name`. A bag that cannot be finished is removed."""
    writing = _Writing(episode, folder / name)
    try:
        with BagWriter(folder / name) as bag:
            writing.run(bag)
    except BaseException:
        shutil.rmtree(folder / name, ignore_errors=True)
        raise
    return folder / name


class _Writing:
    """One bag in the making."""

    def __init__(self, episode: Episode, path: Path) -> None:
        if not episode.rows:
            raise ContractError(f"{episode.path} has no rows.", "Leave it out.")
        self.episode, self.path = episode, path
        files = [isinstance(frames, EncodedFrames) for frames in episode.frames.values()]
        self.color = "compressed" if files and all(files) else "raw"
        self.facts = replace(episode.facts, episode_id=path.name, color=self.color, namespace="", names={})
        self.state_spec = _spec(self.facts, episode.state_names, self.facts.state_names)
        self.action_spec = _spec(self.facts, episode.action_names, self.facts.action_names)
        self.encoders = {kind: Encoder(kind) for kind in (IMAGE, COMPRESSED, INFO, TEXT, STATE, COMMAND, CHUNK)}
        self.sizes: dict[str, tuple[int, ...]] = {}  # camera -> shape of its first image

    def run(self, bag: BagWriter) -> None:
        topics = dict(self._topics())
        for topic, (kind, qos) in topics.items():
            bag.add_topic(topic, kind, [qos])
        events = list(heapq.merge(*self._events()))
        start_ns = events[0].stamp_ns
        text = self.encoders[TEXT]
        bag.write("/instruction", text(text.new(data=self.facts.instruction)), start_ns, start_ns, 1)
        for event in events:
            for topic, data in self._messages(event):
                bag.write(topic, data, event.stamp_ns, event.stamp_ns, bag.counts[topic] + 1)
        facts = bag_facts(self.episode, self.facts, bag.counts, (start_ns, events[-1].stamp_ns))
        bag.close(facts.to_custom_data())

    def _topics(self) -> Iterator[tuple[str, tuple[str, Qos]]]:
        for camera in self.episode.cameras:
            for topic in camera_topics(camera, 0.0, self.color)[:2]:
                yield f"/{topic.name}", (topic.type, Qos())
        yield "/joint_states", (STATE, Qos())
        yield "/robot/executed_command", (COMMAND, Qos(depth=100))
        yield "/instruction", (TEXT, _LATCHED)
        if self.episode.chunks:
            yield "/policy/action_chunk", (CHUNK, Qos(depth=100))

    def _events(self) -> Iterator[list[_Event]]:
        for camera, frames in self.episode.frames.items():
            yield [_Event(int(stamp), 0, "frame", index, camera) for index, stamp in enumerate(frames.stamps_ns)]
        times = [int(stamp) for stamp in self.episode.times_ns]
        yield [_Event(stamp, 1, "row", index) for index, stamp in enumerate(times)]
        chunks = [_Event(chunk.observed_ns, 2, "chunk", index) for index, chunk in enumerate(self.episode.chunks)]
        yield sorted(chunks)

    def _messages(self, event: _Event) -> Iterator[tuple[str, bytes]]:
        if event.kind == "frame":
            yield from self._frame(event)
        elif event.kind == "row":
            yield from self._row(event)
        else:
            encoder, chunk = self.encoders[CHUNK], self.episode.chunks[event.index]
            yield "/policy/action_chunk", encoder(encode_chunk(chunk, self.action_spec, encoder.new))

    def _frame(self, event: _Event) -> Iterator[tuple[str, bytes]]:
        camera, frames = event.camera, self.episode.frames[event.camera]
        image = frames[event.index]  # decoded in any case: a broken file must not get into a bag
        if self.sizes.setdefault(camera, image.shape) != image.shape:
            cause = f"Image {event.index} of '{camera}' is {image.shape}, the ones before are {self.sizes[camera]}."
            raise ContractError(cause, "Leave this episode out.")
        frame_id = _frame_id(self.facts.robot, camera)
        if self.color == "compressed":
            assert isinstance(frames, EncodedFrames)  # or color would be raw
            encoder = self.encoders[COMPRESSED]
            codec, data = frames.encoded(event.index)
            message = encoder.new(format=codec, data=np.frombuffer(data, dtype=np.uint8))
            fill_stamp(message.header.stamp, event.stamp_ns)
            message.header.frame_id = frame_id
        else:
            encoder = self.encoders[IMAGE]
            message = encoder.new()
            fill_image(message, image, event.stamp_ns, frame_id)
        yield f"/{image_topics(camera, self.color)[0]}", encoder(message)
        info = self.encoders[INFO]
        frame = Frame(event.stamp_ns, image, event.index)
        yield f"/{camera}/color/frame_info", info(encode_frame_info(frame, frame_id, info.new))

    def _row(self, event: _Event) -> Iterator[tuple[str, bytes]]:
        row, encoder = event.index, self.encoders[STATE]
        state = encoder.new(name=list(self.state_spec.names), position=np.ascontiguousarray(self.episode.state[row]))
        fill_stamp(state.header.stamp, event.stamp_ns)
        yield "/joint_states", encoder(state)
        command = Command(event.stamp_ns, self.episode.source[row], self.episode.action[row])
        encoder = self.encoders[COMMAND]
        yield "/robot/executed_command", encoder(encode_command(command, self.action_spec, encoder.new))


def _spec(facts: EpisodeFacts, names: tuple[str, ...], own: list[str]) -> RobotSpec:
    """The columns as a robot: the described one, or one that has these names and no limits."""
    if not own and facts.robot in robot_names():
        robot = get_robot(facts.robot)
        if names != robot.names:
            raise ContractError(f"The columns of an episode of {robot.name} are {', '.join(names)}.", "Order them.")
        return replace(robot, robot_id=facts.robot_id)
    if tuple(own) != names:
        raise BagError("The facts of an episode name other columns than it has.", "Report it.")
    joints = tuple(Joint(name, -math.inf, math.inf, math.inf) for name in names)
    return RobotSpec(facts.robot, facts.robot, joints, (), 0.0, facts.robot_id)


def _frame_id(robot: str, camera: str) -> str:
    if robot in robot_names():
        return next((item.frame_id for item in get_robot(robot).cameras if item.name == camera), camera)
    return f"{camera}_color_optical_frame"
