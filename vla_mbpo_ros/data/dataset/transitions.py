"""Chunk transitions with random access: (o_t, a_t … a_{t+k-1}, o_{t+k}, reward, done)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.data.dataset.cached_episode import CachedEpisode
from vla_mbpo_ros.data.dataset.settings import LABELLED, DatasetSettings
from vla_mbpo_ros.data.dataset.windows import BoolArray, Windows, find_windows
from vla_mbpo_ros.data.episodes.episode import IndexArray
from vla_mbpo_ros.schema import FloatArray, ImageArray

_NOBODY = ("policy", "hold")  # sources that are no intervention


@dataclass(frozen=True)
class Transition:
    """One window. Images are views of the cache: copy before you change them."""

    images: dict[str, ImageArray]  # camera -> (H, W, 3), o_t
    state: FloatArray  # (S,)
    action: FloatArray  # (k, A) as executed
    proposed: FloatArray  # (k, A) by the chunk that was observed here; 0 where it says nothing
    proposed_mask: BoolArray  # (k,) where it says something
    next_images: dict[str, ImageArray]  # o_{t+k}
    next_state: FloatArray  # (S,)
    reward: float  # 1 if the success happens in it, else 0
    done: bool
    truncated: bool
    labelled: bool  # False: the outcome is unknown, and with it the reward
    instruction: str
    episode_id: str
    row: int  # t
    source: tuple[str, ...]  # (k,) who was obeyed at each step
    intervened: BoolArray  # (k,) True where it was neither the policy nor nobody


class Transitions:
    """All windows of some episodes, in the order of the episodes and rows."""

    def __init__(self, episodes: tuple[CachedEpisode, ...], settings: DatasetSettings) -> None:
        self.episodes, self.settings = episodes, settings
        self.skipped: Counter[str] = Counter()
        self.without_success: list[str] = []
        found = [self._find(episode) for episode in episodes]
        counts = [len(windows.rows) for windows in found]
        self.episode_index: IndexArray = np.repeat(np.arange(len(episodes), dtype=np.int64), counts)  # (N,)
        self.rows: IndexArray = np.concatenate([w.rows for w in found]) if found else np.zeros(0, dtype=np.int64)
        self.done: BoolArray = np.concatenate([w.done for w in found]) if found else np.zeros(0, dtype=bool)
        self.truncated: BoolArray = np.concatenate([w.truncated for w in found]) if found else np.zeros(0, dtype=bool)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Transition:
        if not -len(self) <= index < len(self):
            raise IndexError(f"There are {len(self)} transitions, {index} is none of them.")
        episode, row, k = self.episodes[self.episode_index[index]], int(self.rows[index]), self.settings.k
        proposed, mask = episode.proposed(row, k)
        source = tuple(episode.sources[code] for code in episode.source[row : row + k])
        return Transition(
            images=episode.images(row),
            state=episode.state[row],
            action=episode.action[row : row + k],
            proposed=proposed,
            proposed_mask=mask,
            next_images=episode.images(row + k),
            next_state=episode.state[row + k],
            reward=float(self.done[index]),
            done=bool(self.done[index]),
            truncated=bool(self.truncated[index]),
            labelled=episode.facts.outcome in LABELLED,
            instruction=episode.facts.instruction,
            episode_id=episode.id,
            row=row,
            source=source,
            intervened=np.array([name not in _NOBODY for name in source]),
        )

    def order(self, seed: int, epoch: int = 0) -> IndexArray:
        """(N,) every index once; the same for the same seed and epoch on every machine."""
        return order(len(self), seed, epoch)

    def _find(self, episode: CachedEpisode) -> Windows:
        rows = len(episode.times_ns)
        every = np.arange(rows) if self.settings.starts == "every" else np.unique(episode.chunk_row)
        starts = every[:: self.settings.stride].astype(np.int64)
        windows = find_windows(
            episode.times_ns, episode.dt_ns, starts, self.settings.k, episode.seen, episode.success_ns
        )
        self.skipped.update(windows.skipped)
        if episode.success_ns is not None and not windows.done.any():
            self.without_success.append(episode.id)
        return windows


def order(count: int, seed: int, epoch: int) -> IndexArray:
    """A permutation. Philox is counter-based and specified: its stream does not change between versions."""
    # A sort of random numbers and not `permutation`, whose method numpy may change.
    draws = np.random.Generator(np.random.Philox(key=[seed, epoch])).integers(0, 2**63, count, dtype=np.int64)
    return np.argsort(draws, kind="stable").astype(np.int64)
