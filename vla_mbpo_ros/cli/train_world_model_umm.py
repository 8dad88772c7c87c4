"""The way of `train world-model`: data, autoencoder, network, and pictures of what it dreams meanwhile."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.output import say
from vla_mbpo_ros.cli.train_view import Bar
from vla_mbpo_ros.cli.train_world_model import WORLD
from vla_mbpo_ros.cli.world_model_settings import Settings, settings_of
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.algorithms.world_model.autoencoder import AutoencoderTraining
    from vla_mbpo_ros.algorithms.world_model.dream_data import DreamData
    from vla_mbpo_ros.models.autoencoder import Autoencoder
    from vla_mbpo_ros.models.distributed import Team
    from vla_mbpo_ros.models.pictures import PictureSource
    from vla_mbpo_ros.robots import RobotSpec
    from vla_mbpo_ros.sim.tabletop import Journeys
    from vla_mbpo_ros.world_model.umm.config import LatentConfig
    from vla_mbpo_ros.world_model.umm.model import UmmWorld

_FIRST_SEED, _SEEDS = 20_000_000, 100_000  # of episodes; far from those of policies and of evaluations
_HELD_OUT_SEED, _HELD_OUT = 50_000, 16  # behind the first of a seed; episodes a task
_AUTOENCODER = "autoencoder"


@dataclass(frozen=True)
class _Ground:
    """What the data are of."""

    robot: RobotSpec
    views: tuple[str, ...]
    horizon: int
    pictures: PictureSource
    held_out_pictures: PictureSource | None
    open: Any  # world -> (data, held out)
    facts: Mapping[str, Any]


def train(args: argparse.Namespace) -> dict[str, Any] | None:
    """What came of it; None in a process that only helped."""
    from vla_mbpo_ros.models.distributed import join

    settings = settings_of(args)
    with join(args.device) as team:
        ground = _bags(args, settings) if args.data else _tabletop(args)
        result = _learn(args, settings, ground, team)
    return result if team.leads else None


def _learn(args: argparse.Namespace, settings: Settings, ground: _Ground, team: Team) -> dict[str, Any]:
    from vla_mbpo_ros.algorithms.descent import CURVE, read_log
    from vla_mbpo_ros.algorithms.world_model.umm import train_world_model
    from vla_mbpo_ros.evaluation.world_model.preview import Previews
    from vla_mbpo_ros.world_model.umm.checkpoint import save_world

    world = _world(args, settings, ground, team)
    data, held_out = ground.open(world)
    if team.leads:
        say(f"{len(data)} chunks to learn from, {len(held_out)} to test with.")
    cfg, quiet = settings.training, args.json or not team.leads
    previews = Previews(held_out, args.out / "previews") if team.leads and len(held_out) else None
    tested = held_out if len(held_out) else None
    with Bar("world model", cfg.steps, "step", ("mse", "ce", "held_out_mse"), quiet=quiet) as bar:
        train_world_model(world, data, cfg, args.out, tested, bar.see, preview=previews, team=team)
    if not team.leads:
        return {}
    states = _learn_states(args, settings, world, data, tested)
    version = save_world(world, args.out / WORLD)
    last = read_log(args.out / CURVE)[-1]
    told = {name: float(last[name]) for name in last if name.startswith(("held_out", "psnr", "copy", "f1"))}
    cost = {"chunks": len(data), "seconds": float(last["seconds"])}
    return {
        "world_model": str(args.out / WORLD),
        "version": version,
        "held_out": told,
        **states,
        "cost": cost,
        **ground.facts,
    }


def _learn_states(
    args: argparse.Namespace, settings: Settings, world: UmmWorld, data: DreamData, held_out: DreamData | None
) -> dict[str, Any]:
    """Where joints are after a chunk, of commands in the robot's units; how far off it is."""
    from vla_mbpo_ros.algorithms.world_model.arrival import fit_arrival, state_errors

    if not settings.arrival.dreams or not world.around.commands:
        return {}
    world.around = replace(world.around, arrival=None)  # not a parent's: this network dreams otherwise
    with Bar("states", 100, "percent", (), quiet=args.json) as bar:
        arrival = fit_arrival(world, data, settings.arrival, args.seed, bar.see)
    errors = {} if held_out is None else state_errors(world, held_out, arrival, args.seed)
    world.around = replace(world.around, arrival=arrival)
    return {"state_off": errors}


def _world(args: argparse.Namespace, settings: Settings, ground: _Ground, team: Team) -> UmmWorld:
    """With a network of random weights, or a parent's."""
    from vla_mbpo_ros.world_model.actions import for_robot
    from vla_mbpo_ros.world_model.umm.checkpoint import load_world
    from vla_mbpo_ros.world_model.umm.model import Around, UmmWorld
    from vla_mbpo_ros.world_model.umm.net import fresh_net
    from vla_mbpo_ros.world_model.vocabulary import ByteVocabulary

    if args.parent is not None:
        return load_world(args.parent, ground.robot, team.device)
    pictures = ground.pictures, ground.held_out_pictures
    autoencoder = autoencoder_for(args, settings.autoencoder, settings.network.latent, pictures, team)
    codec, words = for_robot(ground.robot, ground.horizon), ByteVocabulary(ground.robot.dof)
    cfg = replace(settings.network, trunk=replace(settings.network.trunk, vocabulary=words.size))
    net = fresh_net(cfg, args.seed, [words.levels_of(joint) for joint in range(words.joints)])
    around = Around(autoencoder.to(team.device), words, codec, ground.robot, ground.views, not args.no_ivd)
    return UmmWorld(net.to(team.device), around, "new")


def autoencoder_for(
    args: argparse.Namespace,
    cfg: AutoencoderTraining,
    latent: LatentConfig,
    pictures: tuple[PictureSource, PictureSource | None],  # to learn from, and held out
    team: Team,
) -> Autoencoder:
    """The given one, the one of an interrupted training, or a new one."""
    from vla_mbpo_ros.algorithms.world_model.autoencoder import train_autoencoder
    from vla_mbpo_ros.models.autoencoder import AutoencoderConfig, load_autoencoder, save_autoencoder

    if args.autoencoder is not None and not args.autoencoder.is_dir():
        raise ConfigError(f"There is no folder at {args.autoencoder}.", "Give the one of a trained autoencoder.")
    kept = args.autoencoder or args.out / _AUTOENCODER / "model"
    if not kept.exists() and team.leads:
        model = AutoencoderConfig(latent_channels=latent.channels)
        if model.downsample * latent.height != cfg.size:
            cause = f"{latent.height} latents a side of {model.downsample} pixels are no picture of {cfg.size}."
            raise ConfigError(cause, "Change autoencoder.size or network.latent, or give --autoencoder.")
        with Bar("autoencoder", cfg.steps, "step", ("loss",), quiet=args.json) as bar:
            folder = args.out / _AUTOENCODER
            made = train_autoencoder(pictures[0], cfg, model, folder, pictures[1], bar.see)
        save_autoencoder(made, kept)
    team.wait()
    return load_autoencoder(kept)


# ---- data ----------------------------------------------------------------------------------------------------------


def _tabletop(args: argparse.Namespace) -> _Ground:
    from vla_mbpo_ros.algorithms.grounds.tabletop import HORIZON, resolve_tasks
    from vla_mbpo_ros.algorithms.world_model.dream_data import JourneyDreams
    from vla_mbpo_ros.models.pictures import ArrayPictures
    from vla_mbpo_ros.robots.tabletop import TABLETOP

    tasks = resolve_tasks(args.task)
    journeys, held_out = played_journeys(args, tasks)

    def open_with(world: UmmWorld) -> tuple[DreamData, DreamData]:
        return JourneyDreams(journeys, world), JourneyDreams(held_out, world)

    views = TABLETOP.camera_names
    pictures, tested = ArrayPictures(journeys.images, views), ArrayPictures(held_out.images, views)
    facts = {"robot": TABLETOP.name, "tasks": list(tasks), "episodes": len(journeys.tasks)}
    return _Ground(TABLETOP, views, HORIZON, pictures, tested, open_with, facts)


def played_journeys(args: argparse.Namespace, tasks: Sequence[str]) -> tuple[Journeys, Journeys]:
    """To learn from: of clumsy experts, and of policies where some are given. And held out: of clumsy experts."""
    from vla_mbpo_ros.sim.tabletop import Journeys

    if args.episodes * (len(args.policy) + 1) > _HELD_OUT_SEED:
        cause = f"{args.episodes} episodes a task of each who acts would reach those that are held out."
        raise ConfigError(cause, f"Give at most {_HELD_OUT_SEED // (len(args.policy) + 1)}.")
    played = [_played(args, tasks, "experts", args.episodes, 0, None)]
    for index, policy in enumerate(args.policy):
        first = (index + 1) * args.episodes
        played.append(_played(args, tasks, f"policy_{index}", args.episodes // len(args.policy), first, policy))
    return Journeys.joined(played), _played(args, tasks, "held_out", _HELD_OUT, _HELD_OUT_SEED, None)


def _played(
    args: argparse.Namespace, tasks: Sequence[str], name: str, episodes: int, first: int, policy: Path | None
) -> Journeys:
    """Those of an interrupted training, or new ones."""
    from vla_mbpo_ros.algorithms.grounds.tabletop import acting
    from vla_mbpo_ros.cli.train_policy import load_parent
    from vla_mbpo_ros.policy.protocol import NOISE
    from vla_mbpo_ros.sim.tabletop import ClumsyExperts, Journeys, Pool, travel

    recipe = {
        "tasks": list(tasks),
        "seed": args.seed,
        "episodes": episodes,
        "first": first,
        "policy": str(policy or ""),
    }
    kept = args.out / "journeys" / f"{name}.npz"
    if kept.exists():
        return Journeys.load(kept, recipe)
    begin = _FIRST_SEED + args.seed * _SEEDS + first
    parts = []
    with Pool(args.workers) as pool, Bar(f"episodes of {name}", len(tasks), "task", (), quiet=args.json) as bar:
        act = ClumsyExperts(pool) if policy is None else acting(load_parent(policy), pool, args.seed, NOISE)
        for done, task in enumerate(tasks, 1):
            parts.append(travel(pool, [task] * episodes, range(begin, begin + episodes), act))
            bar.see({"task": done})
    made = Journeys.joined(parts)
    made.save(kept, recipe)
    return made


def _bags(args: argparse.Namespace, settings: Settings) -> _Ground:
    from vla_mbpo_ros.algorithms.grounds.bag_set import open_bags
    from vla_mbpo_ros.algorithms.world_model.dream_bags import BagDreams, ManyPictures
    from vla_mbpo_ros.data.dataset.settings import LABELLED

    size = settings.autoencoder.size
    found = open_bags(
        args.data, size, held_out=args.held_out, outcomes=LABELLED, cache=args.cache, progress=not args.json
    )
    for note in found.notes:
        say(note)
    views = tuple(name for name in found.robot.camera_names if name in found.train[0].cameras)
    cache = (args.cache or args.data[0] / ".cache") / "latents"

    def open_with(world: UmmWorld) -> tuple[DreamData, DreamData]:
        learnt, tested = (BagDreams(some, world, cache, args.stride) for some in (found.train, found.held_out))
        return learnt, tested

    pictures = ManyPictures(found.train, views)
    tested = ManyPictures(found.held_out, views) if found.held_out else None
    facts = {"robot": found.robot.name, "episodes": len(found.train), "held_out_episodes": len(found.held_out)}
    return _Ground(found.robot, views, args.horizon, pictures, tested, open_with, facts)


def show(result: Mapping[str, Any]) -> None:
    from vla_mbpo_ros.cli.train_policy import show_cost

    print(f"{result['version']} in {result['world_model']}")
    for name, value in result["held_out"].items():
        print(f"  {name:<14} {value:.4g}")
    show_cost(result["cost"])
