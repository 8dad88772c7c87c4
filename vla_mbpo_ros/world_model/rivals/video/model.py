"""The video rival behind the protocol: pictures and chunks in, the frame at the end of each chunk out.

    pictures ──autoencoder──> latents ─┐
    chunks ──codec──> levels ──────────┼──> sampling ──> latents of F frames ──the last──autoencoder──> pictures
    state ──codec──> levels ───────────┘

It does not judge, and says so; `rivals/judged.py` gives it a judge. It reads no instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.autoencoder import Autoencoder
from vla_mbpo_ros.models.pictures import fit_all, from_network, to_network
from vla_mbpo_ros.robots.spec import RobotSpec
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.world_model.actions import TOP_LEVEL, ActionCodec
from vla_mbpo_ros.world_model.commanded import state_after
from vla_mbpo_ros.world_model.details import Details
from vla_mbpo_ros.world_model.protocol import Dreams, Pause, Scenes, WorldModel, go_on, refuse_misfit
from vla_mbpo_ros.world_model.rivals.video.net import Told, VideoNet
from vla_mbpo_ros.world_model.rivals.video.sampling import sample
from vla_mbpo_ros.world_model.sequence import IntArray
from vla_mbpo_ros.world_model.umm import assemble


@dataclass(frozen=True)
class Setting:
    """What the network needs to be a world model of a robot."""

    autoencoder: Autoencoder
    codec: ActionCodec
    robot: RobotSpec
    views: tuple[str, ...]  # camera names, the head first
    commands: bool = True  # chunks are in the robot's units; False: in [-1, 1]


class VideoWorld:
    """A `WorldModel` that judges nothing."""

    def __init__(self, net: VideoNet, setting: Setting, version: str) -> None:
        _check(net, setting)
        self.net, self.setting, self.version = net.eval(), setting, version
        down = setting.autoencoder.downsample
        self.size = (net.cfg.latent.height * down, net.cfg.latent.breadth * down)
        self.views, self.horizon = setting.views, setting.codec.horizon

    @torch.inference_mode()
    def imagine(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> Dreams:
        latents, details = self._dream(scenes, chunks, seeds, pause)
        images = self._pictures(latents[:, -1], details)
        state, source = state_after(self.setting.robot, scenes, chunks, self.setting.commands)
        return Dreams(images, self.judge(scenes), state, source)

    @torch.inference_mode()
    def film(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> ImageArray:
        """(B, F, V, H, W, 3) every frame, `cfg.every` control steps apart; the last one is what `imagine` gives."""
        latents, details = self._dream(scenes, chunks, seeds, pause)
        return np.stack([self._pictures(frame, details) for frame in latents.unbind(1)], axis=1)

    def judge(self, scenes: Scenes) -> FloatArray:
        return np.full(len(scenes), np.nan)

    def _dream(
        self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause
    ) -> tuple[Tensor, Details | None]:
        """(B, F, V, T, D), and what the autoencoder loses of the views now."""
        setting, cfg = self.setting, self.net.cfg
        refuse_misfit(self, setting.codec.dof, scenes, chunks, seeds)
        now = to_network(fit_all(scenes.images, self.size[0]), self.net.device)
        latents = assemble.encoded(now, setting.autoencoder, cfg)
        frames = sample(self.net, told(latents, setting.codec, chunks, scenes.state), seeds, pause)
        return frames, assemble.details(now, latents, setting.autoencoder, cfg)

    def _pictures(self, latents: Tensor, details: Details | None) -> ImageArray:
        """(B, V, T, D) -> (B, V, H, W, 3)"""
        views = [
            assemble.picture(view, each, self.setting.autoencoder, self.net.cfg, details)
            for view, each in enumerate(latents.unbind(1))
        ]
        return from_network(torch.stack(views, dim=1))


def told(now: Tensor, codec: ActionCodec, chunks: FloatArray, state: FloatArray) -> Told:
    """Of latents (B, V, T, D), chunks (B, K, N) and the state (B, N) in the robot's units."""
    levels = codec.encode(chunks, state).levels, codec.encode_state(state)
    return Told(now, *(_unit(each, now.device) for each in levels))


def _unit(levels: IntArray, device: torch.device) -> Tensor:
    return torch.from_numpy(levels * (2.0 / TOP_LEVEL) - 1.0).float().to(device)


def _check(net: VideoNet, setting: Setting) -> None:
    cfg = net.cfg
    ours = (cfg.views, cfg.horizon, cfg.dof, cfg.latent.channels)
    given = (len(setting.views), setting.codec.horizon, setting.codec.dof, setting.autoencoder.latent_channels)
    if ours != given:
        cause = f"The network has (views, steps, joints, channels of a latent) {ours}; around it are {given}."
        raise ContractError(cause, "Give the cameras, the action codec and the autoencoder that it was trained with.")
    if cfg.latent.height != cfg.latent.breadth:
        cause = f"The network's views have {cfg.latent.height} x {cfg.latent.breadth} latents."
        raise ContractError(cause, "Pictures are square here: give as many rows as columns.")


if TYPE_CHECKING:  # it keeps the protocol
    _KEPT: type[WorldModel] = VideoWorld
