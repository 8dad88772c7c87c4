"""Settings of behaviour cloning, and the learning rate that they make."""

from __future__ import annotations

from dataclasses import dataclass

from vla_mbpo_ros.algorithms.descent import FLOAT32, PRECISIONS, TrainingSettings, with_default
from vla_mbpo_ros.config import leaf


@dataclass(frozen=True)
class BcConfig(TrainingSettings):
    """Settings of behaviour cloning."""

    steps: int = with_default("steps", 2500)
    batch: int = leaf(128, "Rows in a step.", low=1)
    draws: int = leaf(4, "Draws of noise and time for each row.", low=1, high=64)
    precision: str = leaf(
        FLOAT32, "What the trunk computes in; bfloat16 pays where the processor has it.", choices=PRECISIONS
    )
    frozen_trunk: bool = leaf(False, "Leave what encodes observations as it is.")
    lora_rank: int = leaf(0, "Rank of the adapters of the action expert, with a frozen trunk; 0: none.", low=0)
    lora_alpha: float = leaf(16.0, "Weight of the adapters, as a multiple of 1 / rank.", low=1e-6)
    log_every: int = with_default("log_every", 50)
