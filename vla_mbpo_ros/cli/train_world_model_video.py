"""`train world-model --model video`: journeys filmed, learnt from by the video rival, and saved as a world.

It learns from the journeys that UMM-World learns from, with an autoencoder that is made or given in the same way.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.train_view import Bar
from vla_mbpo_ros.cli.train_world_model import WORLD
from vla_mbpo_ros.cli.train_world_model_umm import autoencoder_for, played_journeys
from vla_mbpo_ros.cli.world_model_settings import split_changes

if TYPE_CHECKING:
    from vla_mbpo_ros.algorithms.footage import Footage
    from vla_mbpo_ros.models.autoencoder import Autoencoder
    from vla_mbpo_ros.sim.tabletop import Journeys
    from vla_mbpo_ros.world_model.actions import ActionCodec
    from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig


def train(args: argparse.Namespace) -> dict[str, Any] | None:
    from vla_mbpo_ros.algorithms.autoencoder import AutoencoderTraining
    from vla_mbpo_ros.algorithms.tabletop import resolve_tasks
    from vla_mbpo_ros.algorithms.video import VideoTraining
    from vla_mbpo_ros.config_io import update
    from vla_mbpo_ros.models.distributed import ALONE
    from vla_mbpo_ros.models.pictures import ArrayPictures
    from vla_mbpo_ros.robots.tabletop import TABLETOP
    from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig

    trees, tasks = split_changes(args), resolve_tasks(args.task)
    cfg = update(VideoTraining(seed=args.seed), trees[""], "--set")
    network = update(VideoConfig(), trees["network"], "--set")
    pixels = update(AutoencoderTraining(seed=args.seed), trees["autoencoder"], "--set")
    journeys, held_out = played_journeys(args, tasks)
    network = replace(network, views=len(TABLETOP.cameras), horizon=journeys.horizon, dof=TABLETOP.dof)
    pictures = tuple(ArrayPictures(each.images, TABLETOP.camera_names) for each in (journeys, held_out))
    autoencoder = autoencoder_for(args, pixels, network.latent, (pictures[0], pictures[1]), ALONE)
    facts = {"robot": TABLETOP.name, "tasks": list(tasks), "episodes": len(journeys.tasks)}
    return {**_learn(args, cfg, network, autoencoder, (journeys, held_out)), **facts}


def _learn(
    args: argparse.Namespace,
    cfg: Any,
    network: VideoConfig,
    autoencoder: Autoencoder,
    played: tuple[Journeys, Journeys],
) -> dict[str, Any]:
    from vla_mbpo_ros.algorithms.descent import CURVE
    from vla_mbpo_ros.algorithms.log import read_log
    from vla_mbpo_ros.algorithms.video import train_video
    from vla_mbpo_ros.robots.tabletop import TABLETOP
    from vla_mbpo_ros.world_model.actions import for_robot
    from vla_mbpo_ros.world_model.rivals.video.checkpoint import save_video
    from vla_mbpo_ros.world_model.rivals.video.model import Setting, VideoWorld

    codec = for_robot(TABLETOP, network.horizon)
    footage, held_out = _filmed(args, played, autoencoder, codec, network)
    with Bar("video", cfg.steps, "step", ("loss", "held_out"), quiet=args.json) as bar:
        net = train_video(footage, cfg, network, args.out, held_out, bar.see)
    world = VideoWorld(net, Setting(autoencoder, codec, TABLETOP, TABLETOP.camera_names), "new")
    version = save_video(world, args.out / WORLD)
    last = read_log(args.out / CURVE)[-1]
    cost = {"chunks": len(footage), "seconds": float(last["seconds"])}
    told = {"held_out": float(last["held_out"])}  # its loss
    return {"world_model": str(args.out / WORLD), "version": version, "held_out": told, "cost": cost}


def _filmed(
    args: argparse.Namespace,
    played: tuple[Journeys, Journeys],
    autoencoder: Autoencoder,
    codec: ActionCodec,
    network: VideoConfig,
) -> tuple[Footage, Footage]:
    from vla_mbpo_ros.algorithms.footage import make_footage
    from vla_mbpo_ros.sim.tabletop import Pool

    height, width = played[0].images.shape[2:4]
    with Pool(args.workers, width, height) as pool:
        learnt, tested = (make_footage(pool, each, autoencoder, codec, network) for each in played)
    return learnt, tested


def show(result: Mapping[str, Any]) -> None:
    from vla_mbpo_ros.cli.train_world_model_umm import show as show_world

    show_world(result)
