"""Behaviour cloning with flow matching (SFT): the first policy, from demonstrations.

    rows of a step  = the next `batch` of a shuffled epoch                  keyed by (seed, epoch)
    loss            = E |v(x_t, t) - (eps - x_0)|²,  `draws` times a row     keyed by (seed, step)
    step            : gradient clipped, AdamW, warm-up then cosine; the policy that acts is the moving average

All chance is keyed, so a training that was interrupted goes on bit for bit on the same device with the same number of
threads. One observation is encoded once and used for several draws of noise and time: pictures are the dear part.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vla_mbpo_ros.algorithms.chunks import Batch, ChunkData, IntArray
from vla_mbpo_ros.algorithms.log import Log, Watch
from vla_mbpo_ros.algorithms.saved import (
    module_tensors,
    optimiser_tensors,
    read_training,
    restore_module,
    restore_optimiser,
    write_training,
)
from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.models.flow import sample_time
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.policy.flow.policy import FlowPolicy

TRAINING, CURVE = "training", "curve.csv"
FLOAT32, BFLOAT16 = "float32", "bfloat16"
_ORDER, _NOISE = 1, 2  # streams of chance


@dataclass(frozen=True)
class BcConfig:
    """Settings of behaviour cloning."""

    steps: int = leaf(2500, "Optimiser steps.", low=1)
    batch: int = leaf(128, "Rows in a step.", low=1)
    draws: int = leaf(4, "Draws of noise and time for each row.", low=1, high=64)
    lr: float = leaf(1e-3, "Highest learning rate.", low=0.0, high=1.0)
    last_lr: float = leaf(0.02, "Learning rate at the end, as a share of the highest.", low=0.0, high=1.0)
    warmup: int = leaf(100, "Steps until the highest learning rate.", low=0)
    weight_decay: float = leaf(1e-4, "Weight decay of AdamW.", low=0.0, high=1.0)
    clip: float = leaf(1.0, "Greatest norm of the gradient.", low=1e-6)
    ema: float = leaf(0.995, "Moving average of the weights: share that is kept in a step; 0: none.", low=0.0, high=1.0)
    precision: str = leaf(
        FLOAT32, "What the trunk computes in; bfloat16 pays where the processor has it.", choices=(FLOAT32, BFLOAT16)
    )
    frozen_trunk: bool = leaf(False, "Leave what encodes observations as it is.")
    seed: int = leaf(0, "Seed of everything random.", low=0)
    log_every: int = leaf(50, "Steps between two rows of the curve.", low=1)
    save_every: int = leaf(500, "Steps between two saved states.", low=1)


def train_bc(
    policy: FlowPolicy,
    data: ChunkData,
    cfg: BcConfig,
    folder: Path | None = None,  # where the curve and the state go; what is there goes on
    watch: Watch | None = None,
    until: int | None = None,  # stop after this many steps, as an interruption would
) -> FlowPolicy:
    """Train `policy` in place; it ends as the moving average."""
    if not len(data):
        raise ContractError("There is no row to learn from.", "Collect at least one demonstration that succeeds.")
    trainer = _Trainer(policy, data, cfg)
    if folder is not None and (folder / TRAINING).exists():
        trainer.restore(folder / TRAINING)
    with Log(folder / CURVE if folder else None, "step", trainer.step, watch) as log:
        last = min(cfg.steps, until if until is not None else cfg.steps)
        while trainer.step < last:
            row = trainer.advance()
            if trainer.step % cfg.log_every == 0 or trainer.step == cfg.steps:
                log.write(row)
            if folder is not None and (trainer.step % cfg.save_every == 0 or trainer.step == last):
                trainer.save(folder / TRAINING)
    return trainer.finish()


class _Trainer:
    """One training, step by step."""

    def __init__(self, policy: FlowPolicy, data: ChunkData, cfg: BcConfig) -> None:
        self.policy, self.data, self.cfg, self.step = policy, data, cfg, 0
        policy.freeze_trunk(cfg.frozen_trunk)
        self._learning = [p for p in policy.net.parameters() if p.requires_grad]
        self._optimiser = torch.optim.AdamW(self._learning, lr=cfg.lr, weight_decay=cfg.weight_decay, fused=True)
        self._average = [p.detach().clone() for p in self._learning]
        self._order: tuple[int, IntArray] = (-1, np.zeros(0, dtype=np.int64))
        self._began = time.perf_counter()

    def advance(self) -> dict[str, float]:
        """One step; what it cost."""
        rate = learning_rate(self.step, self.cfg)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        loss = self._loss(self.data.batch(self._rows()))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self._learning, self.cfg.clip))
        if not math.isfinite(norm):
            raise NotFinite(f"The loss is {float(loss.detach())} at step {self.step}.", "Give a lower learning rate.")
        self._optimiser.step()
        self.step += 1
        self._follow()
        seconds = time.perf_counter() - self._began
        return {"step": self.step, "loss": float(loss.detach()), "lr": rate, "gradient": norm, "seconds": seconds}

    def finish(self) -> FlowPolicy:
        """The policy with the averaged weights."""
        with torch.no_grad():
            for parameter, average in zip(self._learning, self._average, strict=True):
                parameter.copy_(average)
        self.policy.freeze_trunk(False)
        return self.policy

    def save(self, folder: Path) -> None:
        average = {f"average.{index}": value for index, value in enumerate(self._average)}
        memory = optimiser_tensors(self._optimiser, "optimiser")
        tensors = {**module_tensors(self.policy, "policy"), **average, **memory}
        write_training(folder, tensors, {"config": nested(self.cfg), "step": self.step, "rows": len(self.data)})

    def restore(self, folder: Path) -> None:
        tensors, state = read_training(folder, nested(self.cfg))
        if state["rows"] != len(self.data):
            cause = f"The training in {folder} learnt from {state['rows']} rows, now there are {len(self.data)}."
            raise ContractError(cause, "Give the same demonstrations again.")
        restore_module(self.policy, "policy", tensors)
        restore_optimiser(self._optimiser, "optimiser", tensors)
        for index, average in enumerate(self._average):
            average.copy_(tensors[f"average.{index}"])
        self.step = int(state["step"])

    # ---- inside -----------------------------------------------------------------------------------------

    def _loss(self, batch: Batch) -> Tensor:
        """Of `draws` draws a row."""
        half = self.cfg.precision == BFLOAT16
        with torch.autocast(self.policy.device.type, torch.bfloat16, enabled=half):
            prefix = self.policy.encode_inputs(batch.inputs, batch.states)
        rows = list(range(len(batch.actions))) * self.cfg.draws
        actions = batch.actions.repeat(self.cfg.draws, 1, 1)
        weight = None if batch.weight is None else batch.weight.repeat(self.cfg.draws, 1, 1)
        generator = torch.Generator().manual_seed(mix(self.cfg.seed, _NOISE, self.step))
        eps = torch.randn(actions.shape, generator=generator).to(actions)
        t = sample_time(torch.rand(len(actions), generator=generator)).to(actions)
        return self.policy.flow_loss(prefix.select(rows), actions, eps, t, weight).mean()

    def _rows(self) -> IntArray:
        """(B,) of this step; the rows of an epoch are a shuffle of all, and a step may reach into the next one."""
        first = self.step * self.cfg.batch
        return np.array([self._row(place) for place in range(first, first + self.cfg.batch)], dtype=np.int64)

    def _row(self, place: int) -> int:
        epoch, offset = divmod(place, len(self.data))
        if self._order[0] != epoch:
            shuffled = np.random.default_rng(mix(self.cfg.seed, _ORDER, epoch)).permutation(len(self.data))
            self._order = epoch, shuffled.astype(np.int64)
        return int(self._order[1][offset])

    def _follow(self) -> None:
        """The average comes nearer; early on faster, or it would remember the random start."""
        keep = min(self.cfg.ema, (1.0 + self.step) / (10.0 + self.step)) if self.cfg.ema else 0.0
        with torch.no_grad():
            torch._foreach_lerp_(self._average, [p.detach() for p in self._learning], 1.0 - keep)


def learning_rate(step: int, cfg: BcConfig) -> float:
    """Up in a line, then down along half a cosine."""
    if step < cfg.warmup:
        return cfg.lr * (step + 1) / cfg.warmup
    share = (step - cfg.warmup) / max(cfg.steps - cfg.warmup, 1)
    return cfg.lr * (cfg.last_lr + (1.0 - cfg.last_lr) * 0.5 * (1.0 + math.cos(math.pi * share)))


def lineage_config(cfg: BcConfig, more: Mapping[str, object]) -> dict[str, object]:
    """What a checkpoint tells of its training."""
    return {"algorithm": "sft", **nested(cfg), **more}
