"""Training of UMM-World: what a chunk leads to, and whether the task is done.

    rows of a step   the next `batch` chunks of a shuffled epoch, `draws` times of noise; `judged` moments beside them
    loss             mse_weight · E w |v(x_t, t) - (eps - x_0)|²  +  ce_weight · cross entropy of Yes and No, done
                     moments weighted down to the share that they have among all
    w                1 + changed · how far the token moved, as a share of the most in its view; mean 1
    step             gradient clipped, AdamW, warm-up then cosine; what is kept is the moving average

From `dreamed_from` on half of the judged moments are dreams of the model itself, labelled by what truly came: the
judge must know how dreams look. They are dreamt anew now and then, and kept with the state, because they are a matter
of weights that will be gone. (Not with a vision encoder: only latents of dreams are kept.) All other chance is keyed by
(seed, step): an interrupted training goes on bit for bit.

With several processes (`models/distributed.py`) each takes its part of every step's chunks, and `judged` moments of its
own. Shards can neither dream nor be saved as a network: beside them every process keeps the given one whole.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.algorithms.descent import BFLOAT16, Descent, Epochs, Watch, descend, evenly
from vla_mbpo_ros.algorithms.world_model.dream_data import DreamData, IntArray, Judged, Moves, dream_of
from vla_mbpo_ros.algorithms.world_model.umm_config import WorldModelTraining
from vla_mbpo_ros.algorithms.world_model.umm_lesson import Lesson, joined, rewards_of, weights_of
from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.distributed import ALONE, Team, blocks_of, whole
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.world_model.umm import assemble
from vla_mbpo_ros.world_model.umm.assemble import Clean
from vla_mbpo_ros.world_model.umm.losses import Dynamics, Rewards, draw
from vla_mbpo_ros.world_model.umm.model import UmmWorld

_ORDER, _NOISE, _JUDGED, _LEFT_OUT, _DREAMT, _HELD_OUT = 1, 2, 3, 4, 5, 6  # streams of chance
_LOOK_AT = 64  # held-out rows of a look

Preview = Callable[[UmmWorld, int], dict[str, float]]  # of the moving average, and the step; what to tell


def train_world_model(
    world: UmmWorld,
    data: DreamData,
    cfg: WorldModelTraining,
    folder: Path | None = None,  # where the curve and the state go; what is there goes on
    held_out: DreamData | None = None,  # nobody learns from it: its losses are in the curve
    watch: Watch | None = None,
    until: int | None = None,  # stop after this many steps, as an interruption would
    preview: Preview | None = None,
    team: Team = ALONE,
) -> UmmWorld:
    """Train the network of `world` in place; it ends as the moving average."""
    if not len(data):
        raise ContractError("There is no chunk to learn from.", "Record or play at least one episode.")
    trainer = _Trainer(world, data, cfg, held_out, preview, team)
    descend(trainer, cfg, folder, watch, until, team.leads, trainer.is_over)
    trainer.end()
    world.net.eval().requires_grad_(False)
    return world


@dataclass(frozen=True)
class _Dreamt:
    """What the model itself dreamt of some chunks."""

    latents: Tensor  # (D, V, T, latent width)
    rows: IntArray  # (D,)


class _Trainer:
    """One training, step by step."""

    def __init__(
        self,
        world: UmmWorld,
        data: DreamData,
        cfg: WorldModelTraining,
        held_out: DreamData | None,
        preview: Preview | None,
        team: Team,
    ) -> None:
        self.world, self.data, self.cfg, self.held_out, self.team = world, data, cfg, held_out, team
        self._preview = preview
        self._net = world.net if team.mesh is None else copy.deepcopy(world.net)  # what learns, in shards
        self._net.train().requires_grad_(True)
        self._lesson = Lesson(self._net, cfg.precision == BFLOAT16)
        team.shard(self._lesson, blocks_of(self._net))
        self.descent = Descent(self._net, cfg, team)
        self._epochs = Epochs(len(data), cfg.seed, _ORDER)
        self._done, self._open = np.flatnonzero(data.done), np.flatnonzero(~data.done)
        self._after = data.after(np.arange(len(data), dtype=np.int64))
        self._dreamt: _Dreamt | None = None
        self._best: tuple[float, int, list[Tensor]] = (math.inf, 0, [])  # held-out loss, looks since, average

    @property
    def step(self) -> int:
        return self.descent.step

    def is_over(self) -> bool:
        return bool(self.cfg.patience) and self._best[1] >= self.cfg.patience

    def end(self) -> None:
        """The network becomes the moving average: the last, or where patience counts the best."""
        self.descent.end(self._best[2] or None)
        self._bring_together()

    def advance(self) -> dict[str, float]:
        self._dream_now_and_then()
        told: list[tuple[float, float]] = []
        row = self.descent.take_summed(self._losses(told))
        mse, ce = (float(np.mean(each)) for each in zip(*told, strict=True))
        return {**row, "mse": mse, "ce": ce}

    @torch.no_grad()
    def look(self) -> dict[str, float]:
        """The moving average on held-out rows, always with the same noise."""
        told: dict[str, float] = {}
        with self.descent.averaged():
            if self.held_out is not None:
                told |= self._held_out_losses(self.held_out)
                self._remember(self._total(told))
            if self.cfg.preview_every:
                self._bring_together()
                told |= {} if self._preview is None else self._previewed(self._preview)
        return told

    def save(self, folder: Path) -> None:
        kept = {} if self._dreamt is None else {"dreamt": self._dreamt.latents}
        rows = [] if self._dreamt is None else self._dreamt.rows.tolist()
        least, looks, average = self._best
        kept |= {f"best.{index}": value for index, value in enumerate(average)}
        facts = {"config": self._config(), "dreamt": rows, "least": least if average else None, "looks": looks}
        self.descent.save(folder, facts, kept)

    def restore(self, folder: Path) -> None:
        facts, more = self.descent.restore(folder, self._config())
        if facts["dreamt"]:
            self._dreamt = _Dreamt(more["dreamt"], np.array(facts["dreamt"], dtype=np.int64))
        if facts["least"] is not None:
            best = [more[f"best.{index}"] for index in range(sum(name.startswith("best.") for name in more))]
            self._best = facts["least"], facts["looks"], self.descent.cut(best)

    # ---- a step -----------------------------------------------------------------------------------------

    def _losses(self, told: list[tuple[float, float]]) -> Iterator[Tensor]:
        """Of each part of the step, one after the other; their sum is the step's loss."""
        cfg, parts = self.cfg, self.cfg.parts
        chunks = self._epochs.step(self.step, cfg.batch)
        judged = self._choose_judged()
        for part in range(parts):
            mine = self.team.share(len(chunks[part::parts]))
            dynamics = self._dynamics(self.data.moves(chunks[part::parts][mine]), _NOISE, self.step, part)
            total, mse, ce = self._lesson(dynamics, self._rewards(judged, part))
            told.append((self.team.mean(mse), self.team.mean(ce)))
            yield total / parts

    def _dynamics(self, moves: Moves, stream: int, step: int, part: int = 0) -> Dynamics:
        world, device = self.world, self.world.net.device
        blocks = world.dynamics_blocks(moves.instructions, moves.chunks, moves.state, self.cfg.draws)
        chance = np.random.default_rng(mix(self.cfg.seed, _LEFT_OUT, step, part, self.team.rank))
        rows = assemble.dropped(blocks, world.around.vocabulary, self.cfg.drop_out, chance, device)
        images = assemble.images(rows, [moves.now, moves.after])
        generator = torch.Generator().manual_seed(mix(self.cfg.seed, stream, step, part, self.team.rank))
        noise, times = draw(rows, world.net, generator)
        return Dynamics(rows, images, noise, times, weights_of(rows, moves, self.cfg.changed))

    def _choose_judged(self) -> IntArray:
        """(J,) moments of real frames: done ones by their share, the others as they come."""
        count = self.cfg.judged - self._dreams_of_a_step()
        chance = np.random.default_rng(mix(self.cfg.seed, _JUDGED, self.step, self.team.rank))
        done = round(count * self.cfg.done_share) if len(self._done) else 0
        chosen = [
            chance.choice(rows, n) for rows, n in ((self._done, done), (self._open, count - done)) if n and len(rows)
        ]
        return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)

    def _dreams_of_a_step(self) -> int:
        return self.cfg.judged // 2 if self._dreamt is not None else 0

    def _rewards(self, chosen: IntArray, part: int) -> Rewards | None:
        if not self.cfg.judged:
            return None
        groups = [(self.data.judged(chosen[part :: self.cfg.parts]), float(self.data.done.mean()))]
        if self._dreamt is not None:
            groups.append((self._dreamt_judged(self._dreamt, part), float(self._after.mean())))
        weight = np.concatenate([judged.weight(share) for judged, share in groups])
        return rewards_of(self.world, joined([judged for judged, _ in groups]), weight)

    def _dreamt_judged(self, dreamt: _Dreamt, part: int) -> Judged:
        chance = np.random.default_rng(mix(self.cfg.seed, _DREAMT, self.step, part, self.team.rank))
        picked = chance.integers(0, len(dreamt.rows), self._dreams_of_a_step() // self.cfg.parts)
        rows = dreamt.rows[picked]
        latents = dreamt.latents[torch.from_numpy(picked)].to(self.world.net.device)
        return Judged(Clean(latents, None), self.data.moves(rows).instructions, self._after[rows])

    # ---- dreams of its own ------------------------------------------------------------------------------

    def _dream_now_and_then(self) -> None:
        cfg = self.cfg
        first = round(cfg.steps * cfg.dreamed_from)
        if not cfg.dreamed or self.world.net.cfg.vit.layers or self.step < first:
            return
        if (self.step - first) % cfg.dreamed_every == 0:
            with self.descent.averaged():
                self._bring_together()
                self._dreamt = self._dream(mix(cfg.seed, _DREAMT, self.step))

    def _dream(self, seed: int) -> _Dreamt:
        """Of chunks of which half end in success, where there are so many."""
        chance = np.random.default_rng(seed)
        sorts = [rows for rows in (np.flatnonzero(self._after), np.flatnonzero(~self._after)) if len(rows)]
        rows = np.concatenate([chance.choice(sort, self.cfg.dreamed // len(sorts)) for sort in sorts])
        seeds = [mix(seed, index) for index in range(len(rows))]
        return _Dreamt(torch.cat(list(dream_of(self.world, self.data, rows, seeds))), rows)

    @torch.no_grad()
    def _bring_together(self) -> None:
        """What learns in shards, as it is now, into the whole network. Every rank must ask."""
        if self._net is not self.world.net:
            for given, learnt in zip(self.world.net.parameters(), self._net.parameters(), strict=True):
                given.copy_(whole(learnt))

    # ---- a look -----------------------------------------------------------------------------------------

    def _held_out_losses(self, held_out: DreamData) -> dict[str, float]:
        rows = evenly(len(held_out), _LOOK_AT)
        moments = evenly(len(held_out.done), 4 * _LOOK_AT)
        dynamics = self._dynamics(held_out.moves(rows), _HELD_OUT, 0)
        _, mse, ce = self._lesson(dynamics, rewards_of(self.world, held_out.judged(moments)))
        return {"held_out_mse": self.team.mean(mse), "held_out_ce": self.team.mean(ce)}

    def _total(self, told: dict[str, float]) -> float:
        weights = self.world.net.cfg.loss
        return weights.mse_weight * told["held_out_mse"] + weights.ce_weight * told["held_out_ce"]

    def _remember(self, loss: float) -> None:
        if not self.cfg.patience:
            return
        least, looks, average = self._best
        self._best = (loss, 0, self.descent.copy()) if loss < least else (least, looks + 1, average)

    def _previewed(self, preview: Preview) -> dict[str, float]:
        due = self.step % self.cfg.preview_every == 0 or self.step == self.cfg.steps
        return preview(self.world, self.step if due else -1)

    def _config(self) -> dict[str, object]:
        around = self.world.around
        facts = {"chunks": len(self.data), "network": nested(self.world.net.cfg)}
        return {**nested(self.cfg), **facts, "ivd": around.ivd, "autoencoder": around.autoencoder.version}
