"""Behaviour cloning with flow matching (SFT): the first policy, from demonstrations.

    rows of a step  = the next `batch` of a shuffled epoch                  keyed by (seed, epoch)
    loss            = E |v(x_t, t) - (eps - x_0)|²,  `draws` times a row     keyed by (seed, step)
    step            : gradient clipped, AdamW, warm-up then cosine; the policy that acts is the moving average

All chance is keyed, so a training that was interrupted goes on bit for bit on the same device with the same number of
threads. One observation is encoded once and used for several draws of noise and time: pictures are the dear part.

Who learns: everything; with `frozen_trunk` what does not encode observations; with `lora_rank` adapters in what turns
noise into actions, and the layers between it and the chunk. With several processes (`models/distributed.py`) each
takes its part of every step's rows; result and saved state are those of one process, up to rounding.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from vla_mbpo_ros.algorithms.bc_config import BFLOAT16, BcConfig
from vla_mbpo_ros.algorithms.chunks import Batch, ChunkData, IntArray
from vla_mbpo_ros.algorithms.descent import Epochs, follow, learning_rate
from vla_mbpo_ros.algorithms.log import Log, Watch
from vla_mbpo_ros.algorithms.saved import (
    has_training,
    module_tensors,
    optimiser_tensors,
    read_training,
    restore_module,
    restore_optimiser,
    write_training,
)
from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.models.distributed import ALONE, Team, blocks_of, cut_like, whole
from vla_mbpo_ros.models.flow import sample_time
from vla_mbpo_ros.models.lora import adapt, merge
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.policy.flow.net import VelocityNet
from vla_mbpo_ros.policy.flow.policy import FlowPolicy

TRAINING, CURVE = "training", "curve.csv"
_ORDER, _NOISE, _ADAPTERS, _HELD_OUT = 1, 2, 3, 4  # streams of chance


def train_bc(
    policy: FlowPolicy,
    data: ChunkData,
    cfg: BcConfig,
    folder: Path | None = None,  # where the curve and the state go; what is there goes on
    watch: Watch | None = None,
    until: int | None = None,  # stop after this many steps, as an interruption would
    held_out: ChunkData | None = None,  # the loss of the moving average on these is in the curve
    team: Team = ALONE,
) -> FlowPolicy:
    """Train `policy` in place; it ends as the moving average."""
    if not len(data):
        raise ContractError("There is no row to learn from.", "Collect at least one demonstration that succeeds.")
    trainer = _Trainer(policy, data, cfg, held_out, team)
    if folder is not None and has_training(folder / TRAINING):
        trainer.restore(folder / TRAINING)
    curve = folder / CURVE if folder and team.leads else None
    with Log(curve, "step", trainer.step, watch if team.leads else None) as log:
        last = min(cfg.steps, until if until is not None else cfg.steps)
        while trainer.step < last:
            row = trainer.advance()
            if trainer.step % cfg.log_every == 0 or trainer.step == cfg.steps:
                log.write({**row, **trainer.look_at_held_out()})
            if folder is not None and (trainer.step % cfg.save_every == 0 or trainer.step == last):
                trainer.save(folder / TRAINING)
    return trainer.finish()


class BcLoss(nn.Module):
    """Observations and chunks to a loss, in one forward pass: sharded weights are brought together once for both."""

    def __init__(self, policy: FlowPolicy, half: bool) -> None:
        super().__init__()
        self.policy, self._bfloat16 = policy, half

    def forward(self, batch: Batch, eps: Tensor, t: Tensor) -> Tensor:
        """eps (draws, B, K, D) and t (draws, B) -> a number."""
        draws = len(eps)
        with torch.autocast(self.policy.device.type, torch.bfloat16, enabled=self._bfloat16):
            prefix = self.policy.encode_inputs(batch.inputs, batch.states)
        rows = list(range(len(batch.actions))) * draws
        actions = batch.actions.repeat(draws, 1, 1)
        weight = None if batch.weight is None else batch.weight.repeat(draws, 1, 1)
        eps, t = eps.flatten(0, 1).to(actions), t.flatten().to(actions)
        return self.policy.flow_loss(prefix.select(rows), actions, eps, t, weight).mean()


class _Trainer:
    """One training, step by step."""

    def __init__(
        self, policy: FlowPolicy, data: ChunkData, cfg: BcConfig, held_out: ChunkData | None, team: Team
    ) -> None:
        self.data, self.held_out, self.cfg, self.team, self.step = data, held_out, cfg, team, 0
        choose_learning(policy, cfg)
        # A sharded policy cannot be made whole again: what was given waits for the result, out of the device's memory.
        self._given, self.policy = policy, policy if team.mesh is None else copy.deepcopy(policy)
        self._loss = BcLoss(self.policy, cfg.precision == BFLOAT16)
        team.shard(self._loss, blocks_of(self.policy.net))
        self._learning = [p for p in self.policy.net.parameters() if p.requires_grad]
        self._optimiser = torch.optim.AdamW(self._learning, lr=cfg.lr, weight_decay=cfg.weight_decay, fused=True)
        self._average = [p.detach().clone() for p in self._learning]
        self._epochs = Epochs(len(data), cfg.seed, _ORDER)
        self._began = time.perf_counter()

    def advance(self) -> dict[str, float]:
        """One step; what it cost."""
        rate = learning_rate(self.step, self.cfg)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        mine = self.team.share(self.cfg.batch)
        rows = self._epochs.step(self.step, self.cfg.batch)[mine]
        loss = self._loss_of(self.data, rows, self._chance(_NOISE, self.step, self.cfg.batch), mine)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(whole(nn.utils.clip_grad_norm_(self._learning, self.cfg.clip)).detach())
        told = self.team.mean(loss.detach())
        if not math.isfinite(norm):
            raise NotFinite(f"The loss is {told} at step {self.step}.", "Give a lower learning rate.")
        self._optimiser.step()
        self.step += 1
        follow(self._average, self._learning, self.step, self.cfg.ema)
        seconds = time.perf_counter() - self._began
        return {"step": self.step, "loss": told, "lr": rate, "gradient": norm, "seconds": seconds}

    @torch.no_grad()
    def look_at_held_out(self) -> dict[str, float]:
        """The moving average's loss on at most a batch of rows that nobody learns from; always the same noise."""
        if self.held_out is None:
            return {}
        count = min(len(self.held_out), self.cfg.batch)
        rows = np.linspace(0, len(self.held_out) - 1, count).round().astype(np.int64)
        with self._as_average():
            loss = self._loss_of(self.held_out, rows, self._chance(_HELD_OUT, 0, count), slice(None))
        return {"held_out": float(loss)}

    def finish(self) -> FlowPolicy:
        """The policy with the averaged weights and ordinary layers."""
        with torch.no_grad():
            for parameter, average in zip(self._learning, self._average, strict=True):
                parameter.copy_(average)
            if self.policy is not self._given:
                learnt = dict(self.policy.named_parameters())
                for name, parameter in self._given.named_parameters():
                    parameter.copy_(whole(learnt[name]))
        merge(self._given)
        self._given.requires_grad_(True)
        return self._given

    def save(self, folder: Path) -> None:
        average = {f"average.{index}": value for index, value in enumerate(self._average)}
        memory = optimiser_tensors(self._optimiser, "optimiser")
        tensors = self.team.gather({**module_tensors(self.policy, "policy"), **average, **memory})
        if self.team.leads:
            write_training(folder, tensors, {"config": nested(self.cfg), "step": self.step, "rows": len(self.data)})

    def restore(self, folder: Path) -> None:
        tensors, state = read_training(folder, nested(self.cfg))
        if state["rows"] != len(self.data):
            cause = f"The training in {folder} learnt from {state['rows']} rows, now there are {len(self.data)}."
            raise ContractError(cause, "Give the same demonstrations again.")
        restore_module(self.policy, "policy", self._cut(tensors))
        restore_optimiser(self._optimiser, "optimiser", self._cut(tensors))
        for index, average in enumerate(self._average):
            average.copy_(cut_like(average, tensors[f"average.{index}"]))
        self.step = int(state["step"])

    # ---- inside -----------------------------------------------------------------------------------------

    def _loss_of(self, data: ChunkData, rows: IntArray, chance: tuple[Tensor, Tensor], mine: slice) -> Tensor:
        """Of these rows; of `chance`, which is for the whole batch, `mine` is theirs."""
        eps, t = chance
        result: Tensor = self._loss(data.batch(rows).to(self.policy.device), eps[:, mine], t[:, mine])
        return result

    def _chance(self, stream: int, step: int, rows: int) -> tuple[Tensor, Tensor]:
        """Noise (draws, rows, K, D) and moments (draws, rows)."""
        generator = torch.Generator().manual_seed(mix(self.cfg.seed, stream, step))
        net = cast(VelocityNet, self.policy.net)
        eps = torch.randn(self.cfg.draws * rows, net.horizon, net.action_dim, generator=generator)
        t = sample_time(torch.rand(self.cfg.draws * rows, generator=generator))
        return eps.reshape(self.cfg.draws, rows, *eps.shape[1:]), t.reshape(self.cfg.draws, rows)

    @contextmanager
    def _as_average(self) -> Iterator[None]:
        """With the weights that will act; afterwards those that learn are back."""
        kept = [parameter.detach().clone() for parameter in self._learning]
        try:
            for parameter, average in zip(self._learning, self._average, strict=True):
                parameter.copy_(average)
            yield
        finally:
            for parameter, learnt in zip(self._learning, kept, strict=True):
                parameter.copy_(learnt)

    def _cut(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors of a saved training as this process keeps them."""
        patterns = {f"policy.{name}": value for name, value in self.policy.state_dict().items()}
        for index, parameter in enumerate(self._learning):
            patterns |= {f"optimiser.{index}.{name}": parameter for name in ("exp_avg", "exp_avg_sq")}
        return {
            name: cut_like(patterns[name], tensor) if name in patterns else tensor for name, tensor in tensors.items()
        }


def choose_learning(policy: FlowPolicy, cfg: BcConfig) -> None:
    """Mark what learns, and put adapters in."""
    policy.freeze_trunk(cfg.frozen_trunk or cfg.lora_rank > 0)
    if cfg.lora_rank:
        net = cast(VelocityNet, policy.net)
        adapt(net.adaptable(), cfg.lora_rank, cfg.lora_alpha, mix(cfg.seed, _ADAPTERS))


def lineage_config(cfg: BcConfig, more: Mapping[str, object]) -> dict[str, object]:
    """What a checkpoint tells of its training."""
    return {"algorithm": "sft", **nested(cfg), **more}
