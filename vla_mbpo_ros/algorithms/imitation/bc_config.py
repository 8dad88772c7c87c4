"""Settings of behaviour cloning, and the learning rate that they make."""

from __future__ import annotations

from dataclasses import dataclass

from vla_mbpo_ros.algorithms.descent import FLOAT32, PRECISIONS
from vla_mbpo_ros.config import leaf


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
        FLOAT32, "What the trunk computes in; bfloat16 pays where the processor has it.", choices=PRECISIONS
    )
    frozen_trunk: bool = leaf(False, "Leave what encodes observations as it is.")
    lora_rank: int = leaf(0, "Rank of the adapters of the action expert, with a frozen trunk; 0: none.", low=0)
    lora_alpha: float = leaf(16.0, "Weight of the adapters, as a multiple of 1 / rank.", low=1e-6)
    seed: int = leaf(0, "Seed of everything random.", low=0)
    log_every: int = leaf(50, "Steps between two rows of the curve.", low=1)
    save_every: int = leaf(500, "Steps between two saved states.", low=1)
