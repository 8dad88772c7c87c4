"""The simplest rival: nothing moves. A world model that does not beat it has learnt nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.world_model.protocol import Dreams, Pause, Scenes, StateSource, go_on


class CopyLast:
    """The next views are the last ones. It imagines no state and judges nothing, and says so."""

    version = "copy_last-1"

    def __init__(self, views: Sequence[str], size: tuple[int, int], horizon: int) -> None:
        self.views, self.size, self.horizon = tuple(views), size, horizon

    def imagine(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> Dreams:
        pause()
        unknown = np.full_like(scenes.state, np.nan)
        return Dreams(scenes.images.copy(), self.judge(scenes), unknown, StateSource.NONE)

    def judge(self, scenes: Scenes) -> FloatArray:
        return np.full(len(scenes), np.nan)
