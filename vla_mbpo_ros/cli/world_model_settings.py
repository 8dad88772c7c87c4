"""What `train world-model` is told: every setting that --set may change."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.train_policy import parse_changes
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.algorithms.world_model.arrival import ArrivalTraining
    from vla_mbpo_ros.algorithms.world_model.autoencoder import AutoencoderTraining
    from vla_mbpo_ros.algorithms.world_model.umm_config import WorldModelTraining
    from vla_mbpo_ros.world_model.umm.config import UmmConfig


@dataclass(frozen=True)
class Settings:
    """Four trees, which --set names by `autoencoder.`, `network.`, `arrival.` and nothing."""

    training: WorldModelTraining
    autoencoder: AutoencoderTraining
    network: UmmConfig
    arrival: ArrivalTraining


def settings_of(args: argparse.Namespace) -> Settings:
    """ConfigError for what cannot be."""
    from vla_mbpo_ros.algorithms.world_model.arrival import ArrivalTraining
    from vla_mbpo_ros.algorithms.world_model.autoencoder import AutoencoderTraining
    from vla_mbpo_ros.algorithms.world_model.umm_config import WorldModelTraining
    from vla_mbpo_ros.config_io import update
    from vla_mbpo_ros.world_model.umm.config import preset

    trees = split_changes(args)
    if args.parent is not None:
        refuse_changes_of_a_parent(trees)
    network = update(preset(args.preset), trees["network"], "--set")
    pixels = AutoencoderTraining(seed=args.seed, size=_side(args, network))
    return Settings(
        update(WorldModelTraining(seed=args.seed), trees[""], "--set"),
        update(pixels, trees["autoencoder"], "--set"),
        network,
        update(ArrivalTraining(), trees["arrival"], "--set"),
    )


def _side(args: argparse.Namespace, network: UmmConfig) -> int:
    """Of a picture [pixels], as the latents want it: the network's, or a parent's."""
    from vla_mbpo_ros.models.autoencoder import AutoencoderConfig, load_autoencoder
    from vla_mbpo_ros.world_model.folder import AUTOENCODER
    from vla_mbpo_ros.world_model.umm.files import read_config

    if args.parent is None:
        return AutoencoderConfig().downsample * network.latent.height
    return load_autoencoder(args.parent / AUTOENCODER).downsample * read_config(args.parent).latent.height


def refuse_changes_of_a_parent(trees: Mapping[str, Any]) -> None:
    if trees["network"] or trees["autoencoder"]:
        cause = "--set changes the network or the autoencoder, and --parent brings them as they are."
        raise ConfigError(cause, "Leave one of the two out.")


def split_changes(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What --set changes in each tree of settings; the training's own is ""."""
    trees: dict[str, dict[str, Any]] = {"autoencoder": {}, "network": {}, "arrival": {}, "": {}}
    for key, value in parse_changes(args.set).items():
        tree, dot, name = key.partition(".")
        if dot and tree in trees:
            trees[tree][name] = value
        else:
            trees[""][key] = value
    return trees
