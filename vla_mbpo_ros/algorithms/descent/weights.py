"""Weights on their way down, and the moving average that follows them: what is kept in the end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vla_mbpo_ros.algorithms.descent.saved import (
    module_tensors,
    optimiser_tensors,
    read_training,
    restore_module,
    restore_optimiser,
    write_training,
)
from vla_mbpo_ros.algorithms.descent.settings import DescentSettings
from vla_mbpo_ros.errors import NotFinite
from vla_mbpo_ros.models.distributed import ALONE, Team, cut_like, whole


class Descent:
    """The weights of a module on their way down: those that ask for a gradient, of all of it or of one part."""

    def __init__(
        self, module: nn.Module, cfg: DescentSettings, team: Team = ALONE, part: nn.Module | None = None
    ) -> None:
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


def learning_rate(step: int, cfg: DescentSettings) -> float:
    """Up in a line, then down along half a cosine."""
    if step < cfg.warmup:
        return cfg.lr * (step + 1) / cfg.warmup
    share = (step - cfg.warmup) / max(cfg.steps - cfg.warmup, 1)
    return cfg.lr * (cfg.last_lr + (1.0 - cfg.last_lr) * 0.5 * (1.0 + math.cos(math.pi * share)))


@torch.no_grad()
def follow(average: Sequence[Tensor], learning: Sequence[Tensor], step: int, ema: float) -> None:
    """The average comes nearer; early on faster, or it would remember the random start."""
    keep = min(ema, (1.0 + step) / (10.0 + step)) if ema else 0.0
    torch._foreach_lerp_(list(average), [each.detach() for each in learning], 1.0 - keep)
