"""Images labelled by the time of success, for the classifier that gives rewards to imagined episodes.

    ──No──No──No──┊ before_s ┊ success ┊ after_s ┊──Yes──Yes──
                    left out             left out

The label is that of the images, not of the row: where one camera shows the moment before and another the moment
after, the sample is left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.data.dataset.cached_episode import CachedEpisode
from vla_mbpo_ros.data.dataset.transitions import order
from vla_mbpo_ros.data.episodes.episode import IndexArray
from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.schema import ImageArray

_S = 1e9


@dataclass(frozen=True)
class RewardSample:
    """What all cameras showed at one row."""

    images: dict[str, ImageArray]  # camera -> (H, W, 3)
    label: bool  # True: the task is done
    instruction: str
    episode_id: str
    row: int


class RewardSamples:
    """Of episodes whose outcome is known."""

    def __init__(self, episodes: tuple[CachedEpisode, ...], before_s: float, after_s: float, stride: int = 1) -> None:
        if min(before_s, after_s) < 0.0:
            raise ConfigError(f"The margins are {before_s} s and {after_s} s.", "Give 0 s or more.")
        self.episodes, self._margins_ns = episodes, (round(before_s * _S), round(after_s * _S))
        self.skipped: Counter[str] = Counter()
        found = [
            (index, row, label)
            for index, episode in enumerate(episodes)
            for row in np.flatnonzero(episode.seen)[::stride]
            if (label := self._label(episode, int(row))) is not None
        ]
        self.episode_index: IndexArray = np.array([index for index, _, _ in found], dtype=np.int64)  # (N,)
        self.rows: IndexArray = np.array([row for _, row, _ in found], dtype=np.int64)
        self.labels = np.array([label for _, _, label in found], dtype=bool)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> RewardSample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"There are {len(self)} samples, {index} is none of them.")
        episode, row = self.episodes[self.episode_index[index]], int(self.rows[index])
        label = bool(self.labels[index])
        return RewardSample(episode.images(row), label, episode.facts.instruction, episode.id, row)

    def order(self, seed: int, epoch: int = 0) -> IndexArray:
        return order(len(self), seed, epoch)

    def _label(self, episode: CachedEpisode, row: int) -> bool | None:
        if episode.success_ns is None:
            return False
        since_ns = episode.image_stamps_ns(row) - episode.success_ns
        if (since_ns >= self._margins_ns[1]).all():
            return True
        if (since_ns < -self._margins_ns[0]).all():
            return False
        self.skipped["images around the moment of success"] += 1
        return None
