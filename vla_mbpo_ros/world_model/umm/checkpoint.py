"""A whole world model in a folder.

world.json      what it was trained for (`folder.py`)   umm.json, umm.safetensors      the network
autoencoder/    what it imagines in                     arrival.safetensors            where joints are then, if learnt
tokenizer/      of a Qwen2 vocabulary only
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.autoencoder import load_autoencoder, save_autoencoder
from vla_mbpo_ros.robots.spec import RobotSpec
from vla_mbpo_ros.world_model.arrival import FILE as ARRIVAL
from vla_mbpo_ros.world_model.arrival import load_arrival, save_arrival
from vla_mbpo_ros.world_model.folder import AUTOENCODER, WORLD, Trained, not_whole, read_world, write_world
from vla_mbpo_ros.world_model.qwen_vocabulary import QwenVocabulary
from vla_mbpo_ros.world_model.umm.files import WHOLE, load_net, save_net, version_of
from vla_mbpo_ros.world_model.umm.model import Around, UmmWorld
from vla_mbpo_ros.world_model.vocabulary import ByteVocabulary, Vocabulary

TOKENIZER = "tokenizer"


def save_world(world: UmmWorld, folder: Path, tokenizer: Path | None = None) -> str:
    """Everything that `load_world` needs; gives the version. `tokenizer` is the folder of a Qwen2 vocabulary."""
    around = world.around
    save_net(world.net, folder)
    save_autoencoder(around.autoencoder, folder / AUTOENCODER)
    if tokenizer is not None:
        shutil.copytree(tokenizer, folder / TOKENIZER, dirs_exist_ok=True)
    trained = Trained(around.robot.name, around.robot.names, around.views, around.codec, around.commands)
    save_arrival(around.arrival, folder)
    write_world(folder, trained, {"vocabulary": around.vocabulary.name, "ivd": around.ivd})
    return _version(folder, around.autoencoder.version)


def load_world(folder: Path, robot: RobotSpec, device: str = "cpu", quantize: str = WHOLE) -> UmmWorld:
    """The world model in `folder`, for this robot; ContractError if it was trained for other joints or cameras."""
    trained, said = read_world(folder, robot)
    try:
        vocabulary, ivd = _vocabulary(said["vocabulary"], folder, trained), bool(said["ivd"])
    except (KeyError, TypeError) as error:
        raise not_whole(folder, error) from error
    net, _ = load_net(folder, device, quantize)
    autoencoder = load_autoencoder(folder / AUTOENCODER, device)
    arrival = load_arrival(folder, trained.codec.dof, trained.codec.horizon, device)
    around = Around(autoencoder, vocabulary, trained.codec, robot, trained.views, ivd, trained.commands, arrival)
    packed = "" if quantize == WHOLE else f"-{quantize}"
    return UmmWorld(net.requires_grad_(False), around, _version(folder, autoencoder.version) + packed)


def _vocabulary(name: Any, folder: Path, trained: Trained) -> Vocabulary:
    if name == ByteVocabulary.name:
        return ByteVocabulary(trained.codec.dof)
    if name == QwenVocabulary.name:
        return QwenVocabulary(folder / TOKENIZER, trained.views)
    raise ContractError(f"{folder} has the vocabulary {name!r}.", "Load it with the release that wrote it.")


def _version(folder: Path, autoencoder: str) -> str:
    files = (folder / name for name in ("umm.json", "umm.safetensors", WORLD, ARRIVAL) if (folder / name).exists())
    return f"{version_of(*files)}-{autoencoder[:6]}"
