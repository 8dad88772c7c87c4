"""Short branches from moments of real episodes, in a dream or in the true simulator.

    start (views, state, instruction, time left) ──chunk──> dream ──chunk──> dream …  `chunks` of them at most
                                                            │
                                                            └── success said? the branch ends with a reward of 1

Where a branch is cut the value of what would have come is counted (`Outcome.timeout`); where the episode's own time is
up it is not. The same ground serves a learnt model and the oracle, which is the simulator itself. `sure` is the
probability from which on a success is believed: the simulator says 1 or 0, of a learnt model nothing is believed at 1,
and what success looks like is then a matter of the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.rl.rollout import IntArray, Outcome, Seen
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.world_model.protocol import Scenes, WorldModel

_AT_ONCE = 64  # dreams


@dataclass(frozen=True)
class Starts:
    """P moments of real episodes that were not over."""

    scenes: Scenes  # (P)
    time_left: FloatArray  # (P,) share of the episode's time
    chunk_share: FloatArray  # (P,) share that a chunk takes
    tasks: tuple[str, ...]  # (P)

    def __len__(self) -> int:
        return len(self.tasks)


class BranchGround:
    """A `Ground`. A branch is asked for by the task and the number of its start."""

    def __init__(self, model: WorldModel, starts: Starts, chunks: int, sure: float = 0.5, seed: int = 0) -> None:
        if not len(starts):
            raise ContractError("There is no moment to branch from.", "Play some episodes first.")
        self.cameras = tuple(model.views)
        self._model, self._starts, self._chunks, self._sure, self._seed = model, starts, chunks, sure, seed
        self.dreamt = 0  # chunks so far

    def reset(self, tasks: Sequence[str], seeds: Sequence[int]) -> Seen:
        chosen = np.asarray(seeds, dtype=np.int64)
        if any(self._starts.tasks[row] != task for row, task in zip(chosen, tasks, strict=True)):
            raise ContractError("A start is not one of its task.", "Ask for starts by their own tasks.")
        self._scenes = self._starts.scenes.select(chosen.tolist())
        self._left = self._starts.time_left[chosen]
        self._share = self._starts.chunk_share[chosen]
        self._turn = 0
        return self._seen(np.arange(len(chosen), dtype=np.int64))

    def step(self, chunks: FloatArray, slots: IntArray) -> Outcome:
        self._turn += 1
        success = np.zeros(len(slots), dtype=np.bool_)
        for first in range(0, len(slots), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            success[part] = self._dream(chunks[part], slots[part])
        self._left[slots] = np.maximum(self._left[slots] - self._share[slots], 0.0)
        late = ~success & (self._left[slots] <= 1e-6)
        cut = ~success & ~late & (self._turn >= self._chunks)
        steps = np.full(len(slots), chunks.shape[1], dtype=np.int64)
        return Outcome(self._seen(slots), success, success | late | cut, cut, steps)

    def _dream(self, chunks: FloatArray, slots: IntArray) -> FloatArray:
        """(b,) whether success is said; the branches stand where the dreams end."""
        before = self._scenes.select(slots.tolist())
        seeds = [mix(self._seed, self._turn, int(slot)) for slot in slots]
        dreams = self._model.imagine(before, chunks, seeds)
        self._scenes = _with_rows(self._scenes, dreams.as_scenes(before), slots)
        self.dreamt += len(slots)
        return np.asarray(dreams.success >= self._sure)

    def _seen(self, slots: IntArray) -> Seen:
        scenes = self._scenes.select(slots.tolist())
        return Seen(scenes.images, scenes.state, scenes.instructions, self._left[slots])


def _with_rows(scenes: Scenes, new: Scenes, slots: IntArray) -> Scenes:
    """`scenes` with these rows replaced, and whatever else its kind of scenes has."""
    changes: dict[str, object] = {}
    for name in scenes.__dataclass_fields__:
        held, fresh = getattr(scenes, name), getattr(new, name)
        if isinstance(held, np.ndarray):
            held = held.copy()
            held[slots] = fresh
            changes[name] = held
        else:
            row = dict(zip(slots.tolist(), fresh, strict=True))
            changes[name] = tuple(row.get(index, value) for index, value in enumerate(held))
    return replace(scenes, **changes)  # type: ignore[arg-type]
