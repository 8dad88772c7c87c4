"""Dreams beside what truly happened.

picture 0 ──chunk 0──> dream 1 ──chunk 1──> dream 2 …      on its own dreams: only picture 0 is real
          ──truth 0──> truth 1 ──truth 1──> truth 2 …      what the simulator did under the same chunks
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.pictures import fit_all
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop import Journeys, get_table_task
from vla_mbpo_ros.sim.tabletop.vector import BoolArray, IntArray
from vla_mbpo_ros.world_model.protocol import Dreams, Scenes, WorldModel
from vla_mbpo_ros.world_model.rivals.oracle import GroundedScenes

BATCH = 16
Progress = Callable[[int, int], None]  # chunks that are dreamt, and all of them


@dataclass(frozen=True)
class Rolled:
    """W windows of C chunks. Truth has the size of the model's pictures."""

    views: tuple[str, ...]
    first: ImageArray  # (W, V, H, W, 3) real, where every window begins
    truth: ImageArray  # (W, C, V, H, W, 3) after each chunk
    made: ImageArray  # (W, C, V, H, W, 3)
    said: FloatArray  # (W, C) the model's probability of success in its dream; NaN if it does not judge
    done: BoolArray  # (W, C) true success by then
    live: BoolArray  # (W, C) the episode was not over when the chunk began
    episode: IntArray  # (W,)
    scenes: tuple[str, ...]  # (W)
    chunk_s: float  # seconds a chunk, in batches of BATCH

    @property
    def chunks(self) -> int:
        return int(self.truth.shape[1])


def roll(
    model: WorldModel,
    journeys: Journeys,
    rows: IntArray,
    seed: int = 0,
    acted: FloatArray | None = None,
    progress: Progress | None = None,
) -> Rolled:
    """`rows` (W, C) chunks that follow each other; `acted` (W, C, K, 7) in place of what was truly done."""
    told = journeys.chunks[rows] if acted is None else acted
    dreams: list[list[Dreams]] = [[] for _ in range(rows.shape[1])]
    spent_s = 0.0
    for first in range(0, len(rows), BATCH):
        part = slice(first, first + BATCH)
        scenes: Scenes = scenes_at(journeys, journeys.start[rows[part, 0]])
        for step, found in enumerate(dreams):
            seeds = [mix(seed, window, step) for window in range(first, first + len(scenes))]
            began_s = time.perf_counter()
            found.append(model.imagine(scenes, told[part, step], seeds))
            spent_s += time.perf_counter() - began_s
            scenes = found[-1].as_scenes(scenes)
            if progress is not None:
                progress(min(first + BATCH, len(rows)) * rows.shape[1], rows.size)
    made = np.stack([np.concatenate([one.images for one in found]) for found in dreams], axis=1)
    said = np.stack([np.concatenate([one.success for one in found]) for found in dreams], axis=1)
    ends, begins = journeys.start[rows] + 1, journeys.start[rows[:, 0]]
    side, episode = made.shape[-3], journeys.episode[begins]
    return Rolled(
        views=model.views,
        first=fit_all(journeys.images[begins], side),
        truth=fit_all(journeys.images[ends], side),
        made=made,
        said=said,
        done=journeys.success[ends],
        live=journeys.live[rows],
        episode=episode,
        scenes=tuple(get_table_task(journeys.tasks[index]).scene for index in episode),
        chunk_s=spent_s / max(rows.size, 1),
    )


def one_chunk(
    model: WorldModel,
    journeys: Journeys,
    rows: IntArray,
    seed: int = 0,
    acted: FloatArray | None = None,
    progress: Progress | None = None,
) -> Rolled:
    """Every chunk of `rows` (W,) from its own real picture; `acted` (W, K, 7)."""
    other = None if acted is None else acted[:, None]
    return roll(model, journeys, rows[:, None], seed, other, progress)


def shuffled(journeys: Journeys, rows: IntArray, seed: int = 0) -> FloatArray:
    """(W, C, K, 7) to each window the chunks of another one of the same task: a control.

    A model that does as well with them does not listen to the actions.
    """
    acted = journeys.chunks[rows].copy()
    tasks = np.array(journeys.tasks)[journeys.episode[journeys.start[rows[:, 0]]]]
    for task in dict.fromkeys(tasks.tolist()):
        own = np.random.default_rng(seed).permutation(np.flatnonzero(tasks == task))
        if len(own) < 2:
            raise ContractError(f"One window of {task} has no other to swap chunks with.", "Give two or more a task.")
        acted[own] = journeys.chunks[rows[np.roll(own, 1)]]
    return acted


def scenes_at(journeys: Journeys, moments: IntArray) -> GroundedScenes:
    """Real pictures; a simulator in a dream's place knows where they are."""
    instructions = journeys.instructions
    return GroundedScenes(
        journeys.images[moments],
        journeys.state[moments],
        tuple(instructions[moment] for moment in moments),
        journeys.snapshots(moments),
    )
