"""Recorded episodes as what a world model learns from.

    transitions of the data set ──> chunks (k steps as executed), views before and after
    its reward samples          ──> views, done or not
    its pictures ──autoencoder, kept in the cache──> latents

Of episodes whose outcome is unknown the chunks are learnt, and nothing is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.algorithms.world_model.dream_data import BoolArray, IntArray, Judged, Moves
from vla_mbpo_ros.data.dataset import DatasetSettings, RewardSamples, Transitions
from vla_mbpo_ros.data.dataset.cached_episode import CachedEpisode
from vla_mbpo_ros.data.dataset.settings import LABELLED
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.pictures import PictureSource, fit_all
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.world_model.latents import EpisodePictures, LatentCache, Progress
from vla_mbpo_ros.world_model.protocol import Scenes
from vla_mbpo_ros.world_model.umm import assemble
from vla_mbpo_ros.world_model.umm.assemble import Clean
from vla_mbpo_ros.world_model.umm.model import UmmWorld

BEFORE_S, AFTER_S = 0.2, 0.2  # around the success nobody can say whether it is seen


class BagDreams:
    """`DreamData` over episodes of one robot."""

    def __init__(
        self,
        episodes: Sequence[CachedEpisode],
        world: UmmWorld,
        cache: Path,
        stride: int = 1,
        progress: Progress | None = None,
    ) -> None:
        views = world.around.views
        for episode in episodes:
            if missing := [view for view in views if view not in episode.cameras]:
                cause = f"{episode.bag} has no images of {', '.join(missing)}."
                raise ContractError(cause, f"Give bags with the cameras {', '.join(views)}.")
        self._world, self._episodes = world, tuple(episodes)
        settings = DatasetSettings(k=world.horizon, stride=stride)
        self._moves = Transitions(self._episodes, settings)
        labelled = tuple(episode for episode in episodes if episode.facts.outcome in LABELLED)
        self._samples = RewardSamples(labelled, BEFORE_S, AFTER_S, stride)
        self.done: BoolArray = self._samples.labels
        self._pictures = {episode.path: EpisodePictures(episode) for episode in episodes}
        latents = LatentCache(cache, world.around.autoencoder, world.size[0])
        self._latents = {
            path: latents.open(source.name, source.identity, source, progress)
            for path, source in self._pictures.items()
        }

    def __len__(self) -> int:
        return len(self._moves)

    def moves(self, rows: IntArray) -> Moves:
        found = [(self._episodes[self._moves.episode_index[row]], int(self._moves.rows[row])) for row in rows]
        after = [(episode, row + self._world.horizon) for episode, row in found]
        chunks, state = self._acted(found)
        reached = np.stack([episode.state[row] for episode, row in after])
        return Moves(self._views(found), self._views(after), chunks, state, reached, _texts(found))

    def judged(self, rows: IntArray) -> Judged:
        samples = self._samples
        found = [(samples.episodes[samples.episode_index[row]], int(samples.rows[row])) for row in rows]
        return Judged(self._views(found), _texts(found), self.done[rows])

    def after(self, rows: IntArray) -> BoolArray:
        return np.asarray(self._moves.done[rows])

    def scenes(self, rows: IntArray) -> tuple[Scenes, FloatArray, ImageArray]:
        found = [(self._episodes[self._moves.episode_index[row]], int(self._moves.rows[row])) for row in rows]
        chunks, state = self._acted(found)
        after = self._images([(episode, row + self._world.horizon) for episode, row in found])
        return Scenes(self._images(found), state, _texts(found)), chunks, after

    def _acted(self, found: Sequence[_Place]) -> tuple[FloatArray, FloatArray]:
        """(B, K, N) as executed, (B, N) the state before."""
        chunks = np.stack([episode.action[row : row + self._world.horizon] for episode, row in found])
        return chunks, np.stack([episode.state[row] for episode, row in found])

    def _views(self, found: Sequence[_Place]) -> Clean:
        if self._world.net.cfg.vit.layers:
            return self._world.clean(self._images(found))
        latents = torch.stack([self._latents_at(episode, row) for episode, row in found])  # (B, V, C, h, w)
        tokens = assemble.to_tokens(latents.flatten(0, 1), self._world.net.cfg).to(self._world.net.device)
        return Clean(tokens.reshape(*latents.shape[:2], *tokens.shape[1:]), None)

    def _latents_at(self, episode: CachedEpisode, row: int) -> Tensor:
        held, pictures = self._latents[episode.path], self._pictures[episode.path]
        frames = dict(zip(pictures.views, pictures.rows[row], strict=True))
        return torch.stack([torch.from_numpy(held[view][frames[view]].copy()) for view in self._world.around.views])

    def _images(self, found: Sequence[_Place]) -> ImageArray:
        side = self._world.size[0]
        views = self._world.around.views
        seen = [[fit_all(np.asarray(episode.images(row)[view]), side) for view in views] for episode, row in found]
        return np.stack([np.stack(each) for each in seen])


_Place = tuple[CachedEpisode, int]  # an episode and a row of it


class ManyPictures:
    """The pictures of several episodes, one after the other."""

    def __init__(self, episodes: Sequence[CachedEpisode], views: Sequence[str]) -> None:
        self.views = tuple(views)
        self._parts: list[PictureSource] = [EpisodePictures(episode) for episode in episodes]

    def count(self, view: str) -> int:
        return sum(part.count(view) for part in self._parts)

    def pictures(self, view: str, rows: IntArray) -> ImageArray:
        bounds = np.cumsum([0, *(part.count(view) for part in self._parts)])
        whose = np.searchsorted(bounds, rows, side="right") - 1
        shown = [self._parts[part].pictures(view, rows[at : at + 1] - bounds[part])[0] for at, part in enumerate(whose)]
        return np.stack(shown)


def _texts(found: Sequence[_Place]) -> tuple[str, ...]:
    return tuple(episode.facts.instruction for episode, _ in found)
