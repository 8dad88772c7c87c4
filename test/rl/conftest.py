from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def small() -> Callable[..., Any]:
    """A small policy of random weights for three joints and two views of 16 pixels."""
    pytest.importorskip("torch", reason="torch is not installed")

    def make(seed: int = 0, **flow: Any) -> Any:
        from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig
        from vla_mbpo_ros.policy.flow.normalisation import Columns, Normalisation
        from vla_mbpo_ros.policy.tiny.config import TinyConfig
        from vla_mbpo_ros.policy.tiny.factory import make_tiny

        columns = Columns(("a", "b", "c"), (0.0, 0.1, 0.2), (1.0, 2.0, 0.5))
        inputs = InputConfig(cameras={"head": "head", "wrist": "wrist"}, image_size=16, max_tokens=24)
        cfg = TinyConfig(views=2, horizon=4, action_dim=3, state_dim=3, channels=8, keypoints=4, width=64, blocks=1)
        noise = {"noise_basis": 2, "noise_low": 0.2, "noise_high": 0.8, "noise_start": 0.4, "value_hidden": (32,)}
        return make_tiny(
            cfg, FlowConfig(**{**noise, **flow}), inputs, Normalisation("quantile", columns, columns), seed
        )

    return make


@pytest.fixture
def ground() -> Callable[[], Any]:
    """A world of one number an episode, moved by a quarter of the sum of a chunk's actions "a".

    It succeeds beyond 1, fails below -1, and is out of time after three chunks. The number is in the state and in the
    brightness of the pictures.
    """

    from vla_mbpo_ros.rl.rollout import Outcome, Seen

    class Line:
        cameras = ("head", "wrist")

        def reset(self, tasks: Sequence[str], seeds: Sequence[int]) -> Seen:
            self.place = np.array([np.random.default_rng(seed).uniform(-0.3, 0.3) for seed in seeds])
            self.texts = tuple(tasks)
            self.turns = np.zeros(len(seeds), dtype=np.int64)
            return self._seen(np.arange(len(seeds)))

        def step(self, chunks: Any, slots: Any) -> Outcome:
            self.place[slots] += 0.25 * chunks[:, :, 0].sum(axis=1)
            self.turns[slots] += 1
            success, failure = self.place[slots] > 1.0, self.place[slots] < -1.0
            late = self.turns[slots] >= 3
            steps = np.full(len(slots), chunks.shape[1], dtype=np.int64)
            over = success | failure | late
            return Outcome(self._seen(slots), success, over, late & ~success & ~failure, steps)

        def _seen(self, slots: Any) -> Seen:
            place = self.place[slots]
            bright = np.clip(128 + 60 * place, 0, 255).astype(np.uint8)
            images = np.broadcast_to(bright[:, None, None, None, None], (len(slots), 2, 16, 16, 3)).copy()
            state = np.stack([place, np.zeros_like(place), np.zeros_like(place)], axis=1)
            return Seen(images, state, tuple(self.texts[slot] for slot in slots), 1.0 - self.turns[slots] / 3.0)

    return Line
