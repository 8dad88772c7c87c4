"""What every learnt world model's folder says of its robot: `world.json`.

    {"robot": "tabletop", "joints": […], "views": ["head", "wrist"], "commands": true, "actions": {"low": […], …}, …}

The ranges of actions are written down as they were in training: a robot whose limits change since then does not
change what the levels mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.robots.spec import RobotSpec
from vla_mbpo_ros.world_model.actions import ActionCodec

WORLD, AUTOENCODER = "world.json", "autoencoder"
_RANGES = ("low", "high", "relative", "state_low", "state_high")


@dataclass(frozen=True)
class Trained:
    """What a world model was trained for."""

    robot: str
    joints: tuple[str, ...]
    views: tuple[str, ...]  # camera names, the head first
    codec: ActionCodec
    commands: bool  # chunks are in the robot's units; False: in [-1, 1]


def write_world(folder: Path, trained: Trained, more: Mapping[str, Any]) -> None:
    """`more` is what one sort of model says beside it."""
    said = {
        "robot": trained.robot,
        "joints": list(trained.joints),
        "views": list(trained.views),
        "commands": trained.commands,
        **more,
        "actions": {name: getattr(trained.codec, name).tolist() for name in _RANGES},
    }
    (folder / WORLD).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def read_world(folder: Path, robot: RobotSpec) -> tuple[Trained, dict[str, Any]]:
    """And all that is written there; ContractError if it was trained for other joints or cameras than `robot` has."""
    said = read_json(folder / WORLD)
    try:
        codec = ActionCodec(**{name: np.array(said["actions"][name], dtype=np.float64) for name in _RANGES})
        joints, views = tuple(said["joints"]), tuple(said["views"])
        trained = Trained(str(said["robot"]), joints, views, codec, bool(said["commands"]))
    except (KeyError, TypeError, ValueError) as error:
        raise not_whole(folder, error) from error
    _check(folder, robot, joints, views)
    return trained, said


def not_whole(folder: Path, error: Exception) -> ContractError:
    return ContractError(f"{folder / WORLD} is not whole: {error!r}.", "Copy the folder again, or train it anew.")


def read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ContractError(f"{path} cannot be read: {error}.", "Give the folder of a whole checkpoint.") from error
    if not isinstance(values, dict):
        raise ContractError(f"{path} holds no settings.", "Give the folder of a whole checkpoint.")
    return values


def _check(folder: Path, robot: RobotSpec, joints: tuple[str, ...], views: tuple[str, ...]) -> None:
    if joints != robot.names:
        cause = f"{folder} was trained for the joints {', '.join(joints)}; {robot.name} has {', '.join(robot.names)}."
        raise ContractError(cause, "Load one that was trained for this robot.")
    if unknown := [view for view in views if view not in robot.camera_names]:
        cause = f"{folder} imagines {', '.join(unknown)}, {robot.name} has {', '.join(robot.camera_names)}."
        raise ContractError(cause, "Load one that was trained for this robot's cameras.")
