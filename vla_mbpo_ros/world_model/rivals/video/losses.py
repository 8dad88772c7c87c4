"""What a training step learns from: all frames of a chunk at once.

    x_t = (1 - t) x0 + t eps        loss = mean of (velocity - (eps - x0))²        one t a sample, for all its frames

t = sigmoid(normal), then shifted as the sampler's grid is: the same as UMM-World's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vla_mbpo_ros.models.flow import velocity_target
from vla_mbpo_ros.world_model.rivals.video.net import Told, VideoNet
from vla_mbpo_ros.world_model.umm.losses import training_time


@dataclass(frozen=True)
class Clips:
    """Chunks and what was seen while they were executed."""

    told: Told
    after: Tensor  # (B, F, V, T, D) latents of the frames behind the first


def draw(rows: int, net: VideoNet, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise (B, F, V, T, D) and flow times (B,). The generator is of the CPU."""
    eps = torch.randn((rows, *net.cfg.shape), generator=generator)
    t = training_time(torch.randn(rows, generator=generator), net.cfg.timestep_shift)
    return eps.to(net.device), t.to(net.device)


def video_loss(net: VideoNet, clips: Clips, eps: Tensor, t: Tensor) -> Tensor:
    """Mean over all numbers of all frames and views."""
    share = t[:, None, None, None, None]
    x = share * eps + (1.0 - share) * clips.after
    v: Tensor = net(x, t, clips.told)
    return (v - velocity_target(clips.after, eps)).square().mean()
