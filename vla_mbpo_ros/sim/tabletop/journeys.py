"""Episodes as a world model learns from them and is judged by: every moment between two chunks, failures included.

    moment   0 ──chunk 0──> 1 ──chunk 1──> 2      3 ──chunk 2──> 4 …      E episodes, M chunks, F = M + E moments
             └────────── episode 0 ──────┘        └─ episode 1 …

    images[start], images[start + 1]                  before and after every chunk
    success[start + 1]                                 whether the task has been done by then

Who acts is a callable: an expert of ours (`hands.py`), or a policy (`algorithms/grounds/tabletop.py`).

    with Pool() as pool:
        journeys = travel(pool, tasks, seeds, ClumsyExperts(pool))
        journeys.save(path, recipe), Journeys.load(path, recipe)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop.actions import to_action, to_command
from vla_mbpo_ros.sim.tabletop.kept_arrays import read_arrays, write_arrays
from vla_mbpo_ros.sim.tabletop.tasks import get_table_task
from vla_mbpo_ros.sim.tabletop.vector import BoolArray, IntArray, Observations, Pool
from vla_mbpo_ros.sim.tabletop.world import Snapshot

LEAST = 4  # chunks of an episode, also where it is over sooner: so many are dreamt one after the other


@dataclass(frozen=True)
class Moment:
    """Where B episodes are when the next chunk is due."""

    seen: Observations
    snapshots: tuple[Snapshot, ...]  # (B) privileged
    episode: IntArray  # (B,) which they are, of all that were begun together
    turn: int  # chunks before this one


Act = Callable[[Moment], FloatArray]  # -> (B, K or more, 7) in the robot's units


@dataclass(frozen=True)
class Journeys:
    """E episodes with M chunks. Moments of one episode lie side by side, in order."""

    images: ImageArray  # (F, V, H, W, 3)
    state: FloatArray  # (F, 7) in the robot's units
    tick: IntArray  # (F,) control steps since the reset
    success_tick: IntArray  # (F,) of a success so far, -1: none
    spoiled_tick: IntArray  # (F,)
    physics: FloatArray  # (F, S) of the simulator; shorter ones are filled up with zeros
    numbers: IntArray  # (F,) how many of them count
    episode: IntArray  # (F,)
    chunks: FloatArray  # (M, K, 7) in the robot's units, as they were executed
    start: IntArray  # (M,) the moment where each begins; it ends one further
    tasks: tuple[str, ...]  # (E)
    seeds: IntArray  # (E,)
    luck: IntArray  # (E,)
    slip: FloatArray  # (E,)

    def __len__(self) -> int:
        """Chunks."""
        return len(self.start)

    @property
    def horizon(self) -> int:
        return int(self.chunks.shape[1])

    @property
    def instructions(self) -> tuple[str, ...]:
        """(F)"""
        texts = [get_table_task(task).instruction for task in self.tasks]
        return tuple(texts[index] for index in self.episode)

    @property
    def success(self) -> BoolArray:
        """(F,) done by then, and in time. Once done it stays done."""
        return (self.success_tick >= 0) & (self.success_tick <= self._limits)

    @property
    def over(self) -> BoolArray:
        """(F,) done, spoiled, or out of time."""
        return (self.success_tick >= 0) | (self.spoiled_tick >= 0) | (self.tick >= self._limits)

    @property
    def live(self) -> BoolArray:
        """(M,) chunks that began before their episode was over."""
        return ~self.over[self.start]

    @property
    def _limits(self) -> IntArray:
        return np.array([get_table_task(task).max_steps for task in self.tasks], dtype=np.int64)[self.episode]

    def snapshots(self, moments: Sequence[int] | IntArray) -> tuple[Snapshot, ...]:
        """The simulator at these moments."""
        return tuple(self._snapshot(int(moment)) for moment in moments)

    def windows(self, chunks: int) -> IntArray:
        """(W, chunks) chunks that follow each other, from the start of an episode on and without overlap."""
        found = []
        for index in range(len(self.tasks)):
            own = np.flatnonzero(self.episode[self.start] == index)
            found += [own[first : first + chunks] for first in range(0, len(own) - chunks + 1, chunks)]
        return np.array(found, dtype=np.int64).reshape(-1, chunks)

    def take(self, which: Sequence[int] | IntArray) -> Journeys:
        """Only these episodes, in this order."""
        chosen = np.asarray(which, dtype=np.int64)
        none = [np.zeros(0, dtype=np.int64)]
        moments = np.concatenate([np.flatnonzero(self.episode == index) for index in chosen] or none)
        counts = [int((self.episode == index).sum()) for index in chosen]
        held = self.episode[self.start]
        rows = np.concatenate([np.flatnonzero(held == index) for index in chosen] or none)
        episode = np.repeat(np.arange(len(chosen)), counts).astype(np.int64)
        by_moment = {name: getattr(self, name)[moments] for name in _BY_MOMENT}
        by_episode = {name: getattr(self, name)[chosen] for name in _BY_EPISODE}
        tasks = tuple(self.tasks[index] for index in chosen)
        return Journeys(
            **by_moment, **by_episode, episode=episode, tasks=tasks, chunks=self.chunks[rows], start=_starts(episode)
        )

    def save(self, path: Path, recipe: Mapping[str, Any]) -> None:
        """One compressed file, whole or not at all. `recipe`: how they were made, in what JSON knows."""
        write_arrays(path, {**vars(self), "tasks": np.array(self.tasks, dtype=np.str_)}, recipe)

    @classmethod
    def load(cls, path: Path, recipe: Mapping[str, Any] | None = None) -> Journeys:
        """ContractError if the file is damaged; ConfigError if they were made otherwise than `recipe` says."""
        arrays = read_arrays(path, recipe)
        if set(arrays) != set(cls.__dataclass_fields__):
            raise ContractError(f"{path} holds {sorted(arrays)}, not journeys.", "Make them anew.")
        tasks = tuple(get_table_task(str(name)).name for name in arrays.pop("tasks"))
        return cls(tasks=tasks, **arrays)

    @classmethod
    def joined(cls, parts: Sequence[Journeys]) -> Journeys:
        """All episodes of the parts, one part after the other."""
        width = max(part.physics.shape[1] for part in parts)
        padded = [np.pad(part.physics, ((0, 0), (0, width - part.physics.shape[1]))) for part in parts]
        before = np.cumsum([0, *(len(part.tasks) for part in parts)])[:-1]
        episode = np.concatenate([part.episode + first for part, first in zip(parts, before, strict=True)])
        plain = [name for name in (*_BY_MOMENT, *_BY_EPISODE) if name != "physics"]
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in plain}
        tasks = tuple(task for part in parts for task in part.tasks)
        chunks = np.concatenate([part.chunks for part in parts])
        physics = np.concatenate(padded)
        return cls(**arrays, physics=physics, episode=episode, tasks=tasks, chunks=chunks, start=_starts(episode))

    def _snapshot(self, moment: int) -> Snapshot:
        own = int(self.episode[moment])
        return Snapshot(
            self.tasks[own],
            int(self.seeds[own]),
            float(self.slip[own]),
            int(self.luck[own]),
            self.physics[moment, : self.numbers[moment]],
            int(self.tick[moment]),
            int(self.success_tick[moment]),
            int(self.spoiled_tick[moment]),
        )


_BY_MOMENT = ("images", "state", "tick", "success_tick", "spoiled_tick", "physics", "numbers")
_BY_EPISODE = ("seeds", "luck", "slip")


def travel(
    pool: Pool,
    tasks: Sequence[str],
    seeds: Sequence[int] | IntArray,
    act: Act,
    horizon: int = 10,
    least: int = LEAST,
    slip: float | None = None,
) -> Journeys:
    """One episode for each pair of task and seed, to its end and for `least` chunks at least.

    `slip` is the pool's unless it is given.
    """
    moment = Moment(pool.reset(tasks, seeds, slip), pool.save(), np.arange(len(tasks), dtype=np.int64), 0)
    passed, executed = [moment], []
    while moment.episode.size:
        actions = to_action(act(moment)[:, :horizon])
        if actions.shape[1] != horizon:
            raise ContractError(f"Chunks of {actions.shape[1]} steps came for {horizon}.", "Give as many or more.")
        result = pool.step_chunk(actions, moment.episode)
        executed.append((moment.episode, to_command(actions)))
        kept = pool.save()
        arrived = Moment(
            result.observations, tuple(kept[slot] for slot in moment.episode), moment.episode, moment.turn + 1
        )
        passed.append(arrived)
        going = np.flatnonzero(~result.done | (arrived.turn < least))
        snapshots = tuple(arrived.snapshots[row] for row in going)
        moment = Moment(arrived.seen.take(going), snapshots, arrived.episode[going], arrived.turn)
    return _arrays(passed, executed)


def _arrays(passed: Sequence[Moment], executed: Sequence[tuple[IntArray, FloatArray]]) -> Journeys:
    """Moments and chunks, turn by turn -> episode by episode."""
    whose = np.concatenate([moment.episode for moment in passed])
    order = np.argsort(whose, kind="stable")
    every = [snapshot for moment in passed for snapshot in moment.snapshots]
    snapshots, episode = [every[row] for row in order], whose[order]
    numbers = np.array([len(one.physics) for one in snapshots], dtype=np.int64)
    physics = np.zeros((len(snapshots), int(numbers.max())))
    for row, one in enumerate(snapshots):
        physics[row, : numbers[row]] = one.physics
    acted = np.argsort(np.concatenate([rows for rows, _ in executed]), kind="stable")
    first = passed[0].snapshots
    return Journeys(
        images=np.concatenate([moment.seen.images for moment in passed])[order],
        state=np.concatenate([moment.seen.state for moment in passed])[order],
        tick=np.array([one.ticks for one in snapshots], dtype=np.int64),
        success_tick=np.array([one.success_tick for one in snapshots], dtype=np.int64),
        spoiled_tick=np.array([one.spoiled_tick for one in snapshots], dtype=np.int64),
        physics=physics,
        numbers=numbers,
        episode=episode,
        chunks=np.concatenate([commands for _, commands in executed])[acted],
        start=_starts(episode),
        tasks=passed[0].seen.tasks,
        seeds=np.array([one.seed for one in first], dtype=np.int64),
        luck=np.array([one.luck for one in first], dtype=np.int64),
        slip=np.array([one.slip for one in first]),
    )


def _starts(episode: IntArray) -> IntArray:
    """Moments with another one of the same episode behind them."""
    return np.flatnonzero(episode[:-1] == episode[1:]).astype(np.int64)
