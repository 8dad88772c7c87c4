"""Films: what the cameras see all along a demonstration, every few control steps, and what was done in between.

    picture   0 ──────── 1 ──────── 2 ── …           actions[n] (every, 7) lead from picture n to picture n + 1
               actions[0]  actions[1]

    films = collect_films(("press_red", "lift_green"), range(40), noise=0.3, every=2)
    rows = films.starts(5)            # rows with five more pictures of their film behind them: chunks of ten steps

The actions are those that were executed, disturbance included: here it is the truth that counts, not the advice.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop.layout import DEFAULT_SLIP
from vla_mbpo_ros.sim.tabletop.tasks import get_table_task
from vla_mbpo_ros.sim.tabletop.teacher import Film, Lesson
from vla_mbpo_ros.sim.tabletop.vector import IntArray, Pool


@dataclass(frozen=True)
class Films:
    """N pictures of several films, one film after the other."""

    images: ImageArray  # (N, V, H, W, 3)
    state: FloatArray  # (N, 7)
    actions: FloatArray  # (N, every, 7) in [-1, 1], until the next picture; zeros at the last one of a film
    film: IntArray  # (N,) which film
    tasks: tuple[str, ...]  # of each film

    def starts(self, frames: int) -> IntArray:
        """(M,) rows with at least so many more pictures of their film behind them."""
        return starts(self.film, frames)


def starts(film: IntArray, frames: int) -> IntArray:
    """(M,) rows n with film[n] = film[n + frames]."""
    return np.flatnonzero(film[: max(len(film) - frames, 0)] == film[frames:]).astype(np.int64)


def collect_films(
    tasks: str | Sequence[str],
    seeds: Sequence[int] | IntArray,
    noise: float = 0.0,
    *,
    pool: Pool | None = None,
    every: int = 2,
    horizon: int = 10,
    slip: float = DEFAULT_SLIP,
) -> Films:
    """One film for each task and seed; it goes on `horizon` steps past its end."""
    names = (tasks,) if isinstance(tasks, str) else tuple(tasks)
    if not names or not len(seeds) or noise < 0.0 or every < 1 or horizon < 1:
        cause = f"{len(names)} tasks, {len(seeds)} seeds, noise {noise}, every {every}, horizon {horizon}."
        raise ContractError(cause, "Give at least one of each, and noise from 0 on.")
    lessons = [
        Lesson(get_table_task(name).name, int(seed), noise, horizon, slip=slip) for name in names for seed in seeds
    ]
    with ExitStack() as stack:
        workers = pool or stack.enter_context(Pool())
        shown = workers.film(lessons, every)
    return _arrays(lessons, shown)


def _arrays(lessons: Sequence[Lesson], shown: Sequence[Film]) -> Films:
    rest = np.zeros((1, shown[0].actions.shape[1], TABLETOP.dof))
    return Films(
        images=np.concatenate([each.images for each in shown]),
        state=np.concatenate([each.state for each in shown]),
        actions=np.concatenate([part for each in shown for part in (each.actions, rest)]),
        film=np.repeat(np.arange(len(shown)), [len(each.state) for each in shown]).astype(np.int64),
        tasks=tuple(lesson.task for lesson in lessons),
    )
