"""The video rival, from journeys to a folder that the factory loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.cli.train_world_model_video import train_video_world  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.config import Config, WorldModelConfig  # noqa: E402
from vla_mbpo_ros.errors import ConfigError  # noqa: E402
from vla_mbpo_ros.robots.settings import resolve  # noqa: E402
from vla_mbpo_ros.robots.tabletop import TABLETOP  # noqa: E402
from vla_mbpo_ros.world_model.factory import make_world_model, rehearse  # noqa: E402


def test_a_training_leaves_a_world_that_the_factory_loads(tmp_path: Path) -> None:
    from vla_mbpo_ros.algorithms.video import VideoTraining
    from vla_mbpo_ros.models.autoencoder import Autoencoder, AutoencoderConfig
    from vla_mbpo_ros.sim.tabletop import ClumsyExperts, Pool, travel
    from vla_mbpo_ros.world_model.protocol import Scenes
    from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig

    autoencoder = Autoencoder(AutoencoderConfig(widths=(8, 8), patch=4, latent_channels=8, groups=4)).eval()
    cfg = VideoTraining(steps=3, batch=4, log_every=1)
    model = VideoConfig(width=32, layers=1, heads=2, mlp=32, every=5)
    with Pool(workers=1, width=32, height=32) as pool:
        journeys = travel(pool, ["press_red"], [0], ClumsyExperts(pool))
        before = pool.ledger.steps
        told = train_video_world(pool, journeys, journeys, autoencoder, cfg, tmp_path, model)
        assert told["cost"]["control_steps"] == pool.ledger.steps - before > 0
        with pytest.raises(ConfigError, match="exists already"):
            train_video_world(pool, journeys, None, autoencoder, cfg, tmp_path, model)
    settings = WorldModelConfig(kind="video", checkpoint=told["world_model"])
    world = make_world_model(replace(resolve(Config(robot="tabletop")), world_model=settings), TABLETOP)
    assert world.version == told["version"]
    assert (world.size, world.horizon, world.views) == ((32, 32), 10, TABLETOP.camera_names)
    rehearse(world, TABLETOP, "press the red button")
    scene = Scenes(journeys.images[:1], journeys.state[:1], ("press the red button",))
    assert np.isnan(world.imagine(scene, journeys.chunks[:1], [0]).success).all()
    assert (tmp_path / "curve.csv").read_text().startswith("step,loss")
