"""Settings of a world model's training."""

from __future__ import annotations

from dataclasses import dataclass, field

from vla_mbpo_ros.algorithms.descent import BFLOAT16, PRECISIONS
from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.world_model.builders import DropOut

NOTHING_LEFT_OUT = DropOut(text=0.0, latent=0.0, vit=0.0)  # where nothing is guided, nothing has to be compared


@dataclass(frozen=True)
class WorldModelTraining:
    """Settings of the training; the defaults are the tabletop's and the small model's."""

    steps: int = leaf(6000, "Optimiser steps.", low=1)
    batch: int = leaf(16, "Chunks in a step.", low=1)
    draws: int = leaf(
        3, "Draws of noise and time for each view: what is seen now is read once for all.", low=1, high=64
    )
    judged: int = leaf(32, "Judged moments in a step.", low=0)
    parts: int = leaf(1, "Parts of a step that go through the network one after the other.", low=1)
    lr: float = leaf(2e-3, "Highest learning rate.", low=0.0, high=1.0)
    last_lr: float = leaf(0.02, "Learning rate at the end, as a share of the highest.", low=0.0, high=1.0)
    warmup: int = leaf(200, "Steps until the highest learning rate.", low=0)
    weight_decay: float = leaf(0.01, "Weight decay of AdamW.", low=0.0, high=1.0)
    clip: float = leaf(1.0, "Greatest norm of the gradient.", low=1e-6)
    ema: float = leaf(0.998, "Moving average of the weights: share that is kept in a step; 0: none.", low=0.0, high=1.0)
    precision: str = leaf(BFLOAT16, "What the network computes in.", choices=PRECISIONS)
    changed: float = leaf(3.0, "How much more a token counts that changes most, beside one that stays.", low=0.0)
    done_share: float = leaf(
        0.25, "Share of the judged moments of real frames at which the task is done.", low=0.0, high=1.0
    )
    dreamed: int = leaf(1024, "Dreams that the judge learns from too, labelled by what truly came; 0: none.", low=0)
    dreamed_from: float = leaf(0.6, "When they are first dreamt, as a share of the steps.", low=0.0, high=1.0)
    dreamed_every: int = leaf(1000, "Steps until they are dreamt anew.", low=1)
    drop_out: DropOut = field(default_factory=lambda: NOTHING_LEFT_OUT)
    patience: int = leaf(
        0, "End after so many looks without a better held-out loss, with the best weights; 0: never.", low=0
    )
    preview_every: int = leaf(1000, "Steps between two pictures of held-out dreams; 0: none.", low=0)
    seed: int = leaf(0, "Seed of everything random.", low=0)
    log_every: int = leaf(100, "Steps between two rows of the curve.", low=1)
    save_every: int = leaf(500, "Steps between two saved states.", low=1)
