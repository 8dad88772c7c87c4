"""The video rival in a folder.

world.json      what it was trained for (`folder.py`)   video.json, video.safetensors      the network
autoencoder/    what it imagines in
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from vla_mbpo_ros.config_io import build, nested
from vla_mbpo_ros.models.autoencoder import load_autoencoder, save_autoencoder
from vla_mbpo_ros.models.weights import hash_files, load, read_header, refuse_unlike, save
from vla_mbpo_ros.robots.spec import RobotSpec
from vla_mbpo_ros.world_model.factory import VIDEO
from vla_mbpo_ros.world_model.folder import AUTOENCODER, WORLD, Trained, read_json, read_world, write_world
from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig
from vla_mbpo_ros.world_model.rivals.video.model import Setting, VideoWorld
from vla_mbpo_ros.world_model.rivals.video.net import VideoNet

SETTINGS, WEIGHTS = VIDEO, "video.safetensors"


def save_video(world: VideoWorld, folder: Path) -> str:
    """Everything that `load_video` needs; gives the version."""
    folder.mkdir(parents=True, exist_ok=True)
    setting = world.setting
    save(world.net.state_dict(), folder / WEIGHTS)
    (folder / SETTINGS).write_text(json.dumps(nested(world.net.cfg), indent=1) + "\n", encoding="utf-8")
    save_autoencoder(setting.autoencoder, folder / AUTOENCODER)
    write_world(
        folder, Trained(setting.robot.name, setting.robot.names, setting.views, setting.codec, setting.commands), {}
    )
    return _version(folder, setting.autoencoder.version)


def load_video(folder: Path, robot: RobotSpec, device: str = "cpu") -> VideoWorld:
    """The rival in `folder`, for this robot; ContractError if it was trained for other joints or cameras."""
    cfg = build(VideoConfig, read_json(folder / SETTINGS), str(folder / SETTINGS))
    trained, _ = read_world(folder, robot)
    autoencoder = load_autoencoder(folder / AUTOENCODER, device)
    setting = Setting(autoencoder, trained.codec, robot, trained.views, trained.commands)
    return VideoWorld(_filled(cfg, folder, device), setting, _version(folder, autoencoder.version))


def _filled(cfg: VideoConfig, folder: Path, device: str) -> VideoNet:
    with torch.device("meta"):
        net = VideoNet(cfg)
    weights = read_header(folder / WEIGHTS)
    refuse_unlike(str(folder), {name: tuple(one.shape) for name, one in net.state_dict().items()}, weights.shapes)
    net.load_state_dict(load(weights, {name: name for name in weights.shapes}, device), assign=True)
    net.make_table(device)
    return net.requires_grad_(False)


def _version(folder: Path, autoencoder: str) -> str:
    files = (folder / name for name in (SETTINGS, WEIGHTS, WORLD))
    return f"video-{hash_files(*files)[:12]}-{autoencoder[:6]}"
