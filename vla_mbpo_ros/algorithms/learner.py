"""A network on its way: its weights, their moving average and its optimiser, kept and taken up bit for bit.

loss ──> gradient, clipped ──> AdamW, warm-up then cosine ──> weights ──> average
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from vla_mbpo_ros.algorithms.descent import Schedule, follow, learning_rate
from vla_mbpo_ros.algorithms.saved import (
    module_tensors,
    optimiser_tensors,
    read_training,
    restore_module,
    restore_optimiser,
    write_training,
)
from vla_mbpo_ros.errors import NotFinite

Net = TypeVar("Net", bound=nn.Module)


class Descent(Schedule, Protocol):
    """The settings of a descent."""

    @property
    def weight_decay(self) -> float: ...
    @property
    def clip(self) -> float: ...
    @property
    def ema(self) -> float: ...


class Learner(Generic[Net]):
    """Of one network."""

    def __init__(self, model: Net, cfg: Descent) -> None:
        self.model, self.cfg, self.step = model, cfg, 0
        self.average: Net = copy.deepcopy(model)
        self._learning = list(model.parameters())
        self._optimiser = torch.optim.AdamW(self._learning, lr=cfg.lr, weight_decay=cfg.weight_decay)

    def descend(self, loss: Tensor) -> dict[str, float]:
        """One step; what it was."""
        rate = learning_rate(self.step, self.cfg)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self._learning, self.cfg.clip))
        if not math.isfinite(norm):
            raise NotFinite(f"The loss is {float(loss.detach())} at step {self.step}.", "Give a lower learning rate.")
        self._optimiser.step()
        self.step += 1
        follow(list(self.average.parameters()), self._learning, self.step, self.cfg.ema)
        return {"step": self.step, "loss": float(loss.detach()), "norm": norm, "lr": rate}

    def save(self, folder: Path, settings: Mapping[str, Any]) -> None:
        tensors = {**module_tensors(self.model, "model"), **module_tensors(self.average, "average")}
        memory = optimiser_tensors(self._optimiser, "optimiser")
        write_training(folder, {**tensors, **memory}, {"config": settings, "step": self.step})

    def restore(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """ConfigError if it was begun with other settings."""
        tensors, state = read_training(folder, settings)
        restore_module(self.model, "model", tensors)
        restore_module(self.average, "average", tensors)
        restore_optimiser(self._optimiser, "optimiser", tensors)
        self.step = int(state["step"])
