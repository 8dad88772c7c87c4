"""A video rival of a few thousand numbers for the tabletop, random everywhere."""

from __future__ import annotations

import torch
from torch import nn

from vla_mbpo_ros.models.autoencoder import Autoencoder, AutoencoderConfig
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.world_model.actions import for_robot
from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig
from vla_mbpo_ros.world_model.rivals.video.model import Setting, VideoWorld
from vla_mbpo_ros.world_model.rivals.video.net import VideoNet
from vla_mbpo_ros.world_model.umm.config import LatentConfig

SMALL = VideoConfig(
    width=32,
    layers=2,
    heads=2,
    mlp=64,
    horizon=4,
    latent=LatentConfig(height=2, breadth=2, channels=8),
    euler_steps=4,
)
PIXELS = AutoencoderConfig(widths=(16, 16), patch=4, latent_channels=8, groups=4)  # 16x16 -> 2x2 latents


def small_net(cfg: VideoConfig = SMALL, seed: int = 0) -> VideoNet:
    """Random also where training begins at zero."""
    net = VideoNet(cfg)
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3 if parameter.ndim < 2 else parameter.shape[1] ** -0.5, generator=generator)
    return net.eval().requires_grad_(False)


def small_autoencoder(seed: int = 0) -> Autoencoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Autoencoder(PIXELS).eval().requires_grad_(False)


def small_world(cfg: VideoConfig = SMALL, seed: int = 0) -> VideoWorld:
    setting = Setting(small_autoencoder(), for_robot(TABLETOP, cfg.horizon), TABLETOP, TABLETOP.camera_names)
    return VideoWorld(small_net(cfg, seed), setting, "video-test")
