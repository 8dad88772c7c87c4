"""From folders of bags to what a training needs: episodes to learn from and to hold out, the robot, a fresh policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vla_mbpo_ros.algorithms.grounds.tabletop import FLOW
from vla_mbpo_ros.data.bags.find import find_bags
from vla_mbpo_ros.data.dataset import ColumnStatistics, DatasetSettings, Statistics, open_episodes
from vla_mbpo_ros.data.dataset.cached_episode import CachedEpisode
from vla_mbpo_ros.data.dataset.folder import CACHE
from vla_mbpo_ros.data.dataset.report import DatasetReport
from vla_mbpo_ros.data.dataset.statistics import gather
from vla_mbpo_ros.data.episodes.contract_bag import ContractBag
from vla_mbpo_ros.data.episodes.frames import BagFrames
from vla_mbpo_ros.errors import BagError, ContractError, VlaMbpoError
from vla_mbpo_ros.policy.flow.config import InputConfig
from vla_mbpo_ros.policy.flow.images import fitted
from vla_mbpo_ros.policy.flow.normalisation import QUANTILE, Columns, Normalisation
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.policy.tiny.config import TinyConfig
from vla_mbpo_ros.policy.tiny.factory import make_tiny
from vla_mbpo_ros.robots import RobotSpec, get_robot
from vla_mbpo_ros.schema import FloatArray

TRAIN, HELD_OUT = "train", "val"
SUCCESS = ("success",)
_LEAST_SHARE = 0.05  # of a joint's limit: a joint that hardly moves must not have its noise blown up
_TOKENS = 128  # bytes of an instruction, with what is around it


@dataclass(frozen=True)
class BagSet:
    """Episodes of one robot, made ready."""

    train: tuple[CachedEpisode, ...]
    held_out: tuple[CachedEpisode, ...]
    robot: RobotSpec
    control_hz: float
    report: DatasetReport
    notes: tuple[str, ...] = field(default=())


def open_bags(
    folders: Sequence[Path],
    image_size: int,
    antialias: bool = True,
    held_out: float = 0.1,  # share of the episodes
    outcomes: Sequence[str] = SUCCESS,
    cache: Path | None = None,
    progress: bool = False,
) -> BagSet:
    """All that can be used of the bags below `folders`; BagError if that is nothing."""
    bags = [folder / place.path for folder in folders for place in find_bags(folder).bags]
    if not bags:
        raise BagError(f"There is no bag below {', '.join(map(str, folders))}.", "Record some: `vla-mbpo record`.")
    size = cached_size(bags, image_size) if antialias else None
    splits = {TRAIN: 1.0 - held_out, HELD_OUT: held_out}
    settings = DatasetSettings(k=1, size=size, outcomes=tuple(outcomes), splits=splits)
    # One folder shares its cache with `vla-mbpo dataset`; several keep theirs in the first.
    source = folders[0] if len(folders) == 1 else bags
    found = open_episodes(source, settings, cache or folders[0] / CACHE / "dataset", progress)
    if not found.episodes:
        raise BagError(f"No episode of {len(bags)} bags can be used.", _reasons(found.report))
    first = found.episodes[0]
    robot = _robot(first)
    learn, kept, notes = _split(found.episodes, found.report)
    return BagSet(learn, kept, robot, round(1e9 / first.dt_ns, 3), found.report, notes)


def cached_size(bags: Sequence[Path], side: int) -> tuple[int, int] | None:
    """(height, width) that all images have inside of the network's square, when they are of one form.

    Shrunk once and for all, an image is the one that the live policy makes, up to rounding. None: kept as they are.
    """
    shapes = {shape for bag in bags for shape in _shapes(bag)}
    sizes = {fitted(height, width, side) for height, width in shapes}
    return sizes.pop() if len(sizes) == 1 else None


def make_policy_for_bags(found: BagSet, image_size: int, horizon: int, seed: int) -> FlowPolicy:
    """A fresh small policy for the robot of these bags."""
    cameras = found.train[0].cameras
    inputs = InputConfig(cameras={name: name for name in cameras}, image_size=image_size, max_tokens=_TOKENS)
    dof = found.robot.dof
    tiny = TinyConfig(views=len(cameras), horizon=horizon, action_dim=dof, state_dim=dof)
    normalisation = normalisation_for(gather(found.train), found.robot)
    return make_tiny(tiny, replace(FLOW, noise_dims=()), inputs, normalisation, seed)


def normalisation_for(found: Statistics, robot: RobotSpec) -> Normalisation:
    """By the middle 98 % of the rows."""
    places = np.maximum(np.abs(robot.low), np.abs(robot.high))
    limits = np.where(robot.is_velocity, robot.max_velocity, places)
    return Normalisation(QUANTILE, _columns(found.state, places), _columns(found.action, limits))


def _columns(found: ColumnStatistics, limits: FloatArray) -> Columns:
    low, high = np.array(found.q01), np.array(found.q99)
    half = np.maximum((high - low) / 2.0, _LEAST_SHARE * limits)
    return Columns(found.names, tuple(((low + high) / 2.0).tolist()), tuple(half.tolist()))


def _robot(episode: CachedEpisode) -> RobotSpec:
    robot = get_robot(episode.facts.robot)
    for what, names in (("joint states", episode.about["state_names"]), ("commands", episode.about["action_names"])):
        if tuple(names) != robot.names:
            cause = f"{episode.bag} has {what} of {', '.join(names)}, {robot.name} has {', '.join(robot.names)}."
            raise ContractError(cause, "Give bags that were recorded with this robot's description.")
    return robot


def _split(
    episodes: Sequence[CachedEpisode], report: DatasetReport
) -> tuple[tuple[CachedEpisode, ...], tuple[CachedEpisode, ...], tuple[str, ...]]:
    """To learn from, to hold out, and what must be said. No task is held out as a whole."""
    learnt = {episode.facts.instruction for episode in episodes if report.used[episode.id] == TRAIN}
    kept = [e for e in episodes if report.used[e.id] != TRAIN and e.facts.instruction in learnt]
    learn = [episode for episode in episodes if episode not in kept]
    alone = sorted({episode.facts.instruction for episode in episodes} - learnt)
    notes = [f"Too few episodes of '{task}' to hold one out: all are learnt from." for task in alone]
    return tuple(learn), tuple(kept), tuple(notes)


def _shapes(bag: Path) -> set[tuple[int, int]]:
    """(height, width) of the first image of each camera; none where the bag cannot be read, which is told later."""
    try:
        source = ContractBag(bag)
        found = set()
        for camera in source.cameras:
            topic = source.color_topic(camera)
            message = next(source.messages(topic), None)
            if message is not None:
                height, width = BagFrames.peek(source, topic, message).shape[:2]
                found.add((height, width))
        return found
    except VlaMbpoError:
        return set()


def _reasons(report: DatasetReport) -> str:
    """The first few reasons why bags were left out."""
    told = [f"{Path(bag).name}: {reason}" for bag, reason in list(report.skipped.items())[:3]]
    return " ".join(told) or "`vla-mbpo dataset build` says why."
