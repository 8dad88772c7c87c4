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
from vla_mbpo_ros.cli.world_model_settings import refuse_changes_of_a_parent, split_changes
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.algorithms.world_model.footage import Footage
    from vla_mbpo_ros.algorithms.world_model.video import VideoTraining
    from vla_mbpo_ros.sim.tabletop import Journeys
    from vla_mbpo_ros.world_model.rivals.video.model import VideoWorld


def train(args: argparse.Namespace) -> dict[str, Any] | None:
    from vla_mbpo_ros.algorithms.grounds.tabletop import resolve_tasks
    from vla_mbpo_ros.algorithms.world_model.video import VideoTraining
    from vla_mbpo_ros.config_io import update
    from vla_mbpo_ros.robots.tabletop import TABLETOP

    trees, tasks = split_changes(args), resolve_tasks(args.task)
    cfg = update(VideoTraining(seed=args.seed), trees[""], "--set")
    parent = _parent(args, trees)
    journeys, held_out = played_journeys(args, tasks)
    world = parent or _fresh(args, trees, (journeys, held_out))
    facts = {"robot": TABLETOP.name, "tasks": list(tasks), "episodes": len(journeys.tasks)}
    return {**_learn(args, cfg, world, (journeys, held_out)), **facts}


def _parent(args: argparse.Namespace, trees: Mapping[str, Any]) -> VideoWorld | None:
    """What cannot be is refused before episodes are played."""
    from vla_mbpo_ros.robots.tabletop import TABLETOP
    from vla_mbpo_ros.world_model.rivals.video.checkpoint import load_video

    if trees["arrival"]:
        raise ConfigError("video learns no states: it says the last command.", "Leave arrival.… out.")
    if args.parent is None:
        return None
    refuse_changes_of_a_parent(trees)
    return load_video(args.parent, TABLETOP)


def _fresh(args: argparse.Namespace, trees: Mapping[str, Any], played: tuple[Journeys, Journeys]) -> VideoWorld:
    """With a network of random weights."""
    from vla_mbpo_ros.algorithms.world_model.autoencoder import AutoencoderTraining
    from vla_mbpo_ros.algorithms.world_model.video import fresh_net
    from vla_mbpo_ros.config_io import update
    from vla_mbpo_ros.models.distributed import ALONE
    from vla_mbpo_ros.models.pictures import ArrayPictures
    from vla_mbpo_ros.robots.tabletop import TABLETOP
    from vla_mbpo_ros.world_model.actions import for_robot
    from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig
    from vla_mbpo_ros.world_model.rivals.video.model import Setting, VideoWorld
    from vla_mbpo_ros.world_model.umm.config import TINY_LATENT

    network = update(VideoConfig(latent=TINY_LATENT), trees["network"], "--set")
    network = replace(network, views=len(TABLETOP.cameras), horizon=played[0].horizon, dof=TABLETOP.dof)
    pixels = update(AutoencoderTraining(seed=args.seed), trees["autoencoder"], "--set")
    pictures, tested = (ArrayPictures(each.images, TABLETOP.camera_names) for each in played)
    autoencoder = autoencoder_for(args, pixels, network.latent, (pictures, tested), ALONE)
    setting = Setting(autoencoder, for_robot(TABLETOP, network.horizon), TABLETOP, TABLETOP.camera_names)
    return VideoWorld(fresh_net(network, args.seed), setting, "new")


def _learn(
    args: argparse.Namespace, cfg: VideoTraining, world: VideoWorld, played: tuple[Journeys, Journeys]
) -> dict[str, Any]:
    from vla_mbpo_ros.algorithms.descent import CURVE, read_log
    from vla_mbpo_ros.algorithms.world_model.video import train_video
    from vla_mbpo_ros.world_model.rivals.video.checkpoint import save_video

    footage, held_out = _filmed(args, played, world)
    with Bar("video", cfg.steps, "step", ("loss", "held_out"), quiet=args.json) as bar:
        train_video(footage, cfg, world.net, args.out, held_out, bar.see)
    version = save_video(world, args.out / WORLD)
    last = read_log(args.out / CURVE)[-1]
    cost = {"chunks": len(footage), "seconds": float(last["seconds"])}
    told = {"held_out": float(last["held_out"])}  # its loss
    return {"world_model": str(args.out / WORLD), "version": version, "held_out": told, "cost": cost}


def _filmed(args: argparse.Namespace, played: tuple[Journeys, Journeys], world: VideoWorld) -> tuple[Footage, Footage]:
    from vla_mbpo_ros.algorithms.world_model.footage import make_footage
    from vla_mbpo_ros.sim.tabletop import Pool

    setting, (height, width) = world.setting, played[0].images.shape[2:4]
    with Pool(args.workers, width, height) as pool:
        learnt, tested = (
            make_footage(pool, each, setting.autoencoder, setting.codec, world.net.cfg) for each in played
        )
    return learnt, tested


def show(result: Mapping[str, Any]) -> None:
    from vla_mbpo_ros.cli.train_world_model_umm import show as show_world

    show_world(result)
