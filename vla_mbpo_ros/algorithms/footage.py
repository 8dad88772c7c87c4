"""What the video rival learns from: the frames of many episodes as latents, and the commands between them.

    films ──autoencoder──> latents (N, V, T, D) ─┐
          ──robot's units──> commands (N, every, J) ──┴──rows n──> clips: frames n … n + F, their commands as levels

Frames are encoded once, in the beginning. Row n is the start of a clip if F more frames of its episode follow.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from vla_mbpo_ros.models.autoencoder import Autoencoder
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import Films, to_command
from vla_mbpo_ros.sim.tabletop.films import starts
from vla_mbpo_ros.world_model.actions import ActionCodec
from vla_mbpo_ros.world_model.latents import LatentArray, encode_pictures
from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig
from vla_mbpo_ros.world_model.rivals.video.losses import Clips
from vla_mbpo_ros.world_model.rivals.video.model import told
from vla_mbpo_ros.world_model.sequence import IntArray
from vla_mbpo_ros.world_model.umm.assemble import to_tokens

_AT_ONCE = 256  # pictures that are encoded together


@dataclass(frozen=True)
class Footage:
    """N frames, those of one episode in order."""

    latents: LatentArray  # (N, V, T, D)
    state: FloatArray  # (N, J) in the robot's units
    commands: FloatArray  # (N, every, J) in the robot's units, until the next frame
    rows: IntArray  # (M,) where a clip may start
    codec: ActionCodec
    frames: int  # F, behind the first

    def __len__(self) -> int:
        return len(self.rows)

    def clips(self, chosen: IntArray) -> Clips:
        """Of these starts, by their number in `rows`."""
        first = self.rows[chosen]
        span = first[:, None] + np.arange(self.frames + 1)  # (B, F + 1)
        latents = torch.from_numpy(self.latents[span])
        chunks = self.commands[span[:, :-1]].reshape(len(first), self.codec.horizon, -1)
        return Clips(told(latents[:, 0], self.codec, chunks, self.state[first]), latents[:, 1:])

    @property
    def identity(self) -> str:
        """Names the data: a training goes on with the same only."""
        found = hashlib.sha256()
        for part in (self.latents, self.state, self.commands, self.rows):
            found.update(np.ascontiguousarray(part).tobytes())
        return found.hexdigest()[:16]


def tabletop_footage(films: Films, autoencoder: Autoencoder, codec: ActionCodec, cfg: VideoConfig) -> Footage:
    """`codec` is one for the tabletop's commands (`actions.for_robot`)."""
    size = cfg.latent.height * autoencoder.downsample
    flat = films.images.reshape(-1, *films.images.shape[2:])
    parts = [encode_pictures(autoencoder, flat[at : at + _AT_ONCE], size) for at in range(0, len(flat), _AT_ONCE)]
    tokens = to_tokens(torch.from_numpy(np.concatenate(parts)), cfg).numpy()
    return Footage(
        latents=tokens.reshape(*films.images.shape[:2], *tokens.shape[1:]),
        state=films.state,
        commands=to_command(films.actions),
        rows=starts(films.film, cfg.frames),
        codec=codec,
        frames=cfg.frames,
    )
