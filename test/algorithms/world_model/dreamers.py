"""A small world model that several processes train. A program.

torchrun --standalone --nproc-per-node 2 test/algorithms/world_model/dreamers.py OUT    as a whole, and in two parts
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from vla_mbpo_ros.algorithms.world_model.dream_data import JourneyDreams
from vla_mbpo_ros.algorithms.world_model.umm import train_world_model
from vla_mbpo_ros.algorithms.world_model.umm_config import WorldModelTraining
from vla_mbpo_ros.models.autoencoder import Autoencoder, AutoencoderConfig
from vla_mbpo_ros.models.distributed import Team, join
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.sim.tabletop import ClumsyExperts, Journeys, Pool, travel
from vla_mbpo_ros.world_model.actions import for_robot
from vla_mbpo_ros.world_model.umm.checkpoint import save_world
from vla_mbpo_ros.world_model.umm.config import LatentConfig, SamplerConfig, TrunkConfig, UmmConfig
from vla_mbpo_ros.world_model.umm.model import Around, UmmWorld
from vla_mbpo_ros.world_model.umm.net import fresh_net
from vla_mbpo_ros.world_model.vocabulary import ByteVocabulary

SMALL = UmmConfig(
    trunk=TrunkConfig(width=32, layers=2, heads=2, kv_heads=1, mlp=48),
    latent=LatentConfig(height=4, breadth=4, channels=8),
    sampler=SamplerConfig(euler_steps=1),
)
CFG = WorldModelTraining(
    steps=6,
    batch=4,
    draws=1,
    judged=4,
    warmup=0,
    dreamed=4,
    dreamed_every=2,
    patience=9,
    preview_every=2,
    log_every=2,
    save_every=3,
)


def make_world() -> UmmWorld:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        autoencoder = Autoencoder(AutoencoderConfig(widths=(8, 8), patch=4, latent_channels=8, groups=4))
    around = Around(
        autoencoder.eval().requires_grad_(False),
        ByteVocabulary(),
        for_robot(TABLETOP, 10),
        TABLETOP,
        TABLETOP.camera_names,
        True,
    )
    return UmmWorld(fresh_net(SMALL, 0), around, "new")


def train(journeys: Journeys, folder: Path, team: Team, until: int | None = None) -> UmmWorld:
    world = make_world()
    data = JourneyDreams(journeys, world)

    def preview(shown: UmmWorld, step: int) -> dict[str, float]:
        scenes, chunks, _ = data.scenes(np.array([0]))
        return {"grey": float(shown.imagine(scenes, chunks, [0]).images.mean())}

    return train_world_model(
        world, data, CFG, folder, data, until=until, preview=preview if team.leads else None, team=team
    )


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with join("cpu") as team:
        with Pool(1, 32, 32) as pool:
            journeys = travel(pool, ["press_red", "press_blue"], [60, 61], ClumsyExperts(pool))
        train(journeys, folder / "parts", team, until=3)
        for name in ("parts", "whole"):
            save_world(train(journeys, folder / name, team), folder / f"{name}_{team.rank}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
