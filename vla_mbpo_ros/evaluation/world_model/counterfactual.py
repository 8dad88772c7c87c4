"""Does a dream follow what is done? From one moment two opposite chunks, each dreamt and each truly executed.

                 ┌─ chunk a ─> truth a    dream a        right if  |dream a - truth a| < |dream a - truth b|
    one moment ──┤                                       and       |dream b - truth b| < |dream b - truth a|
                 └─ chunk b ─> truth b    dream b        over the pixels in which the two truths differ

A chunk goes at full speed in one direction in space, anywhere; the opposite one goes back along it. The gripper does
in both what it truly did next. Both dreams have one seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_mbpo_ros.evaluation.images import changed
from vla_mbpo_ros.evaluation.intervals import Share
from vla_mbpo_ros.evaluation.world_model.dreaming import BATCH, scenes_at
from vla_mbpo_ros.models.pictures import fit_all
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop import Journeys, Pool, to_action, to_command
from vla_mbpo_ros.sim.tabletop.vector import BoolArray, IntArray
from vla_mbpo_ros.world_model.protocol import WorldModel
from vla_mbpo_ros.world_model.rivals.oracle import GroundedScenes

BOTH = "both"  # views together


@dataclass(frozen=True)
class Forks:
    """P moments with two futures each."""

    scenes: GroundedScenes
    chunks: FloatArray  # (P, 2, K, 7) in the robot's units
    truth: ImageArray  # (P, 2, V, H, W, 3)
    episodes: int  # how many different ones the moments are of


def fork(pool: Pool, journeys: Journeys, pairs: int, seed: int = 0) -> Forks:
    """At moments of episodes that are not over; as many episodes as there are, then a second moment of each, …"""
    chance = np.random.default_rng(seed)
    rows = _spread(chance.permutation(np.flatnonzero(journeys.live)), journeys)[:pairs]
    scenes = scenes_at(journeys, journeys.start[rows])
    direction = chance.standard_normal((len(rows), 3))
    direction /= np.abs(direction).max(axis=1, keepdims=True)
    actions = np.zeros((len(rows), 2, *journeys.chunks.shape[1:]))
    actions[..., :3] = np.stack([direction, -direction], axis=1)[:, :, None]
    actions[..., -1] = to_action(journeys.chunks[rows])[:, None, :, -1]
    truth = []
    for side in (0, 1):
        pool.restore(scenes.snapshots, observe=False)
        truth.append(pool.step_chunk(actions[:, side]).observations.images)
    episodes = len(np.unique(journeys.episode[journeys.start[rows]]))
    return Forks(scenes, to_command(actions), np.stack(truth, axis=1), episodes)


def right_pairs(model: WorldModel, forks: Forks, seed: int = 0) -> dict[str, Any]:
    """View, or both together -> share of pairs in which each dream is nearer to its own truth; and counts."""
    made = np.stack([_dreams(model, forks, side, seed) for side in (0, 1)], axis=1)
    truth = fit_all(forks.truth, made.shape[-3])
    differ = changed(truth[:, 0], truth[:, 1])  # (P, V, H, W)
    told: dict[str, Any] = {"pairs": len(made), "episodes": forks.episodes}
    for view, name in enumerate(model.views):
        told[name] = _share(made[:, :, view : view + 1], truth[:, :, view : view + 1], differ[:, view : view + 1])
    told[BOTH] = _share(made, truth, differ)
    return told


def _dreams(model: WorldModel, forks: Forks, side: int, seed: int) -> ImageArray:
    found = []
    for first in range(0, len(forks.chunks), BATCH):
        own = list(range(first, min(first + BATCH, len(forks.chunks))))
        seeds = [mix(seed, pair) for pair in own]
        found.append(model.imagine(forks.scenes.select(own), forks.chunks[own, side], seeds).images)
    return np.concatenate(found)


def _share(made: ImageArray, truth: ImageArray, differ: BoolArray) -> dict[str, Any]:
    """made, truth (P, 2, V, H, W, 3), differ (P, V, H, W). A pair whose truths look alike is no test."""
    own = [_error(made[:, side], truth[:, side], differ) for side in (0, 1)]
    other = [_error(made[:, side], truth[:, 1 - side], differ) for side in (0, 1)]
    seen = differ.any(axis=(1, 2, 3))
    right = (own[0] < other[0]) & (own[1] < other[1]) & seen
    share = Share(int(right.sum()), int(seen.sum()))
    low, high = share.interval
    return {"share": share.share, "low": low, "high": high, "right": share.k, "n": share.n}


def _error(made: ImageArray, truth: ImageArray, where: BoolArray) -> FloatArray:
    """(P,) summed squares; both sides of a comparison are over the same pixels."""
    squares = np.square(made.astype(np.float64) - truth).mean(axis=-1)
    return np.asarray((squares * where).sum(axis=(1, 2, 3)))


def _spread(rows: IntArray, journeys: Journeys) -> IntArray:
    """One chunk of every episode first, then another one of every episode, and so on."""
    turn = np.zeros(len(rows), dtype=np.int64)
    seen: dict[int, int] = {}
    for place, episode in enumerate(journeys.episode[journeys.start[rows]].tolist()):
        turn[place] = seen[episode] = seen.get(episode, -1) + 1
    return np.asarray(rows[np.argsort(turn, kind="stable")])
