"""What every model is asked: made once, kept in a folder, the same for all.

journeys      episodes of all tasks at the usual slip, by clumsy experts or by a policy; failures included
forks         moments of them with two opposite chunks
weather       journeys without chance, and with as much of it as there is
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.evaluation.world_model.agreement import Weather, make_weather
from vla_mbpo_ros.evaluation.world_model.counterfactual import Forks, fork
from vla_mbpo_ros.sim.tabletop import Act, ClumsyExperts, Journeys, Pool, task_names, travel
from vla_mbpo_ros.sim.tabletop.layout import DEFAULT_SLIP
from vla_mbpo_ros.sim.tabletop.vector import IntArray

FIRST_SEED = 7_000_000  # far from the seeds of demonstrations, evaluations of policies, and reinforcement learning
_WEATHER_SEED = 1_000  # further on
CALM, WINDY = 0.0, 1.0  # slip

Hands = Callable[[Pool], Act]


@dataclass(frozen=True)
class Size:
    """How much of it."""

    episodes: int = 13  # a task
    chunks: int = 4  # dreamt one after the other
    pairs: int = 200  # forks
    single: int = 600  # chunks that are dreamt from a real picture each; of each weather half as many, twice
    horizon: int = 10  # K
    tasks: tuple[str, ...] = task_names()


@dataclass(frozen=True)
class HeldOut:
    """Questions to a world model, with the answers."""

    size: Size
    journeys: Journeys
    windows: IntArray  # (W, chunks)
    single: IntArray  # (R,) chunks
    forks: Forks
    weather: tuple[Weather, ...]


def hold_out(
    pool: Pool,
    size: Size,
    folder: Path | None = None,
    hands: Hands = ClumsyExperts,
    who: str = "clumsy experts",
) -> HeldOut:
    """Made anew, or read from `folder` if they are there; ConfigError if those were made otherwise.

    `who` says in one word or two whose `hands` they are, so that nobody takes one's journeys for another's.
    """

    def journeys(slip: float, first: int) -> Journeys:
        path = None if folder is None else folder / f"journeys_slip_{slip:g}.npz"
        recipe = _recipe(size, slip, first, who)
        if path is not None and path.exists():
            return Journeys.load(path, recipe)
        names = [task for task in size.tasks for _ in range(size.episodes)]
        seeds = [first + index for _ in size.tasks for index in range(size.episodes)]
        made = travel(pool, names, seeds, hands(pool), size.horizon, size.chunks, slip)
        if path is not None:
            made.save(path, recipe)
        return made

    usual = journeys(DEFAULT_SLIP, FIRST_SEED)
    further = FIRST_SEED + _WEATHER_SEED
    weather = tuple(make_weather(pool, journeys(slip, further), -(-size.single // 2)) for slip in (CALM, WINDY))
    single = np.random.default_rng(0).permutation(np.flatnonzero(usual.live))[: size.single]
    return HeldOut(size, usual, usual.windows(size.chunks), np.sort(single), fork(pool, usual, size.pairs), weather)


def _recipe(size: Size, slip: float, first: int, who: str) -> dict[str, Any]:
    return {
        "tasks": list(size.tasks),
        "episodes": size.episodes,
        "first_seed": first,
        "slip": slip,
        "horizon": size.horizon,
        "least": size.chunks,
        "who": who,
    }
