"""Frames out of noise: Euler steps along the velocity, all frames and views together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from vla_mbpo_ros.models.randomness import normal
from vla_mbpo_ros.world_model.protocol import Pause, go_on
from vla_mbpo_ros.world_model.rivals.video.net import Told, VideoNet
from vla_mbpo_ros.world_model.umm.sampling import grid


def sample(net: VideoNet, told: Told, seeds: Sequence[int], pause: Pause = go_on) -> Tensor:
    """Latents (B, F, V, T, D); row b's chance is a matter of seeds[b] alone."""
    x = normal(seeds, 0, net.cfg.shape, net.device)
    for t, following in pairwise(grid(net.cfg.euler_steps, net.cfg.timestep_shift)):
        pause()
        x = x - (t - following) * net(x, torch.full((len(x),), t, device=net.device), told)
    return x
