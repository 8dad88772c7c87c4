"""A bag -> an `Episode`: one row for each executed command, what was seen at it by the live nodes' own resampler.

How old a reading may be at a row: three periods, its own or those of the control loop, whichever are longer.
(Live, ages are settings; three periods at 15 Hz are their default of 0.2 s.)

    robot/executed_command   the rows; one that is not newer than the one before is left out
    joint_states             the state of a row; a row without a fresh one is left out, and shows as a gap
    images                   NO_FRAME where none is fresh, and where the one that counts cannot be decoded
    policy/action_chunk      as proposed, with the very readings that its policy saw

What is left out is counted in `Episode.skipped`. What makes the whole bag useless is a BagError.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.data.bags import BagMessage
from vla_mbpo_ros.data.episodes.alignment import Aligner
from vla_mbpo_ros.data.episodes.contract_bag import ContractBag
from vla_mbpo_ros.data.episodes.episode import NO_FRAME, Episode, IndexArray, Seen
from vla_mbpo_ros.data.episodes.frames import BagFrames
from vla_mbpo_ros.data.episodes.observations import COMPRESSED_IMAGE, IMAGE, JOINTS
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError, ContractError, StaleError
from vla_mbpo_ros.messages.chunks import decode_chunk
from vla_mbpo_ros.messages.joints import decode_command, decode_joint_state
from vla_mbpo_ros.schema import ActionChunk, Command, FloatArray

AGE_PERIODS = 3.0
COMMANDS, CHUNKS = "robot/executed_command", "policy/action_chunk"
TYPES = {
    JOINTS: "sensor_msgs/msg/JointState",
    COMMANDS: "vla_mbpo_ros/msg/JointCommand",
    CHUNKS: "vla_mbpo_ros/msg/ActionChunk",
}
_S = 1e9


def read_episode(path: Path, check_images: bool = True) -> Episode:
    """The episode in the bag at `path`.

    `check_images` decodes every image once, so that no row refers to a broken one; without it, reading a frame
    of the episode may raise a BagError.
    """
    return _Reading(ContractBag(path), check_images).episode()


def success_time_ns(facts: EpisodeFacts, start_ns: int, times_ns: IndexArray) -> int | None:
    """When the success was, `start_ns` being the start of the bag. Without a noted moment it counts at the last row."""
    if facts.outcome != "success" or not len(times_ns):
        return None
    return int(times_ns[-1]) if facts.success_time_s is None else start_ns + round(facts.success_time_s * _S)


class _Reading:
    """One pass over a bag."""

    def __init__(self, bag: ContractBag, check_images: bool) -> None:
        self.bag, self.facts = bag, bag.facts
        self.skipped: Counter[str] = Counter()
        self._first_cause: dict[str, str] = {}  # topic -> why its first bad message was refused
        self._topics = {bag.color_topic(camera): camera for camera in bag.cameras}
        self._require()
        self._aligner = Aligner(dict.fromkeys((*bag.cameras, JOINTS), 0.0), keep=None)
        self._commands: list[Command] = []
        self._chunks: list[ActionChunk] = []
        self.frames = {camera: BagFrames(bag, topic) for topic, camera in self._topics.items()}
        self._met: Counter[str] = Counter()  # topic -> images that have gone by
        self._check_images = check_images
        self._read()

    def episode(self) -> Episode:
        bag, period_ns = self.bag, self._period_ns()
        self._aligner.set_max_age(self._max_ages(period_ns))
        commands, states = self._rows()
        times_ns = np.array([command.stamp_ns for command in commands], dtype=np.int64)
        image_row = {camera: self._image_row(camera, times_ns) for camera in bag.cameras}
        seen = tuple(self._seen(chunk) for chunk in self._chunks)
        return Episode(
            path=bag.path,
            facts=bag.facts,
            state_names=bag.state_spec.names,
            action_names=bag.action_spec.names,
            dt_ns=period_ns,
            times_ns=times_ns,
            state=np.array(states).reshape(len(states), bag.state_spec.dof),
            action=np.array([command.values for command in commands]).reshape(len(commands), bag.action_spec.dof),
            source=tuple(command.source for command in commands),
            frames={camera: self.frames[camera] for camera in bag.cameras},
            image_row=image_row,
            chunks=tuple(self._chunks),
            seen=seen,
            success_ns=success_time_ns(bag.facts, bag.bag.start_ns, times_ns),
            skipped=dict(self.skipped),
        )

    # -- the pass ------------------------------------------------------------------------------------------------

    def _require(self) -> None:
        for topic in (JOINTS, COMMANDS):
            self.bag.require(topic, TYPES[topic])
        if self.bag.type_of(CHUNKS):
            self.bag.require(CHUNKS, TYPES[CHUNKS])
        for topic in self._topics:
            self.bag.require(topic, COMPRESSED_IMAGE if topic.endswith("/compressed") else IMAGE)

    def _read(self) -> None:
        take: dict[str, Callable[[BagMessage], None]] = {
            self.bag.name(JOINTS): self._take_joints,
            self.bag.name(COMMANDS): self._take_command,
            self.bag.name(CHUNKS): self._take_chunk,
        }
        take.update(dict.fromkeys((self.bag.name(topic) for topic in self._topics), self._take_image))
        self._cameras = {self.bag.name(topic): camera for topic, camera in self._topics.items()}
        for message in self.bag.messages(JOINTS, COMMANDS, CHUNKS, *self._topics):
            try:
                take[message.topic](message)
            except (ContractError, BagError) as error:
                self.skipped[f"messages of {message.topic} that cannot be used"] += 1
                self._first_cause.setdefault(message.topic, error.cause)
        self._refuse_if_useless()

    def _take_joints(self, message: BagMessage) -> None:
        state = decode_joint_state(self.bag.decode(message), self.bag.state_spec)
        self._add(JOINTS, message, state.stamp_ns, state.position)

    def _take_command(self, message: BagMessage) -> None:
        command = decode_command(self.bag.decode(message), self.bag.action_spec)
        if self._commands and command.stamp_ns <= self._commands[-1].stamp_ns:
            self._count_backwards(message)
        else:
            self._commands.append(command)

    def _take_chunk(self, message: BagMessage) -> None:
        chunk = decode_chunk(self.bag.decode(message), self.bag.action_spec)
        if not np.isfinite(chunk.values).all():
            raise ContractError(f"Chunk {chunk.chunk_id} has a number that is not finite.")
        self._chunks.append(chunk)

    def _take_image(self, message: BagMessage) -> None:
        camera, place = self._cameras[message.topic], self._met[message.topic]
        self._met[message.topic] += 1
        stamp_ns = self.bag.bag.decoder(message.topic).time_ns(message.data, message.log_ns)
        frames = self.frames[camera]
        if self._add(camera, message, stamp_ns, len(frames)):
            frames.add(place, stamp_ns)
            if self._check_images:
                frames.check(message)

    def _add(self, source: str, message: BagMessage, stamp_ns: int, item: Any) -> bool:
        newer = self._aligner.add(source, stamp_ns, item)
        if not newer:
            self._count_backwards(message)
        return newer

    def _count_backwards(self, message: BagMessage) -> None:
        self.skipped[f"messages of {message.topic} that are not newer than the one before"] += 1

    def _refuse_if_useless(self) -> None:
        for topic, good in ((COMMANDS, bool(self._commands)), (JOINTS, self._aligner.newest_ns(JOINTS) >= 0)):
            if not good:
                self._refuse(topic)
        for topic, camera in self._topics.items():
            if len(self.frames[camera]) and len(self.frames[camera].bad) == len(self.frames[camera]):
                self._refuse(topic)

    def _refuse(self, topic: str) -> None:
        name = self.bag.name(topic)
        reason = self._first_cause.get(name, "there is none.")
        raise BagError(f"{self.bag.path} has no usable message on {name}: {reason}", "Leave this bag out.")

    # -- rows ----------------------------------------------------------------------------------------------------

    def _period_ns(self) -> int:
        return round(_S / self.facts.control_hz) if self.facts.control_hz > 0.0 else _median_step(self._stamps())

    def _stamps(self) -> IndexArray:
        return np.array([command.stamp_ns for command in self._commands], dtype=np.int64)

    def _max_ages(self, period_ns: int) -> Mapping[str, float]:
        """[s]"""
        own = {camera: self._camera_period_ns(camera) for camera in self.bag.cameras}
        return {name: AGE_PERIODS * max(own.get(name, 0), period_ns) / _S for name in (*own, JOINTS)}

    def _camera_period_ns(self, camera: str) -> int:
        hz = self.facts.camera_hz.get(camera, 0.0)
        return round(_S / hz) if hz > 0.0 else _median_step(self.frames[camera].stamps_ns)

    def _rows(self) -> tuple[list[Command], list[FloatArray]]:
        commands, states = [], []
        for command in self._commands:
            try:
                states.append(self._aligner.pick(JOINTS, command.stamp_ns)[1])
                commands.append(command)
            except StaleError:
                self.skipped["rows without a fresh joint state"] += 1
        return commands, states

    def _image_row(self, camera: str, times_ns: IndexArray) -> IndexArray:
        """(T,)"""
        rows = np.array([self._frame_at(camera, int(time_ns)) for time_ns in times_ns], dtype=np.int64)
        if missing := int((rows == NO_FRAME).sum()):
            self.skipped[f"rows without a fresh image of {camera}"] += missing
        bad = np.isin(rows, sorted(self.frames[camera].bad))
        if bad.any():
            self.skipped[f"rows whose image of {camera} cannot be decoded"] += int(bad.sum())
        rows[bad] = NO_FRAME
        return rows

    def _frame_at(self, camera: str, time_ns: int) -> int:
        try:
            return int(self._aligner.pick(camera, time_ns)[1])
        except StaleError:
            return NO_FRAME

    def _seen(self, chunk: ActionChunk) -> Seen | None:
        """By the stamps that the chunk lists; of a camera that it does not list, what is fresh."""
        listed = {name: at for name, at in chunk.source_stamps_ns.items() if name == JOINTS or name in self.frames}
        try:
            parts = self._aligner.exactly(listed)
            state = (parts.get(JOINTS) or self._aligner.pick(JOINTS, chunk.observed_ns))[1]
        except StaleError:
            self.skipped["chunks whose observation is not in the bag"] += 1
            return None
        frames = {
            camera: int(parts[camera][1]) if camera in parts else self._frame_at(camera, chunk.observed_ns)
            for camera in self.bag.cameras
        }
        return Seen(
            state, {camera: NO_FRAME if row in self.frames[camera].bad else row for camera, row in frames.items()}
        )


def _median_step(stamps_ns: IndexArray) -> int:
    """[ns]; 0 of fewer than two."""
    return int(np.median(np.diff(stamps_ns))) if len(stamps_ns) > 1 else 0
