"""Recorded episodes as what behaviour cloning learns from.

    row of an episode       0    1    2    3    4    5    6          K = 4, the human let go before row 5
    who was obeyed          hold hu.  hu.  hu.  hu.  hold hold
    a row to learn from          x    x    x    x
    weights of row 3's chunk               1    1    0    0          values after the end repeat the last one

A chunk is what the arm was told, whoever told it: a human, or a policy whose episode ended well. What nobody asked for
("hold") is not imitated, nor what comes after a gap in the recording. Rows after the success are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from vla_mbpo_ros.algorithms.imitation.chunks import Batch, IntArray
from vla_mbpo_ros.data.dataset.cached_episode import CachedEpisode
from vla_mbpo_ros.data.dataset.windows import GAP_STEPS, BoolArray
from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.schema import FloatArray, Observation

_NOBODY = "hold"


class BagChunks:
    """`ChunkData` over episodes. What is read depends on the row alone; images are those that the live policy sees."""

    def __init__(self, episodes: Sequence[CachedEpisode], policy: FlowPolicy, stride: int = 1) -> None:
        for episode in episodes:
            _check(episode, policy)
        self._episodes, self._policy = tuple(episodes), policy
        self._runs = [_runs(episode, policy.horizon) for episode in episodes]
        starts = [_starts(episode, runs)[::stride] for episode, runs in zip(episodes, self._runs, strict=True)]
        counts = [len(rows) for rows in starts]
        self._episode: IntArray = np.repeat(np.arange(len(starts), dtype=np.int64), counts)  # (M,)
        self._row: IntArray = np.concatenate(starts) if starts else np.zeros(0, dtype=np.int64)  # (M,)

    def __len__(self) -> int:
        return len(self._row)

    def batch(self, rows: IntArray) -> Batch:
        observations = [self._observation(index) for index in rows]
        chunks = [self._chunk(index) for index in rows]
        maker = self._policy.maker
        states = maker.states(observations)
        actions = self._policy.from_robot(np.stack([values for values, _ in chunks]), states)
        counts = torch.from_numpy(np.stack([mask for _, mask in chunks])).to(actions)
        weight = counts[:, :, None].repeat(1, 1, actions.shape[2])  # padding too: it learns to end at 0
        return Batch(maker(observations, self._policy.device), states, actions, weight)

    def _observation(self, index: int) -> Observation:
        episode, row = self._episodes[self._episode[index]], int(self._row[index])
        wanted = self._policy.maker.cfg.camera_names
        images = {name: np.array(image) for name, image in episode.images(row).items() if name in wanted}
        return Observation(int(episode.times_ns[row]), images, episode.state[row], episode.facts.instruction)

    def _chunk(self, index: int) -> tuple[FloatArray, BoolArray]:
        """(K, N) in the robot's units and (K,) what of it was executed."""
        episode, row = self._episodes[self._episode[index]], int(self._row[index])
        steps, run = np.arange(self._policy.horizon), int(self._runs[self._episode[index]][row])
        return episode.action[row + np.minimum(steps, run - 1)], steps < run


def _runs(episode: CachedEpisode, horizon: int) -> IntArray:
    """(T,) how many rows from here on were asked for by somebody, without a gap; at most a chunk's."""
    asked = np.array([name != _NOBODY for name in episode.sources], dtype=bool)[episode.source]
    joined = np.diff(episode.times_ns) <= GAP_STEPS * episode.dt_ns
    runs = np.zeros(len(asked), dtype=np.int64)
    for row in reversed(range(len(asked))):
        after = runs[row + 1] if row + 1 < len(asked) and joined[row] else 0
        runs[row] = min(int(after) + 1, horizon) if asked[row] else 0
    return runs


def _starts(episode: CachedEpisode, runs: IntArray) -> IntArray:
    """The rows to learn from."""
    good = (runs > 0) & episode.seen
    if episode.success_ns is not None:
        good &= episode.times_ns <= episode.success_ns
    return np.flatnonzero(good).astype(np.int64)


def _check(episode: CachedEpisode, policy: FlowPolicy) -> None:
    for what, names, wanted in (
        ("joint states", tuple(episode.about["state_names"]), policy.normalisation.state.names),
        ("commands", tuple(episode.about["action_names"]), policy.normalisation.action.names),
    ):
        if names != wanted:
            cause = f"{episode.bag} has {what} of {', '.join(names)}, the policy knows {', '.join(wanted)}."
            raise ContractError(cause, "Give bags of the robot that the policy is for.")
    if not np.isfinite(episode.action).all() or not np.isfinite(episode.state).all():
        raise NotFinite(f"{episode.bag} holds a NaN or an infinity.", "Leave it out: `vla-mbpo bags check` says more.")
