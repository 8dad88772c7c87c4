"""TrainingSettings of the video rival: all frames of a chunk, from its first one and its commands.

    clips of a step = the next `batch` of a shuffled epoch over all chunks      keyed by (seed, epoch)
    eps, t          = noise and flow time                                       keyed by (seed, step)
    loss            = mean squared error of the velocity (`rivals/video/losses.py`)
    step            : gradient clipped, AdamW, warm-up then cosine; what is kept is the moving average

All chance is keyed (`descent/`): an interrupted training goes on bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vla_mbpo_ros.algorithms.descent import (
    BFLOAT16,
    PRECISIONS,
    Descent,
    Epochs,
    TrainingSettings,
    Watch,
    descend,
    evenly,
    with_default,
)
from vla_mbpo_ros.algorithms.world_model.footage import Footage
from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig
from vla_mbpo_ros.world_model.rivals.video.losses import draw, video_loss
from vla_mbpo_ros.world_model.rivals.video.net import VideoNet
from vla_mbpo_ros.world_model.sequence import IntArray

_ORDER, _NOISE, _START, _HELD_OUT = 1, 2, 3, 4  # streams of chance
_LOOK_AT = 256  # held-out clips


@dataclass(frozen=True)
class VideoTraining(TrainingSettings):
    """Settings of the training."""

    steps: int = with_default("steps", 3000)
    batch: int = leaf(16, "Clips in a step.", low=1)
    last_lr: float = with_default("last_lr", 0.05)
    precision: str = leaf(BFLOAT16, "What the network computes in.", choices=PRECISIONS)


def train_video(
    footage: Footage,
    cfg: VideoTraining,
    net: VideoNet,  # of random weights (`fresh_net`), or trained on something else before
    folder: Path | None = None,  # where the curve and the state go; what is there goes on
    held_out: Footage | None = None,  # clips that nobody learns from: their loss is in the curve
    watch: Watch | None = None,
    until: int | None = None,  # stop after this many steps, as an interruption would
) -> VideoNet:
    """The moving average, ready to use."""
    trainer = _Trainer(footage, held_out, cfg, net)
    descend(trainer, cfg, folder, watch, until)
    trainer.descent.end()
    return trainer.net.eval().requires_grad_(False)


class _Trainer:
    """One training, step by step."""

    def __init__(self, footage: Footage, held_out: Footage | None, cfg: VideoTraining, net: VideoNet) -> None:
        self.footage, self.held_out, self.cfg, self.net = footage, held_out, cfg, net.train().requires_grad_(True)
        self.descent = Descent(self.net, cfg)
        self._epochs = Epochs(len(footage), cfg.seed, _ORDER)

    @property
    def step(self) -> int:
        return self.descent.step

    def advance(self) -> dict[str, float]:
        rows = self._epochs.step(self.step, self.cfg.batch)
        seed, half = mix(self.cfg.seed, _NOISE, self.step), self.cfg.precision == BFLOAT16
        return self.descent.take(_loss(self.net, self.footage, rows, seed, half))

    def look(self) -> dict[str, float]:
        if self.held_out is None:
            return {}
        with self.descent.averaged():
            return {"held_out": held_out_loss(self.net, self.held_out, self.cfg.seed)}

    def save(self, folder: Path) -> None:
        self.descent.save(folder, {"config": self._config()})

    def restore(self, folder: Path) -> None:
        self.descent.restore(folder, self._config())

    def _config(self) -> dict[str, object]:
        return {**nested(self.cfg), "model": nested(self.net.cfg), "footage": self.footage.identity}


def fresh_net(model: VideoConfig, seed: int) -> VideoNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, _START))
        return VideoNet(model)


@torch.no_grad()
def held_out_loss(net: VideoNet, footage: Footage, seed: int = 0, at_most: int = _LOOK_AT) -> float:
    """Over at most so many clips, evenly chosen; with the same noise and times whenever it is asked."""
    rows = evenly(len(footage), at_most)
    parts = np.array_split(rows, max(len(rows) // 32, 1))
    losses = [float(_loss(net, footage, part, mix(seed, _HELD_OUT, place))) for place, part in enumerate(parts)]
    return float(np.average(losses, weights=[len(part) for part in parts]))


def _loss(net: VideoNet, footage: Footage, rows: IntArray, seed: int, half: bool = False) -> torch.Tensor:
    eps, t = draw(len(rows), net, torch.Generator().manual_seed(seed))
    with torch.autocast(net.device.type, torch.bfloat16, enabled=half):
        return video_loss(net, footage.clips(rows), eps, t)
