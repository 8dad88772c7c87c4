"""What a small policy sees and reads, learnt before it acts: where are the things that the sentence names?

    pictures, instruction, state ──trunk──> context ──linear──> way from the tool to what it should touch (x y z, yaw)
                                                                and to the target (x y z)
    loss = Huber of the ways, in SCALE_M          step: gradient clipped, AdamW, warm-up then cosine, moving average

It stands for what a large policy brings along from its pretraining, where it was asked to point at things: no action is
learnt. Places are the simulator's; its episodes are played by disturbed experts, of whom only pictures are kept.
A cube looks the same after a quarter of a turn, so its yaw is told by the sine and cosine of four times the angle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import huber_loss

from vla_mbpo_ros.algorithms.descent import Descent, Epochs, TrainingSettings, Watch, descend, evenly, with_default
from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.policy.flow.net import VelocityNet
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.rl.arrays import ArrayReader
from vla_mbpo_ros.rl.rollout import IntArray
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import Demonstrations

SCALE_M = 0.05
_ORDER, _HEAD = 1, 2  # streams of chance
_TURN_WEIGHT = 0.2  # of the yaw's two numbers beside lengths in SCALE_M
_TURNS = 4.0  # in a whole turn a cube looks the same so often
_LOOK_AT = 384  # held-out rows of a look
_NUMBERS = 8  # 3 ways to what is touched, 3 to the target, 2 of the yaw


@dataclass(frozen=True)
class TrunkTraining(TrainingSettings):
    """Settings of the training of what sees and reads."""

    batch: int = leaf(96, "Rows in a step.", low=1)
    ema: float = with_default("ema", 0.998)
    held_out: float = leaf(0.05, "Share of the episodes that nobody learns from.", low=0.0, high=0.9)


def train_trunk(
    policy: FlowPolicy,
    scenes: Demonstrations,
    cfg: TrunkTraining,
    folder: Path | None = None,
    watch: Watch | None = None,
    until: int | None = None,
) -> FlowPolicy:
    """Train the trunk of `policy` in place."""
    if not len(scenes.state):
        raise ContractError("There is no picture to learn from.", "Play at least one episode.")
    trainer = _Trainer(policy, scenes, cfg)
    descend(trainer, cfg, folder, watch, until)
    trainer.descent.end()
    return policy


class Pointer(nn.Module):
    """A trunk and what it says of places."""

    def __init__(self, policy: FlowPolicy) -> None:
        super().__init__()
        self.parts = nn.ModuleList(cast(VelocityNet, policy.net).trunk())
        self._net = [cast(VelocityNet, policy.net)]  # not a child: its flow head does not learn here
        self.say = nn.Linear(int(policy.net.cfg.context), _NUMBERS)  # type: ignore[union-attr,arg-type]

    def forward(self, inputs: object) -> Tensor:
        """(B, 8)"""
        cache = self._net[0].encode(inputs)  # type: ignore[arg-type]
        result: Tensor = self.say(cache.context)
        return result


class _Trainer:
    def __init__(self, policy: FlowPolicy, scenes: Demonstrations, cfg: TrunkTraining) -> None:
        self.cfg, self._scenes, self._texts = cfg, scenes, scenes.instructions
        self._reader = ArrayReader(policy.maker, TABLETOP.camera_names)
        self._wanted = torch.from_numpy(ways(scenes)).float()
        kept = round(len(scenes.tasks) * cfg.held_out)
        order = np.random.default_rng(mix(cfg.seed, _ORDER)).permutation(len(scenes.tasks))
        out = np.isin(scenes.demo, order[:kept])
        self._rows, self._held_out = np.flatnonzero(~out), np.flatnonzero(out)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mix(cfg.seed, _HEAD))
            self._pointer = Pointer(policy)
        self.descent = Descent(self._pointer, cfg)
        self._epochs = Epochs(len(self._rows), cfg.seed, _ORDER)

    @property
    def step(self) -> int:
        return self.descent.step

    def advance(self) -> dict[str, float]:
        rows = self._rows[self._epochs.step(self.step, self.cfg.batch)]
        return self.descent.take(pointing_loss(self._say(rows), self._wanted[rows]))

    @torch.no_grad()
    def look(self) -> dict[str, float]:
        """Median distances of the moving average on held-out episodes [mm]."""
        if not len(self._held_out):
            return {}
        rows = self._held_out[evenly(len(self._held_out), _LOOK_AT)]
        with self.descent.averaged():
            off = self._say(rows) - self._wanted[rows]
        touched, target = (SCALE_M * 1e3 * off[:, part].norm(dim=1) for part in (slice(0, 3), slice(3, 6)))
        return {"touched_mm": float(touched.median()), "target_mm": float(target.median())}

    def save(self, folder: Path) -> None:
        self.descent.save(folder, {"config": self._config()})

    def restore(self, folder: Path) -> None:
        self.descent.restore(folder, self._config())

    def _config(self) -> dict[str, object]:
        return {**nested(self.cfg), "rows": len(self._scenes.state)}

    def _say(self, rows: IntArray) -> Tensor:
        scenes = self._scenes
        texts = [self._texts[row] for row in rows]
        result: Tensor = self._pointer(self._reader(scenes.images[rows], scenes.state[rows], texts))
        return result


def ways(scenes: Demonstrations) -> FloatArray:
    """(M, 8) from the tool to what it should touch and to the target, in SCALE_M, and how the first is turned."""
    tool = scenes.state[:, None, :3]
    away = ((scenes.places[:, :, :3] - tool) / SCALE_M).reshape(-1, 6)
    turned = _TURNS * scenes.places[:, 0, 3:]
    return np.concatenate([away, np.sin(turned), np.cos(turned)], axis=1)


def pointing_loss(said: Tensor, wanted: Tensor) -> Tensor:
    """(B, 8) each; a scalar."""
    weight = said.new_tensor([1.0] * 6 + [_TURN_WEIGHT] * 2)
    return (huber_loss(said, wanted, reduction="none") * weight).mean()


def lineage_config(cfg: TrunkTraining, more: Mapping[str, object]) -> dict[str, object]:
    """What a checkpoint tells of its training."""
    return {"algorithm": "trunk", **nested(cfg), **more}
