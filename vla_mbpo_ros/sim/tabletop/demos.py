"""Demonstrations of the tabletop's tasks, as arrays ready for a learner.

demos = collect("press_red", seeds=range(160), noise=0.3)
demos.images, demos.actions, demos.instructions      # one row a chunk start
demos.save(path, recipe), Demonstrations.load(path, recipe)      # to go on later with the same
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop.kept_arrays import read_arrays, write_arrays
from vla_mbpo_ros.sim.tabletop.layout import DEFAULT_SLIP
from vla_mbpo_ros.sim.tabletop.tasks import get_table_task
from vla_mbpo_ros.sim.tabletop.teacher import Demonstration, Lesson
from vla_mbpo_ros.sim.tabletop.vector import BoolArray, IntArray, Pool


@dataclass(frozen=True)
class Demonstrations:
    """D demonstrations with M chunk starts in all, before success; those of one demonstration are in order."""

    images: ImageArray  # (M, V, H, W, 3)
    state: FloatArray  # (M, 7)
    actions: FloatArray  # (M, K, 7) in [-1, 1]: what the expert does from there, undisturbed
    tick: IntArray  # (M,) control steps since the reset
    places: FloatArray  # (M, 2, 4) of what the tool touches and of the target: x y z [m], yaw [rad]; privileged
    demo: IntArray  # (M,) which demonstration
    tasks: tuple[str, ...]  # (D)
    seeds: IntArray  # (D,)
    success_step: IntArray  # (D,) -1: failed

    @property
    def instructions(self) -> tuple[str, ...]:
        """(M)"""
        texts = [get_table_task(task).instruction for task in self.tasks]
        return tuple(texts[index] for index in self.demo)

    @property
    def success(self) -> BoolArray:
        """(D,)"""
        return self.success_step >= 0

    def successful(self) -> Demonstrations:
        """Only those that reached their goal."""
        return self.take(np.flatnonzero(self.success))

    def take(self, which: Sequence[int] | IntArray) -> Demonstrations:
        """Only these demonstrations, in this order."""
        chosen = np.asarray(which, dtype=np.int64)
        rows = np.concatenate([np.flatnonzero(self.demo == index) for index in chosen] or [np.zeros(0, np.int64)])
        counts = [int((self.demo == index).sum()) for index in chosen]
        return Demonstrations(
            images=self.images[rows],
            state=self.state[rows],
            actions=self.actions[rows],
            tick=self.tick[rows],
            places=self.places[rows],
            demo=np.repeat(np.arange(len(chosen)), counts).astype(np.int64),
            tasks=tuple(self.tasks[index] for index in chosen),
            seeds=self.seeds[chosen],
            success_step=self.success_step[chosen],
        )

    def save(self, path: Path, recipe: Mapping[str, Any]) -> None:
        """One compressed file, whole or not at all. `recipe`: how they were made, in what JSON knows."""
        write_arrays(path, {**vars(self), "tasks": np.array(self.tasks, dtype=np.str_)}, recipe)

    @classmethod
    def load(cls, path: Path, recipe: Mapping[str, Any] | None = None) -> Demonstrations:
        """ContractError if the file is damaged; ConfigError if they were made otherwise than `recipe` says."""
        arrays = read_arrays(path, recipe)
        if set(arrays) != set(cls.__dataclass_fields__):
            raise ContractError(f"{path} holds {sorted(arrays)}, not demonstrations.", "Collect them anew.")
        tasks = tuple(get_table_task(str(name)).name for name in arrays.pop("tasks"))
        return cls(tasks=tasks, **arrays)


def collect(
    tasks: str | Sequence[str],
    seeds: Sequence[int] | IntArray,
    noise: float = 0.0,
    *,
    pool: Pool | None = None,
    horizon: int = 10,
    stride: int = 10,
    slip: float = DEFAULT_SLIP,
) -> Demonstrations:
    """One demonstration for each task and seed. Without a `pool` two workers are started for it, 64x64."""
    names = (tasks,) if isinstance(tasks, str) else tuple(tasks)
    if not names or not len(seeds):
        raise ContractError(f"{len(names)} tasks and {len(seeds)} seeds.", "Give at least one of each.")
    if noise < 0.0 or horizon < 0 or stride < 1:
        raise ContractError(
            f"noise {noise}, horizon {horizon}, stride {stride}.", "Give noise and horizon from 0 on, stride from 1 on."
        )
    lessons = [
        Lesson(get_table_task(name).name, int(seed), noise, horizon, stride, slip) for name in names for seed in seeds
    ]
    with ExitStack() as stack:
        workers = pool or stack.enter_context(Pool())
        shown = workers.demonstrate(lessons)
    return _arrays(lessons, shown)


def _arrays(lessons: Sequence[Lesson], shown: Sequence[Demonstration]) -> Demonstrations:
    counts = [len(each.tick) for each in shown]
    return Demonstrations(
        images=np.concatenate([each.images for each in shown]),
        state=np.concatenate([each.state for each in shown]),
        actions=np.concatenate([each.actions for each in shown]),
        tick=np.concatenate([each.tick for each in shown]).astype(np.int64),
        places=np.concatenate([each.places for each in shown]),
        demo=np.repeat(np.arange(len(shown)), counts).astype(np.int64),
        tasks=tuple(lesson.task for lesson in lessons),
        seeds=np.array([lesson.seed for lesson in lessons], dtype=np.int64),
        success_step=np.array([each.success_tick for each in shown], dtype=np.int64),
    )
