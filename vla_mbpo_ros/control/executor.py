"""The chunk executor: which command belongs to this tick.

    state      command(now) gives   entered when
    IDLE       None                 not enabled
    WAITING    None (arm holds)     enabled, but no chunk is usable: none came, the last is used up, or it is
                                    not known where the arm is
    BLENDING   crossfade            from the first tick of a chunk until blend_s later
    RUNNING    the chunk            after that, until the chunk is used up

A chunk observed at t0 is usable from t0 + latency on and is entered at index (now - t0) / dt: what the arm
should have done meanwhile is skipped, not replayed. See `trajectory` for the equation of the crossfade.
"""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.config import ExecutorConfig
from vla_mbpo_ros.control import chunk_checks
from vla_mbpo_ros.control.seams import SeamMeter
from vla_mbpo_ros.control.status import ExecutorState, ExecutorStatus
from vla_mbpo_ros.control.trajectory import Crossfade, step_at
from vla_mbpo_ros.errors import ContractError, NotFinite, VlaMbpoError
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import ActionChunk, Command, FloatArray

SOURCE = "policy"
_NS = 1e9


class ChunkExecutor:
    def __init__(
        self, robot: RobotSpec, cfg: ExecutorConfig, control_dt_ns: int, latency_ns: int = 0, source: str = SOURCE
    ) -> None:
        self._robot, self._cfg, self._source = robot, cfg, source
        self._dt_ns, self._latency_ns = control_dt_ns, latency_ns
        self._enabled = cfg.enabled
        self._meter = SeamMeter(robot, control_dt_ns)
        self._received = self._refused = 0
        self._refusal = ""  # why the last chunk was not taken
        self._waiting = ""  # why nothing is commanded
        self._now_ns: int | None = None  # the last tick
        self._since_ns: int | None = None  # no chunk was observed before this
        self._pending: list[ActionChunk] = []  # in the order of their observations
        self._rest: FloatArray | None = None  # (N,) where the arm is, or the last command
        self._chunk: ActionChunk | None = None  # in use
        self._first_use_ns = 0
        self._fade: Crossfade | None = None
        self._last: Command | None = None  # of this or the last tick; None if nothing was commanded

    @property
    def enabled(self) -> bool:
        return self._enabled

    def configure(self, cfg: ExecutorConfig) -> None:
        """New settings; a fade that has begun keeps its length."""
        self._cfg = cfg

    def enable(self) -> None:
        """Command from the next tick on, once a chunk is usable and it is known where the arm is."""
        self._enabled = True

    def disable(self) -> None:
        """Command nothing; where the arm is must be told anew."""
        self._enabled = False
        self._stop("")
        self._rest = None

    def reset(self, since_ns: int | None = None) -> None:
        """A new episode: forget every chunk and where the arm was. Counts and `enabled` stay.

        With `since_ns`, the first moment of the episode, chunks observed from then on are kept, should they have
        come before this call, and older ones are refused, should they come after it.
        """
        fresh = [] if since_ns is None else [chunk for chunk in self._pending if chunk.observed_ns >= since_ns]
        self._forget("")
        self._pending, self._since_ns = fresh, since_ns

    def start_from(self, position: FloatArray) -> None:
        """Where the arm is, (N,): measured, or what somebody else told it last.

        The next chunk fades in from here. Ignored while a chunk is in use: call it with every joint state
        if you like.
        """
        if self._fade is not None:
            return
        values = np.array(position, dtype=np.float64)
        if values.shape != (self._robot.dof,):
            raise ContractError(
                f"The start has the shape {values.shape}, {self._robot.name} has {self._robot.dof} joints.",
                "Give one position for each joint.",
            )
        if not np.isfinite(values).all():
            raise NotFinite("The start holds a value that is not finite.", "Check the driver's joint states.")
        self._rest = np.where(self._robot.is_velocity, 0.0, values)

    def add(self, chunk: ActionChunk, now_ns: int) -> None:
        """Take a chunk, or refuse it with ContractError, NotFinite or StaleError."""
        try:
            chunk = self._accept(chunk, now_ns)
        except VlaMbpoError as error:
            self.refuse(error)
            raise
        self._received += 1
        self._refusal = ""
        self._pending = [*self._unusable_and_newest(now_ns), chunk]

    def refuse(self, error: VlaMbpoError) -> None:
        """Count a chunk that is not taken; also for one that could not even be decoded."""
        self._received += 1
        self._refused += 1
        self._refusal = str(error)

    def command(self, now_ns: int) -> Command | None:
        """What this tick asks for; None: nothing, the arm holds. A tick has one answer only."""
        if self._now_ns is not None and now_ns < self._now_ns:
            self._forget("Time went back: waiting for a new chunk.")
        if not self._enabled:
            self._now_ns = now_ns
            return None
        if self._last is not None and self._last.stamp_ns == now_ns:
            return self._last
        self._now_ns = now_ns
        self._switch(now_ns)
        self._last = self._sample(now_ns)
        return self._last

    def status(self, now_ns: int) -> ExecutorStatus:
        chunk, seam, last = self._chunk, self._meter.seam, self._last
        return ExecutorStatus(
            stamp_ns=now_ns,
            state=self._state(),
            chunk_id=chunk.chunk_id if chunk else 0,
            step=last.step if last else -1,
            steps_left=chunk.horizon - last.step if chunk and last else 0,
            chunks_received=self._received,
            chunks_refused=self._refused,
            reason=self._refusal or self._why_waiting(),
            latency_s=(self._first_use_ns - chunk.observed_ns) / _NS if chunk else 0.0,
            largest_step=self._meter.largest_step,
            seam_step=seam.step,
            seam_acceleration=seam.acceleration,
            seam_joint=seam.joint,
        )

    def _accept(self, chunk: ActionChunk, now_ns: int) -> ActionChunk:
        chunk = chunk_checks.checked(chunk, self._robot)
        chunk_checks.check_age(chunk, now_ns, self._max_age_s())
        chunk_checks.check_reach(chunk, now_ns, self._latency_ns)
        chunk_checks.check_episode(chunk, self._since_ns)
        chunk_checks.check_newer(chunk, self._pending[-1] if self._pending else self._chunk)
        return chunk

    def _max_age_s(self) -> float:
        """A chunk is used at the first tick after its latency; until then it cannot be too old."""
        return max(self._cfg.max_chunk_age_s, (self._latency_ns + self._dt_ns) / _NS)

    def _unusable_and_newest(self, now_ns: int) -> list[ActionChunk]:
        """Chunks still worth keeping: those to come, and the newest of those that could be used already."""
        usable = sum(self._usable(chunk, now_ns) for chunk in self._pending)
        return self._pending[max(usable - 1, 0) :]

    def _usable(self, chunk: ActionChunk, now_ns: int) -> bool:
        return now_ns >= chunk.observed_ns + self._latency_ns

    def _switch(self, now_ns: int) -> None:
        """Lay the newest usable chunk over what is commanded now."""
        kept = self._unusable_and_newest(now_ns)
        if not kept or not self._usable(kept[0], now_ns):
            return
        chunk, self._pending = kept[0], kept[1:]
        if chunk.end_ns <= now_ns or now_ns - chunk.observed_ns > self._max_age_s() * _NS:
            self._waiting = f"Chunk {chunk.chunk_id} was too old once it was usable: waiting for a new one."
            return
        if self._chunk is not None and self._chunk.end_ns + self._dt_ns <= now_ns:
            self._stop("")  # a tick was left out after its end: the arm held meanwhile
        if self._fade is None and not self._begin(now_ns):
            self._pending.insert(0, chunk)
            return
        self._use(chunk, now_ns)

    def _begin(self, now_ns: int) -> bool:
        if self._rest is None:
            self._waiting = "It is not known where the arm is: is robot_node publishing joint_states?"
            return False
        self._fade = Crossfade(self._rest, self._robot.is_velocity)
        self._meter.restart(self._rest, now_ns)
        return True

    def _use(self, chunk: ActionChunk, now_ns: int) -> None:
        assert self._fade is not None
        self._fade.push(chunk, now_ns, round(self._cfg.blend_s * _NS))
        self._chunk, self._first_use_ns = chunk, now_ns
        self._waiting = ""
        self._meter.begin()

    def _sample(self, now_ns: int) -> Command | None:
        chunk = self._chunk
        if chunk is None or self._fade is None:
            return None
        if now_ns >= chunk.end_ns:
            self._stop(f"Chunk {chunk.chunk_id} is used up: the arm holds. Is policy_node alive and fast enough?")
            return None
        values = self._fade.at(now_ns)
        self._meter.sample(now_ns, values, self._fade.blending(now_ns))
        self._rest = np.where(self._robot.is_velocity, 0.0, values)
        return Command(now_ns, self._source, values, chunk.chunk_id, step_at(chunk, now_ns))

    def _state(self) -> ExecutorState:
        if not self._enabled:
            return ExecutorState.IDLE
        if self._fade is None or self._last is None:
            return ExecutorState.WAITING
        return ExecutorState.BLENDING if self._fade.blending(self._last.stamp_ns) else ExecutorState.RUNNING

    def _why_waiting(self) -> str:
        if not self._enabled:
            return "Not enabled. Call the service executor/enable."
        if self._last is not None:
            return ""
        return self._waiting or "No chunk is usable yet: waiting for policy_node."

    def _stop(self, why: str) -> None:
        """Nothing is commanded any more; `_rest` stays where the last command was."""
        self._chunk = None
        self._fade = None
        self._last = None
        self._waiting = why

    def _forget(self, why: str) -> None:
        self._stop(why)
        self._pending = []
        self._rest = None
        self._refusal = ""
        self._now_ns = self._since_ns = None
