"""What a model says of success: of true pictures, and of its own.

Only moments whose episode was not over when the chunk began: afterwards nobody asks, and a button that was pressed has
come up again. Few of them are successes; of the ends of episodes a third to a half is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_mbpo_ros.evaluation.confusion import Confusion
from vla_mbpo_ros.evaluation.estimates import estimate
from vla_mbpo_ros.evaluation.world_model.dreaming import BATCH, Rolled, one_chunk, scenes_at
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import Journeys
from vla_mbpo_ros.sim.tabletop.vector import BoolArray, IntArray
from vla_mbpo_ros.world_model.protocol import WorldModel

THRESHOLD = 0.5  # "done" from this probability on


def judge_truth(model: WorldModel, journeys: Journeys, rows: IntArray) -> FloatArray:
    """(n,) probability of success in the true pictures after these chunks (n,)."""
    after = journeys.start[rows] + 1
    parts = [model.judge(scenes_at(journeys, after[first : first + BATCH])) for first in range(0, len(after), BATCH)]
    return np.concatenate(parts)


def truth_verdict(model: WorldModel, journeys: Journeys, rows: IntArray) -> dict[str, Any] | None:
    """Of the true pictures after these chunks (n,)."""
    after = journeys.start[rows] + 1
    return verdict(judge_truth(model, journeys, rows), journeys.success[after], journeys.episode[after])


def verdict(said: FloatArray, done: BoolArray, groups: IntArray) -> dict[str, Any] | None:
    """Counts, and accuracy and F1 with intervals over episodes, of (n,) each; None if the model does not judge."""
    if np.isnan(said).any():
        return None
    yes = said >= THRESHOLD
    parts = np.stack([yes & done, yes & ~done, ~yes & done, ~yes & ~done], axis=1).astype(np.float64)
    accuracy, f1 = estimate(parts, groups, _accuracy), estimate(parts, groups, _f1)
    counts = vars(Confusion.count(yes, done))
    return {**counts, "accuracy": accuracy.to_json(), "f1": f1.to_json()}


def dream_verdict(rolled: Rolled, chunk: int | None = None) -> dict[str, Any] | None:
    """Of dreams that are `chunk` + 1 chunks old, or of all."""
    columns = slice(None) if chunk is None else slice(chunk, chunk + 1)
    live = rolled.live[:, columns]
    groups = np.broadcast_to(rolled.episode[:, None], live.shape)
    return verdict(rolled.said[:, columns][live], rolled.done[:, columns][live], groups[live])


def last_chunks(journeys: Journeys) -> IntArray:
    """(E,) of every episode the last chunk that began before it was over."""
    live = np.flatnonzero(journeys.live)
    episode = journeys.episode[journeys.start[live]]
    return np.asarray(live[np.append(episode[1:] != episode[:-1], True)])


def ends(model: WorldModel, journeys: Journeys, seed: int = 0) -> dict[str, Any]:
    """What it says of the true pictures at the ends of episodes, and of its own dreams of their last chunks."""
    rows = last_chunks(journeys)
    dreams = dream_verdict(one_chunk(model, journeys, rows, seed))
    return {"truth": truth_verdict(model, journeys, rows), "dreams": dreams}


def _accuracy(sums: FloatArray) -> FloatArray:
    return np.asarray((sums[..., 0] + sums[..., 3]) / sums.sum(axis=-1))


def _f1(sums: FloatArray) -> FloatArray:
    hits, false_alarms, missed, _ = np.moveaxis(sums, -1, 0)
    return np.asarray(2.0 * hits / (2.0 * hits + false_alarms + missed))
