"""What every gradient descent here shares.

    descend(trainer)      until the last step:  advance ──> row of the curve;  now and then a saved state
    Descent.take(loss)    gradient clipped, AdamW, warm-up then cosine; the moving average follows
    Epochs, evenly        which rows a step takes, and a look

All of it is a matter of (seed, step), so that a training that was interrupted goes on bit for bit on the same device
with the same number of threads. With several processes (`models/distributed.py`) weights, memory and average are
sharded; what is saved is whole.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

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
from vla_mbpo_ros.errors import NotFinite
from vla_mbpo_ros.models.distributed import ALONE, Team, cut_like, whole
from vla_mbpo_ros.models.randomness import mix

TRAINING, CURVE = "training", "curve.csv"
FLOAT32, BFLOAT16 = "float32", "bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)

IntArray = npt.NDArray[np.int64]


class Schedule(Protocol):
    """The settings that a learning rate follows."""

    @property
    def steps(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def last_lr(self) -> float: ...
    @property
    def warmup(self) -> int: ...


class Descending(Schedule, Protocol):
    """All settings of a descent."""

    @property
    def weight_decay(self) -> float: ...
    @property
    def clip(self) -> float: ...
    @property
    def ema(self) -> float: ...


class Pace(Protocol):
    """How long a training goes on, and how often it says and saves something."""

    @property
    def steps(self) -> int: ...
    @property
    def log_every(self) -> int: ...
    @property
    def save_every(self) -> int: ...


class Trainer(Protocol):
    """One training, step by step."""

    @property
    def step(self) -> int:
        """Steps done."""
        ...

    def advance(self) -> dict[str, float]:
        """One step; what it cost."""
        ...

    def look(self) -> dict[str, float]:
        """What is told beside it on the curve: held-out numbers."""
        ...

    def save(self, folder: Path) -> None: ...

    def restore(self, folder: Path) -> None: ...


def descend(
    trainer: Trainer,
    pace: Pace,
    folder: Path | None,  # where the curve and the state go; what is there goes on
    watch: Watch | None,
    until: int | None = None,  # stop after this many steps, as an interruption would
    leads: bool = True,  # of several processes one writes and speaks
    is_over: Callable[[], bool] = lambda: False,  # asked after each step: an end before the last one
    key: str = "step",  # the column of the curve that counts
) -> None:
    """To the last step."""
    if folder is not None and has_training(folder / TRAINING):
        trainer.restore(folder / TRAINING)
    curve = folder / CURVE if folder and leads else None
    with Log(curve, key, trainer.step, watch if leads else None) as log:
        last = min(pace.steps, until if until is not None else pace.steps)
        while trainer.step < last and not is_over():
            row = trainer.advance()
            if trainer.step % pace.log_every == 0 or trainer.step == pace.steps:
                log.write({**row, **trainer.look()})
            if folder is not None and (trainer.step % pace.save_every == 0 or trainer.step == last):
                trainer.save(folder / TRAINING)


class Descent:
    """The weights of a module on their way down: those that ask for a gradient, of all of it or of one part."""

    def __init__(self, module: nn.Module, cfg: Descending, team: Team = ALONE, part: nn.Module | None = None) -> None:
        self.cfg, self.step, self._module, self._team = cfg, 0, module, team
        self._learning = [parameter for parameter in (part or module).parameters() if parameter.requires_grad]
        self._optimiser = torch.optim.AdamW(self._learning, lr=cfg.lr, weight_decay=cfg.weight_decay, fused=True)
        self._average = [parameter.detach().clone() for parameter in self._learning]
        self._began = time.perf_counter()

    def take(self, loss: Tensor) -> dict[str, float]:
        """One step; what it was."""
        return self.take_summed([loss])

    def take_summed(self, losses: Sequence[Tensor] | Iterator[Tensor]) -> dict[str, float]:
        """One step for the sum of several losses, each gone back through before the next one is asked for."""
        rate = learning_rate(self.step, self.cfg)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad(set_to_none=True)
        told = 0.0
        for loss in losses:
            loss.backward()  # type: ignore[no-untyped-call]
            told += self._team.mean(loss.detach())
        norm = float(whole(nn.utils.clip_grad_norm_(self._learning, self.cfg.clip)).detach())
        if not math.isfinite(norm):
            raise NotFinite(f"The loss is {told} at step {self.step}.", "Give a lower learning rate.")
        self._optimiser.step()
        self.step += 1
        follow(self._average, self._learning, self.step, self.cfg.ema)
        return {"step": self.step, "loss": told, "lr": rate, "gradient": norm, "seconds": self._seconds()}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """With the weights that will be kept; afterwards those that learn are back."""
        kept = [parameter.detach().clone() for parameter in self._learning]
        self.end()
        try:
            yield
        finally:
            self._put(kept)

    def end(self, average: Sequence[Tensor] | None = None) -> None:
        """The module becomes the moving average, that of now or a copy of an earlier one."""
        self._put(average or self._average)

    def copy(self) -> list[Tensor]:
        """The moving average as it is now."""
        return [each.clone() for each in self._average]

    def save(self, folder: Path, facts: Mapping[str, Any], more: Mapping[str, Tensor] | None = None) -> None:
        """`facts` has "config": what must be the same when it goes on."""
        average = {f"average.{index}": value for index, value in enumerate(self._average)}
        memory = optimiser_tensors(self._optimiser, "optimiser")
        tensors = self._team.gather({**module_tensors(self._module, "module"), **average, **memory, **(more or {})})
        if self._team.leads:
            write_training(folder, tensors, {**facts, "step": self.step, "seconds": self._seconds()})

    def restore(self, folder: Path, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The facts and all tensors; ConfigError if it was begun with another `config`."""
        tensors, facts = read_training(folder, config)
        mine = self._laid_out(tensors)
        restore_module(self._module, "module", mine)
        restore_optimiser(self._optimiser, "optimiser", mine)
        for index, average in enumerate(self._average):
            average.copy_(mine[f"average.{index}"])
        self.step = int(facts["step"])
        self._began = time.perf_counter() - float(facts.get("seconds", 0.0))
        return facts, tensors

    def cut(self, whole: Sequence[Tensor]) -> list[Tensor]:
        """A saved copy of the average, as this process keeps it."""
        return [_like(parameter, value) for parameter, value in zip(self._learning, whole, strict=True)]

    def _seconds(self) -> float:
        """Of learning, also before an interruption."""
        return time.perf_counter() - self._began

    @torch.no_grad()
    def _put(self, values: Sequence[Tensor]) -> None:
        for parameter, value in zip(self._learning, values, strict=True):
            parameter.copy_(value)

    def _laid_out(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Saved tensors as this process keeps them: its shard, and in memory as the weight lies. The fused optimiser
        goes through memory, not through places."""
        patterns = {f"module.{name}": value for name, value in self._module.state_dict().items()}
        for index, parameter in enumerate(self._learning):
            names = (f"average.{index}", *(f"optimiser.{index}.{name}" for name in ("exp_avg", "exp_avg_sq")))
            patterns |= dict.fromkeys(names, parameter)
        return {name: _like(patterns[name], value) if name in patterns else value for name, value in tensors.items()}


def _like(pattern: Tensor, value: Tensor) -> Tensor:
    cut = cut_like(pattern, value)
    return cut if cut is not value else torch.empty_like(pattern, requires_grad=False).copy_(value)


def learning_rate(step: int, cfg: Schedule) -> float:
    """Up in a line, then down along half a cosine."""
    if step < cfg.warmup:
        return cfg.lr * (step + 1) / cfg.warmup
    share = (step - cfg.warmup) / max(cfg.steps - cfg.warmup, 1)
    return cfg.lr * (cfg.last_lr + (1.0 - cfg.last_lr) * 0.5 * (1.0 + math.cos(math.pi * share)))


class Epochs:
    """The rows of an epoch are a shuffle of all, and a step may reach into the next one."""

    def __init__(self, rows: int, seed: int, stream: int) -> None:
        self._rows, self._seed, self._stream = rows, seed, stream
        self._order: tuple[int, IntArray] = (-1, np.zeros(0, dtype=np.int64))

    def step(self, step: int, batch: int) -> IntArray:
        """(B,) of this step."""
        return np.array([self._row(place) for place in range(step * batch, (step + 1) * batch)], dtype=np.int64)

    def _row(self, place: int) -> int:
        epoch, offset = divmod(place, self._rows)
        if self._order[0] != epoch:
            shuffled = np.random.default_rng(mix(self._seed, self._stream, epoch)).permutation(self._rows)
            self._order = epoch, shuffled.astype(np.int64)
        return int(self._order[1][offset])


def evenly(count: int, at_most: int) -> IntArray:
    """So many of `count` rows at most, spread over all of them: for a look that is always at the same ones."""
    return np.linspace(0, count - 1, min(count, at_most)).round().astype(np.int64)


@torch.no_grad()
def follow(average: Sequence[Tensor], learning: Sequence[Tensor], step: int, ema: float) -> None:
    """The average comes nearer; early on faster, or it would remember the random start."""
    keep = min(ema, (1.0 + step) / (10.0 + step)) if ema else 0.0
    torch._foreach_lerp_(list(average), [each.detach() for each in learning], 1.0 - keep)
