from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def small() -> Callable[..., Any]:
    """A small policy of random weights for three joints and two views; keywords change the settings of its inputs."""
    pytest.importorskip("torch", reason="torch is not installed")

    def make(seed: int = 0, flow: Any = None, views: int = 2, **inputs: Any) -> Any:
        from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig
        from vla_mbpo_ros.policy.flow.normalisation import Columns, Normalisation
        from vla_mbpo_ros.policy.tiny.config import TinyConfig
        from vla_mbpo_ros.policy.tiny.factory import make_tiny

        columns = Columns(("a", "b", "c"), (0.0, 0.1, 0.2), (1.0, 2.0, 0.5))
        settings = {"cameras": {"head": "head", "wrist": "wrist"}, "image_size": 32, **inputs}
        cfg = TinyConfig(views=views, horizon=6, action_dim=3, state_dim=3, channels=8, keypoints=4, width=32, blocks=1)
        flow = flow or FlowConfig(noise_basis=2, noise_low=0.2, noise_high=0.8, noise_start=0.4, value_hidden=(16,))
        return make_tiny(cfg, flow, InputConfig(**settings), Normalisation("quantile", columns, columns), seed)

    return make
