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
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from vla_mbpo_ros.algorithms.descent import BFLOAT16, Descent, Epochs, Watch, descend, evenly
from vla_mbpo_ros.algorithms.imitation.bc_config import BcConfig
from vla_mbpo_ros.algorithms.imitation.chunks import Batch, ChunkData, IntArray
from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.distributed import ALONE, Team, blocks_of, whole
from vla_mbpo_ros.models.flow import sample_time
from vla_mbpo_ros.models.lora import adapt, merge
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.policy.flow.net import VelocityNet
from vla_mbpo_ros.policy.flow.policy import FlowPolicy

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
    descend(trainer, cfg, folder, watch, until, team.leads)
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
        self.data, self.held_out, self.cfg, self.team = data, held_out, cfg, team
        choose_learning(policy, cfg)
        # A sharded policy cannot be made whole again: what was given waits for the result, out of the device's memory.
        self._given, self.policy = policy, policy if team.mesh is None else copy.deepcopy(policy)
        self._loss = BcLoss(self.policy, cfg.precision == BFLOAT16)
        team.shard(self._loss, blocks_of(self.policy.net))
        self.descent = Descent(self.policy, cfg, team, self.policy.net)
        self._epochs = Epochs(len(data), cfg.seed, _ORDER)

    @property
    def step(self) -> int:
        return self.descent.step

    def advance(self) -> dict[str, float]:
        mine = self.team.share(self.cfg.batch)
        rows = self._epochs.step(self.step, self.cfg.batch)[mine]
        return self.descent.take(self._loss_of(self.data, rows, self._chance(_NOISE, self.step, self.cfg.batch), mine))

    @torch.no_grad()
    def look(self) -> dict[str, float]:
        """The moving average's loss on at most a batch of rows that nobody learns from; always the same noise."""
        if self.held_out is None:
            return {}
        rows = evenly(len(self.held_out), self.cfg.batch)
        with self.descent.averaged():
            loss = self._loss_of(self.held_out, rows, self._chance(_HELD_OUT, 0, len(rows)), slice(None))
        return {"held_out": float(loss)}

    @torch.no_grad()
    def finish(self) -> FlowPolicy:
        """The policy with the averaged weights and ordinary layers."""
        self.descent.end()
        if self.policy is not self._given:
            learnt = dict(self.policy.named_parameters())
            for name, parameter in self._given.named_parameters():
                parameter.copy_(whole(learnt[name]))
        merge(self._given)
        self._given.requires_grad_(True)
        return self._given

    def save(self, folder: Path) -> None:
        self.descent.save(folder, {"config": nested(self.cfg), "rows": len(self.data)})

    def restore(self, folder: Path) -> None:
        rows = self.descent.restore(folder, nested(self.cfg))[0]["rows"]
        if rows != len(self.data):
            cause = f"The training in {folder} learnt from {rows} rows, now there are {len(self.data)}."
            raise ContractError(cause, "Give the same demonstrations again.")

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


def choose_learning(policy: FlowPolicy, cfg: BcConfig) -> None:
    """Mark what learns, and put adapters in."""
    policy.freeze_trunk(cfg.frozen_trunk or cfg.lora_rank > 0)
    if cfg.lora_rank:
        net = cast(VelocityNet, policy.net)
        adapt(net.adaptable(), cfg.lora_rank, cfg.lora_alpha, mix(cfg.seed, _ADAPTERS))


def lineage_config(cfg: BcConfig, more: Mapping[str, object]) -> dict[str, object]:
    """What a checkpoint tells of its training."""
    return {"algorithm": "sft", **nested(cfg), **more}
