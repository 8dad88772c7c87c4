"""What the video rival learns from: chunks, with latents of every frame inside of them.

    journeys ──played again, a frame every few steps──> pictures ──autoencoder──> now    (M, V, T, D)
                                                                                 after  (M, F, V, T, D)

The same episodes as UMM-World learns from, and the same end of each chunk. Frames are made and encoded once, in the
beginning, some chunks at a time; pictures are not kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.autoencoder import Autoencoder
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop import Journeys, Pool
from vla_mbpo_ros.sim.tabletop.films import film
from vla_mbpo_ros.world_model.actions import ActionCodec
from vla_mbpo_ros.world_model.latents import encode_pictures
from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig
from vla_mbpo_ros.world_model.rivals.video.losses import Clips
from vla_mbpo_ros.world_model.rivals.video.model import told
from vla_mbpo_ros.world_model.sequence import IntArray
from vla_mbpo_ros.world_model.umm.assemble import to_tokens

_AT_ONCE = 64  # chunks that are filmed together
_PICTURES = 256  # that are encoded together


@dataclass(frozen=True)
class Footage:
    """M chunks and what was seen in them."""

    now: Tensor  # (M, V, T, D)
    after: Tensor  # (M, F, V, T, D)
    chunks: FloatArray  # (M, K, N) in the robot's units
    state: FloatArray  # (M, N) when they began
    codec: ActionCodec

    def __len__(self) -> int:
        return len(self.chunks)

    def clips(self, rows: IntArray) -> Clips:
        index = torch.from_numpy(rows)
        return Clips(told(self.now[index], self.codec, self.chunks[rows], self.state[rows]), self.after[index])

    @property
    def identity(self) -> str:
        """Names the data: a training goes on with the same only."""
        found = hashlib.sha256()
        for part in (self.now.numpy(), self.after.numpy(), self.chunks, self.state):
            found.update(np.ascontiguousarray(part).tobytes())
        return found.hexdigest()[:16]


def make_footage(
    pool: Pool, journeys: Journeys, autoencoder: Autoencoder, codec: ActionCodec, cfg: VideoConfig
) -> Footage:
    """Of all chunks that began before their episode's end. `codec` is one for commands (`actions.for_robot`)."""
    rows = np.flatnonzero(journeys.live)
    begin = journeys.start[rows]
    if not len(rows):
        raise ContractError("There is no chunk to learn from.", "Play at least one episode.")
    after = [
        _encoded(film(pool, journeys, rows[at : at + _AT_ONCE], cfg.every), autoencoder, cfg)
        for at in range(0, len(rows), _AT_ONCE)
    ]
    return Footage(
        now=_encoded(journeys.images[begin], autoencoder, cfg),
        after=torch.cat(after),
        chunks=journeys.chunks[rows],
        state=journeys.state[begin],
        codec=codec,
    )


def _encoded(pictures: ImageArray, autoencoder: Autoencoder, cfg: VideoConfig) -> Tensor:
    """(…, H, W, 3) -> (…, T, D)"""
    size, shape = cfg.latent.height * autoencoder.downsample, pictures.shape[:-3]
    flat = pictures.reshape(-1, *pictures.shape[-3:])
    parts = [encode_pictures(autoencoder, flat[at : at + _PICTURES], size) for at in range(0, len(flat), _PICTURES)]
    tokens = to_tokens(torch.from_numpy(np.concatenate(parts)), cfg)
    return tokens.reshape(*shape, *tokens.shape[1:])
