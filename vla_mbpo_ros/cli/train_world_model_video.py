"""The video rival, for `vla-mbpo train world-model --model video`: journeys filmed, learnt from, and saved as a world.

OUT/training, OUT/curve.csv      what is needed to go on        OUT/world      what world_model.checkpoint takes
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.algorithms.log import Watch
    from vla_mbpo_ros.algorithms.video import VideoTraining
    from vla_mbpo_ros.models.autoencoder import Autoencoder
    from vla_mbpo_ros.sim.tabletop import Journeys, Pool
    from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig

WORLD = "world"


def train_video_world(
    pool: Pool,
    journeys: Journeys,
    held_out: Journeys | None,
    autoencoder: Autoencoder,
    cfg: VideoTraining,
    out: Path,
    model: VideoConfig | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """What to tell of it. The views' and latents' sizes of `model` are those of the data."""
    from vla_mbpo_ros.algorithms.footage import make_footage
    from vla_mbpo_ros.algorithms.video import train_video
    from vla_mbpo_ros.robots.tabletop import TABLETOP
    from vla_mbpo_ros.world_model.actions import for_robot
    from vla_mbpo_ros.world_model.rivals.video.checkpoint import save_video
    from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig
    from vla_mbpo_ros.world_model.rivals.video.model import Setting, VideoWorld

    if (out / WORLD).exists():
        raise ConfigError(f"{out / WORLD} exists already, not overwriting.", "Give another folder.")
    fitting = _fitted(model or VideoConfig(), journeys, autoencoder)
    codec = for_robot(TABLETOP, journeys.horizon)
    before = pool.ledger.steps
    footage = make_footage(pool, journeys, autoencoder, codec, fitting)
    tested = None if held_out is None else make_footage(pool, held_out, autoencoder, codec, fitting)
    net = train_video(footage, cfg, fitting, out, tested, watch)
    world = VideoWorld(net, Setting(autoencoder, codec, TABLETOP, TABLETOP.camera_names), "")
    cost = {"chunks": len(footage), "control_steps": pool.ledger.steps - before}
    return {"world_model": str(out / WORLD), "version": save_video(world, out / WORLD), "cost": cost}


def _fitted(model: VideoConfig, journeys: Journeys, autoencoder: Autoencoder) -> VideoConfig:
    """In the size of the pictures and of the chunks."""
    from vla_mbpo_ros.world_model.umm.config import LatentConfig

    side = int(journeys.images.shape[2]) // autoencoder.downsample
    latent = LatentConfig(height=side, breadth=side, channels=autoencoder.latent_channels, patch=model.latent.patch)
    views, dof = int(journeys.images.shape[1]), int(journeys.chunks.shape[2])
    return replace(model, latent=latent, views=views, horizon=journeys.horizon, dof=dof)
