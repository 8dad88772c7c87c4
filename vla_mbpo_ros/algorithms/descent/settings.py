"""Settings that every training by gradient descent has. Each has defaults (`with_default`) and more of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from vla_mbpo_ros.config import leaf

FLOAT32, BFLOAT16 = "float32", "bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)


@dataclass(frozen=True)
class DescentSettings:
    """Settings of a descent."""

    steps: int = leaf(4000, "Optimiser steps.", low=1)
    batch: int = leaf(16, "Samples in a step.", low=1)
    lr: float = leaf(1e-3, "Highest learning rate.", low=0.0, high=1.0)
    last_lr: float = leaf(0.02, "Learning rate at the end, as a share of the highest.", low=0.0, high=1.0)
    warmup: int = leaf(100, "Steps until the highest learning rate.", low=0)
    weight_decay: float = leaf(1e-4, "Weight decay of AdamW.", low=0.0, high=1.0)
    clip: float = leaf(1.0, "Greatest norm of the gradient.", low=1e-6)
    ema: float = leaf(0.995, "Moving average of the weights: share that is kept in a step; 0: none.", low=0.0, high=1.0)


@dataclass(frozen=True)
class TrainingSettings(DescentSettings):
    """Settings of a descent that is watched and can be interrupted."""

    seed: int = leaf(0, "Seed of everything random.", low=0)
    log_every: int = leaf(100, "Steps between two rows of the curve.", low=1)
    save_every: int = leaf(500, "Steps between two saved states.", low=1)


def with_default(name: str, default: Any) -> Any:
    """The setting of that name with another default, for a class that inherits it."""
    metadata = next(each.metadata for each in fields(TrainingSettings) if each.name == name)
    return field(default=default, metadata=metadata)
