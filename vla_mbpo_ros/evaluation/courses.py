"""What was really done after an observation, and what the cameras saw then: the truth beside a dream.

    observation t0 ──┬── commands that the arm was told at t0, t0 + dt, … t0 + (K-1) dt ──┬── observation t0 + K dt
      Course.before  │                        Course.executed                             │     Course.truth

Proposed is not executed: a chunk is entered late by its latency, fades in, and is laid over by the next one after
`policy.replan_steps`; a person or the gate may take over. So a dream of a chunk is held against reality only where
the arm went the dreamed way to the chunk's end, whoever's commands they were (`strayed`). A dream of what was
executed (`Course.as_executed`) can always be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vla_mbpo_ros.data.episodes.alignment import Aligner
from vla_mbpo_ros.data.episodes.observations import JOINTS
from vla_mbpo_ros.errors import ContractError, StaleError
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import ActionChunk, Command, FloatArray

COMMANDS = "robot/executed_command"
LATE_NS = 1_000_000_000  # after that nothing of a chunk's end is waited for any more
OPEN = 8  # courses that may be under way; more than chunks can overlap
SMALL_KEPT = 2048  # joint states and commands: more than the longest chunk has, and joints may come at 500 Hz
_NS = 1e9


@dataclass(eq=False)
class Course:
    """From one observation on, for as long as a chunk takes."""

    chunk: ActionChunk
    before: Mapping[str, Any]  # camera name or "joint_states" -> message, as it came
    truth: Mapping[str, Any] = field(default_factory=dict)  # camera name -> message
    executed: tuple[Command, ...] = ()  # (K)
    over: bool = False
    why_not: str = ""  # why it is not known what happened

    @property
    def as_executed(self) -> ActionChunk:
        """The chunk that was executed; it begins at the same observation."""
        return replace(self.chunk, chunk_id=0, values=np.stack([command.values for command in self.executed]))


class Courses:
    """Of one robot. Messages go in as they came; `decode` makes a Command of one, when somebody needs it."""

    def __init__(
        self,
        robot: RobotSpec,
        max_age_s: Mapping[str, float],
        joints_max_age_s: float,
        control_dt_ns: int,
        decode: Callable[[Any], Command],
    ) -> None:
        self._robot, self._dt_ns, self._decode = robot, control_dt_ns, decode
        self._cameras, dt_s = tuple(max_age_s), control_dt_ns / _NS
        self._seen = Aligner(max_age_s)
        # A command stands for the tick that it is nearest to: stamps of a real clock jitter around the grid.
        ages, nearest = {JOINTS: joints_max_age_s, COMMANDS: dt_s}, {COMMANDS: dt_s / 2}
        self._small = Aligner(ages, nearest, keep=SMALL_KEPT)
        self._open: list[Course] = []
        self._tick_ns: int | None = None  # None: no simulator, whose resets would have to be waited for
        self._episode: int | None = None
        self.newest: Course | None = None  # of a chunk that was proposed

    def add(self, source: str, stamp_ns: int, message: Any) -> list[Course]:
        """A message of a camera, of the joints or of the commands; the courses that are over by it."""
        (self._seen if source in self._cameras else self._small).add(source, stamp_ns, message)
        return self._close(stamp_ns) if self._open else []

    def follow(self, chunk: ActionChunk) -> Course:
        """The course of a chunk that was proposed. StaleError if what it was made of is not here (any more)."""
        if chunk.horizon < 1 or chunk.dt_ns < 1:
            cause = f"Chunk {chunk.chunk_id} has {chunk.horizon} steps of {chunk.dt_ns} ns."
            raise ContractError(cause, "Let the policy propose one step or more, each of some time.")
        found = {name: self._source(name, chunk) for name in (*self._cameras, JOINTS)}
        self.newest = self._begin(chunk, found)
        return self.newest

    def stand_still(self, horizon: int, position: Callable[[Any], FloatArray]) -> Course:
        """The course of a chunk that commands nothing, from the newest observation on."""
        now_ns = max(self._small.newest_ns(JOINTS), *(self._seen.newest_ns(name) for name in self._cameras))
        found = {**self._seen.at(now_ns), JOINTS: self._small.pick(JOINTS, now_ns)}
        still = np.where(self._robot.is_velocity, 0.0, self._held(now_ns, position(found[JOINTS][1])))
        chunk = ActionChunk(now_ns, 0, self._dt_ns, np.tile(still, (horizon, 1)))
        return self._begin(chunk, {name: message for name, (_, message) in found.items()})

    def tick(self, stamp_ns: int, episode: int) -> list[Course]:
        """A simulator's tick; the courses that are over by it. Another episode is another scene."""
        self._tick_ns = stamp_ns
        ended: list[Course] = []
        if episode != self._episode:
            self._episode = episode
            if self.newest and self.newest.chunk.observed_ns < stamp_ns:
                self.newest = None
            ended = [course for course in self._open if course.chunk.observed_ns < stamp_ns]
            self._open = [course for course in self._open if course not in ended]
        for course in ended:
            course.over, course.why_not = True, "Another episode began."
        return ended + self._close(stamp_ns)

    def is_ahead(self, chunk: ActionChunk) -> bool:
        """Whether a chunk came before what it was made of."""
        stamps = chunk.source_stamps_ns
        late = [name for name in self._cameras if self._seen.newest_ns(name) < stamps.get(name, 0)]
        return bool(late) or self._small.newest_ns(JOINTS) < stamps.get(JOINTS, 0)

    def _held(self, now_ns: int, position: FloatArray) -> FloatArray:
        """What the arm was told last, as the gate would hold it: a hand around a thing is told to close further than
        it can. Where it is, if nobody told it anything."""
        try:
            return self._decode(self._small.pick(COMMANDS, now_ns)[1]).values
        except StaleError:
            return position

    def _source(self, name: str, chunk: ActionChunk) -> Any:
        """The very message that the chunk was made of; of a camera that its policy does not look at, the latest."""
        aligner, stamps = self._seen if name in self._cameras else self._small, chunk.source_stamps_ns
        if name not in stamps:
            return aligner.pick(name, chunk.observed_ns)[1]
        return aligner.exactly({name: stamps[name]})[name][1]

    def _begin(self, chunk: ActionChunk, before: Mapping[str, Any]) -> Course:
        course = Course(chunk, before)
        for given_up in self._open[: -OPEN + 1]:
            given_up.over, given_up.why_not = True, f"More than {OPEN} chunks were under way at once."
        self._open = [*self._open[-OPEN + 1 :], course]
        return course

    def _close(self, now_ns: int) -> list[Course]:
        ended = [course for course in self._open if self._is_over(course, now_ns)]
        self._open = [course for course in self._open if course not in ended]
        for course in ended:
            course.over = True
            try:
                course.truth, course.executed = self._truth(course.chunk), self._executed(course.chunk)
            except (StaleError, ContractError) as error:
                course.why_not = f"It is not known what happened. {error.cause}"
        return ended

    def _is_over(self, course: Course, now_ns: int) -> bool:
        end_ns, half_ns = course.chunk.end_ns, course.chunk.dt_ns // 2
        seen = all(self._seen.newest_ns(camera) >= end_ns - half_ns for camera in self._cameras)
        told = self._small.newest_ns(COMMANDS) >= end_ns - course.chunk.dt_ns - half_ns
        ticked = self._tick_ns is None or self._tick_ns >= end_ns - half_ns
        return (seen and told and ticked) or now_ns > end_ns + LATE_NS

    def _truth(self, chunk: ActionChunk) -> dict[str, Any]:
        """The latest image of each camera at the chunk's end, as a data set would take it."""
        end_ns = chunk.end_ns + chunk.dt_ns // 2
        return {camera: self._seen.pick(camera, end_ns)[1] for camera in self._cameras}

    def _executed(self, chunk: ActionChunk) -> tuple[Command, ...]:
        ticks = (chunk.observed_ns + step * chunk.dt_ns for step in range(chunk.horizon))
        return tuple(self._decode(self._small.pick(COMMANDS, tick)[1]) for tick in ticks)


def strayed(course: Course, chunk: ActionChunk, robot: RobotSpec, tolerance: float) -> str:
    """Why a dream of this chunk cannot be held against the course; empty if the arm went the dreamed way."""
    if course.why_not:
        return course.why_not
    far = _apart(course.as_executed.values, chunk.values, robot, chunk.dt_ns / _NS)
    if not (far > tolerance).any():
        return ""
    step = int(np.argmax(far > tolerance))
    command = course.executed[step]
    number = command.chunk_id % 2**32  # above: the policy's session
    told = f"chunk {number}" if command.chunk_id not in (0, chunk.chunk_id) else command.source
    return (
        f"The arm left the dreamed way at step {step + 1} of {chunk.horizon}, told by {told}; "
        f"it came {far.max():.0%} of its reach apart, {tolerance:.0%} is allowed."
    )


def _apart(executed: FloatArray, asked: FloatArray, robot: RobotSpec, dt_s: float) -> FloatArray:
    """(K,) how far two ways are apart after each step, of the joint that is farthest; 1 is how far it could have gone
    in the whole chunk at full speed. The way of a joint commanded by velocity is the sum of its commands."""
    steps = len(asked)
    ways = [np.where(robot.is_velocity, np.cumsum(way, axis=0) * dt_s, way) for way in (executed, asked)]
    far: FloatArray = (np.abs(ways[0] - ways[1]) / (robot.max_velocity * steps * dt_s)).max(axis=1)
    return far
