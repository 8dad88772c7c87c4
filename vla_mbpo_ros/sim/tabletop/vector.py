"""Many episodes at once, on all cores: for demonstrations, rollouts, evaluation, and branches from kept states.

    with Pool(workers=2) as pool:
        seen, slots = pool.reset("press_red", seeds=range(64)), pool.running    # images (64, 2, 64, 64, 3)
        while slots.size:
            result = pool.step_chunk(act(seen), slots)          # what goes on in the episodes that are not over
            seen, slots = result.observations.take(~result.done), slots[~result.done]
        pool.success_step                                       # (64,) -1 where it failed

Pictures are made at the end of a chunk only. Episodes live here, as snapshots; workers know nothing of each other
or of the past. So results are the same to the last bit for any number of workers and in any company.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop.crew import Crew, Job
from vla_mbpo_ros.sim.tabletop.layout import DEFAULT_SLIP
from vla_mbpo_ros.sim.tabletop.tasks import get_table_task
from vla_mbpo_ros.sim.tabletop.teacher import Demonstration, Lesson
from vla_mbpo_ros.sim.tabletop.worker import Rows
from vla_mbpo_ros.sim.tabletop.world import Snapshot

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
_JOBS_PER_WORKER = 4  # small enough that no worker waits long for another


@dataclass(frozen=True)
class Observations:
    """What a policy may see of B episodes. `images` has no views (V = 0) where none were asked for."""

    images: ImageArray  # (B, V, H, W, 3), the views in the robot's order: head, wrist
    state: FloatArray  # (B, 7) tool position [m], orientation [rad], gripper opening [m]
    tick: IntArray  # (B,) control steps since the reset
    instructions: tuple[str, ...]  # (B)
    tasks: tuple[str, ...]  # (B)

    def take(self, rows: BoolArray | IntArray) -> Observations:
        """Only these rows: a mask (B,), or indices."""
        kept = np.arange(len(self.tasks))[rows]
        return Observations(
            images=self.images[kept],
            state=self.state[kept],
            tick=self.tick[kept],
            instructions=tuple(self.instructions[row] for row in kept),
            tasks=tuple(self.tasks[row] for row in kept),
        )


@dataclass(frozen=True)
class ChunkResult:
    """What came of one chunk."""

    observations: Observations
    success_step: IntArray  # (B,) control steps from the reset to success; -1: not done, or done too late
    done: BoolArray  # (B,) done, spoiled, or out of time

    @property
    def success(self) -> BoolArray:
        return self.success_step >= 0


@dataclass
class Ledger:
    """Every control step that this pool has simulated."""

    steps: int = 0  # of rollouts and demonstrations
    looked_ahead: int = 0  # on copies of the world, for the labels of demonstrations
    episodes: int = 0  # begun by reset or by a demonstration, not by restore
    by_task: Counter[str] = field(default_factory=Counter)  # task -> steps

    def book(self, task: str, steps: int) -> None:
        self.steps += steps
        self.by_task[task] += steps


class Pool:
    """B episodes in slots 0 … B - 1. Close it, or use it as a context manager."""

    def __init__(self, workers: int = 2, width: int = 64, height: int = 64, slip: float = DEFAULT_SLIP) -> None:
        self._crew = Crew(workers, width, height)
        self._size, self._slip = (width, height), slip
        self._slots: list[Snapshot] = []
        self.ledger = Ledger()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        self._crew.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the worker processes."""
        return self._crew.pids

    # -- episodes ------------------------------------------------------------------------------------------------

    def reset(
        self, task: str | Sequence[str], seeds: Sequence[int] | IntArray, slip: float | None = None
    ) -> Observations:
        """Begin an episode a seed; `task` is one for all, or one each. `slip` is the pool's unless it is given."""
        tasks = [task] * len(seeds) if isinstance(task, str) else list(task)
        if len(tasks) != len(seeds):
            raise ContractError(f"{len(tasks)} tasks for {len(seeds)} seeds.", "Give one task, or one a seed.")
        if not tasks:
            raise ContractError("A reset without seeds.", "Give at least one.")
        much = self._slip if slip is None else slip
        starts = [(get_table_task(name).name, int(seed), much) for name, seed in zip(tasks, seeds, strict=True)]
        rows = self._share("begin", [(starts[part],) for part in self._parts(len(starts))])
        self._slots = rows.snapshots
        self.ledger.episodes += len(starts)
        return _observations(rows)

    def step_chunk(
        self, actions: FloatArray, slots: Sequence[int] | IntArray | None = None, render_last: bool = True
    ) -> ChunkResult:
        """Execute a chunk (B, K, 7) in [-1, 1] in every slot, or row b of it in `slots[b]`; one picture at its end.

        An episode that is over is stepped on if it is asked for: leave its slot out if that is not wanted.
        """
        chosen = self._chosen(slots)
        wanted = _checked(actions, len(chosen))
        held = [self._slots[slot] for slot in chosen]
        rows = self._share("advance", [(held[part], wanted[part], render_last) for part in self._parts(len(held))])
        for slot, before, after in zip(chosen, held, rows.snapshots, strict=True):
            self.ledger.book(after.task, after.ticks - before.ticks)
            self._slots[slot] = after
        return ChunkResult(_observations(rows), _success_steps(rows.snapshots), _over(rows.snapshots))

    def observe(self, slots: Sequence[int] | IntArray | None = None) -> Observations:
        """What is seen now; costs no control step."""
        held = [self._slots[slot] for slot in self._chosen(slots)]
        return _observations(self._share("look", [(held[part],) for part in self._parts(len(held))]))

    def save(self) -> tuple[Snapshot, ...]:
        """All slots, to be restored here, in another pool or another process. A snapshot is one or two kilobytes."""
        return tuple(self._slots)

    def restore(self, snapshots: Sequence[Snapshot], observe: bool = True) -> Observations | None:
        """Let the slots be these; the same snapshot may fill many. None without `observe`."""
        self._slots = list(snapshots)
        return self.observe() if observe else None

    @property
    def success_step(self) -> IntArray:
        """(B,) control steps from the reset to success; -1: not done, or done too late."""
        return _success_steps(self._slots)

    @property
    def spoiled(self) -> BoolArray:
        """(B,) the other task of the scene was done instead."""
        return np.array([snapshot.spoiled_tick >= 0 for snapshot in self._slots])

    @property
    def done(self) -> BoolArray:
        """(B,) done, spoiled, or out of time."""
        return _over(self._slots)

    @property
    def running(self) -> IntArray:
        """(R,) slots of episodes that are not over."""
        return np.flatnonzero(~self.done).astype(np.int64)

    # -- demonstrations ------------------------------------------------------------------------------------------

    def demonstrate(self, lessons: Sequence[Lesson]) -> list[Demonstration]:
        """Demonstrations by the experts; see `demos.collect` for arrays. The slots stay as they are."""
        jobs: list[Job] = [("demonstrate", (lessons[part],)) for part in self._parts(len(lessons))]
        shown = [demonstration for answer in self._crew.do(jobs) for demonstration in answer]
        for lesson, demonstration in zip(lessons, shown, strict=True):
            self.ledger.book(lesson.task, demonstration.steps)
            self.ledger.looked_ahead += demonstration.looked_ahead
            self.ledger.episodes += 1
        return shown

    def plan(self, snapshots: Sequence[Snapshot], horizon: int) -> FloatArray:
        """(B, K, 7) in [-1, 1]: what the experts would do from there. The slots stay as they are."""
        plans = self._crew.do([("plan", (snapshots[part], horizon)) for part in self._parts(len(snapshots))])
        self.ledger.looked_ahead += horizon * len(snapshots)
        return np.concatenate(plans)

    # -- inside --------------------------------------------------------------------------------------------------

    def _chosen(self, slots: Sequence[int] | IntArray | None) -> list[int]:
        chosen = list(range(len(self._slots))) if slots is None else [int(slot) for slot in slots]
        if not chosen:
            raise ContractError("No slot to work on.", "Call reset or restore first, and give at least one slot.")
        wrong = [slot for slot in chosen if not 0 <= slot < len(self._slots)]
        if wrong or len(set(chosen)) != len(chosen):
            raise ContractError(
                f"The slots {wrong or chosen} are not each one of 0 to {len(self._slots) - 1}.", "Give each once."
            )
        return chosen

    def _parts(self, rows: int) -> list[slice]:
        """Rows by the job."""
        length = -(-rows // (self._crew.size * _JOBS_PER_WORKER))
        return [slice(begin, begin + length) for begin in range(0, rows, max(length, 1))]

    def _share(self, operation: str, arguments: Sequence[tuple[Any, ...]]) -> Rows:
        """One operation in several jobs, put together again."""
        answers: list[Rows] = self._crew.do([(operation, each) for each in arguments])
        return Rows(
            [snapshot for answer in answers for snapshot in answer.snapshots],
            np.concatenate([answer.images for answer in answers]),
            np.concatenate([answer.state for answer in answers]),
        )


def _checked(actions: FloatArray, rows: int) -> FloatArray:
    values = np.asarray(actions, dtype=np.float64)
    if values.ndim != 3 or values.shape[0] != rows or values.shape[2] != TABLETOP.dof:
        raise ContractError(f"Actions of shape {values.shape}.", f"Give ({rows}, K, {TABLETOP.dof}).")
    if not np.isfinite(values).all():
        raise NotFinite("Actions with a NaN or an infinity.", "Mend their source; nothing was stepped.")
    return values


def _observations(rows: Rows) -> Observations:
    tasks = tuple(snapshot.task for snapshot in rows.snapshots)
    return Observations(
        images=rows.images,
        state=rows.state,
        tick=np.array([snapshot.ticks for snapshot in rows.snapshots], dtype=np.int64),
        instructions=tuple(get_table_task(task).instruction for task in tasks),
        tasks=tasks,
    )


def _success_steps(snapshots: Sequence[Snapshot]) -> IntArray:
    def step(snapshot: Snapshot) -> int:
        return snapshot.success_tick if snapshot.success_tick <= get_table_task(snapshot.task).max_steps else -1

    return np.array([step(snapshot) for snapshot in snapshots], dtype=np.int64)


def _over(snapshots: Sequence[Snapshot]) -> BoolArray:
    return np.array([snapshot.over for snapshot in snapshots], dtype=np.bool_)
