"""Held-out dreams during a training, as numbers and as pictures.

previews/step_02000.png      head and wrist: truth over dream, one column a chunk

psnr_<view>, copy_<view>     dB, of the dream and of the picture before: a model that is worse than the second has
                             learnt nothing yet
f1                           of the judge on these dreams
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from vla_mbpo_ros.algorithms.descent import evenly
from vla_mbpo_ros.algorithms.world_model.dream_data import DreamData, IntArray
from vla_mbpo_ros.evaluation.confusion import Confusion
from vla_mbpo_ros.evaluation.images import psnr
from vla_mbpo_ros.evaluation.strips import draw_strip
from vla_mbpo_ros.schema import ImageArray
from vla_mbpo_ros.world_model.protocol import Dreams
from vla_mbpo_ros.world_model.umm.model import UmmWorld

_ROWS, _SHOWN = 96, 8
_AT_ONCE = 32
_SURE = 0.5  # probability from which on a success is said


class Previews:
    """A `Preview` of always the same held-out chunks, with always the same chance."""

    def __init__(self, held_out: DreamData, folder: Path) -> None:
        self._folder = folder
        self._rows = _chosen(held_out)
        self._scenes, self._chunks, self._truth = held_out.scenes(self._rows)
        self._done = held_out.after(self._rows)

    def __call__(self, world: UmmWorld, step: int) -> dict[str, float]:
        """NaN where it is not due: step -1."""
        before = psnr(self._truth, self._scenes.images).mean(axis=0)
        copied = {f"copy_{view}": float(value) for view, value in zip(world.views, before, strict=True)}
        if step < 0:
            return {**{f"psnr_{view}": math.nan for view in world.views}, **copied, "f1": math.nan}
        dreams = self._dream(world)
        found = psnr(self._truth, dreams.images).mean(axis=0)
        self._draw(world, dreams.images, step)
        dreamt = {f"psnr_{view}": float(value) for view, value in zip(world.views, found, strict=True)}
        return {**dreamt, **copied, "f1": Confusion.count(dreams.success > _SURE, self._done).f1}

    def _dream(self, world: UmmWorld) -> Dreams:
        parts = []
        for first in range(0, len(self._rows), _AT_ONCE):
            rows = list(range(first, min(first + _AT_ONCE, len(self._rows))))
            parts.append(world.imagine(self._scenes.select(rows), self._chunks[rows], rows))
        joined = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "success", "state"))
        images, success, state = joined
        return Dreams(images, success, state, parts[0].source)

    def _draw(self, world: UmmWorld, made: ImageArray, step: int) -> None:
        shown = evenly(len(made), _SHOWN)
        rows = {
            view: {
                "before": self._scenes.images[shown, index],
                "truth": self._truth[shown, index],
                "dream": made[shown, index],
            }
            for index, view in enumerate(world.views)
        }
        draw_strip(rows, self._folder / f"step_{step:05d}.png", [f"chunk {row}" for row in self._rows[shown]])


def _chosen(held_out: DreamData) -> IntArray:
    """Evenly spread, and some that end in success."""
    every = np.arange(len(held_out), dtype=np.int64)
    done = np.flatnonzero(held_out.after(every))
    return np.unique(np.concatenate([evenly(len(every), _ROWS), done[:: max(len(done) // (_ROWS // 4), 1)]]))
