"""A whole world model in a folder.

    world.json      views, vocabulary, action ranges      umm.json, umm.safetensors      the network
    autoencoder/    what it imagines in                   tokenizer/                     of a Qwen2 vocabulary only

The ranges of actions are written down as they were in training: a robot whose limits change since then does not
change what the levels mean.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.autoencoder import load_autoencoder, save_autoencoder
from vla_mbpo_ros.robots.spec import RobotSpec
from vla_mbpo_ros.world_model.actions import ActionCodec
from vla_mbpo_ros.world_model.qwen_vocabulary import QwenVocabulary
from vla_mbpo_ros.world_model.umm.files import load_net, read_json, save_net, version_of
from vla_mbpo_ros.world_model.umm.model import Around, UmmWorld
from vla_mbpo_ros.world_model.vocabulary import ByteVocabulary, Vocabulary

WORLD, AUTOENCODER, TOKENIZER = "world.json", "autoencoder", "tokenizer"
_RANGES = ("low", "high", "relative", "state_low", "state_high")


def save_world(world: UmmWorld, folder: Path, tokenizer: Path | None = None) -> str:
    """Everything that `load_world` needs; gives the version. `tokenizer` is the folder of a Qwen2 vocabulary."""
    around = world.around
    save_net(world.net, folder)
    save_autoencoder(around.autoencoder, folder / AUTOENCODER)
    if tokenizer is not None:
        shutil.copytree(tokenizer, folder / TOKENIZER, dirs_exist_ok=True)
    said = {
        "robot": around.robot.name,
        "joints": list(around.robot.names),
        "views": list(around.views),
        "vocabulary": around.vocabulary.name,
        "ivd": around.ivd,
        "commands": around.commands,
        "actions": {name: getattr(around.codec, name).tolist() for name in _RANGES},
    }
    (folder / WORLD).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return _version(folder, around.autoencoder.version)


def load_world(folder: Path, robot: RobotSpec, device: str = "cpu") -> UmmWorld:
    """The world model in `folder`, for this robot; ContractError if it was trained for other joints or cameras."""
    said = read_json(folder / WORLD)
    try:
        views, joints = tuple(said["views"]), tuple(said["joints"])
        codec = ActionCodec(**{name: np.array(said["actions"][name], dtype=np.float64) for name in _RANGES})
        vocabulary = _vocabulary(said["vocabulary"], folder, views)
        ivd, commands = bool(said["ivd"]), bool(said["commands"])
    except (KeyError, TypeError, ValueError) as error:
        cause = f"{folder / WORLD} is not whole: {error!r}."
        raise ContractError(cause, "Copy the folder again, or train it anew.") from error
    _check(folder, robot, joints, views)
    net, _ = load_net(folder, device)
    autoencoder = load_autoencoder(folder / AUTOENCODER, device)
    around = Around(autoencoder, vocabulary, codec, robot, views, ivd, commands)
    return UmmWorld(net.requires_grad_(False), around, _version(folder, autoencoder.version))


def _vocabulary(name: Any, folder: Path, views: tuple[str, ...]) -> Vocabulary:
    if name == ByteVocabulary.name:
        return ByteVocabulary()
    if name == QwenVocabulary.name:
        return QwenVocabulary(folder / TOKENIZER, views)
    raise ContractError(f"{folder} has the vocabulary {name!r}.", "Load it with the release that wrote it.")


def _check(folder: Path, robot: RobotSpec, joints: tuple[str, ...], views: tuple[str, ...]) -> None:
    if joints != robot.names:
        cause = f"{folder} was trained for the joints {', '.join(joints)}; {robot.name} has {', '.join(robot.names)}."
        raise ContractError(cause, "Load one that was trained for this robot.")
    if unknown := [view for view in views if view not in robot.camera_names]:
        cause = f"{folder} imagines {', '.join(unknown)}, {robot.name} has {', '.join(robot.camera_names)}."
        raise ContractError(cause, "Load one that was trained for this robot's cameras.")


def _version(folder: Path, autoencoder: str) -> str:
    files = (folder / name for name in ("umm.json", "umm.safetensors", WORLD))
    return f"{version_of(*files)}-{autoencoder[:6]}"
