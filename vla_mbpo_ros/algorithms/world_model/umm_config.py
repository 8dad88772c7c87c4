"""Settings of a world model's training."""

from __future__ import annotations

from dataclasses import dataclass, field

from vla_mbpo_ros.algorithms.descent import BFLOAT16, PRECISIONS, TrainingSettings, with_default
from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.world_model.builders import DropOut

NOTHING_LEFT_OUT = DropOut(text=0.0, latent=0.0, vit=0.0)  # where nothing is guided, nothing has to be compared


@dataclass(frozen=True)
class WorldModelTraining(TrainingSettings):
    """Settings of the training; the defaults are the tabletop's and the small model's."""

    steps: int = with_default("steps", 6000)
    batch: int = leaf(16, "Chunks in a step.", low=1)
    draws: int = leaf(
        3, "Draws of noise and time for each view: what is seen now is read once for all.", low=1, high=64
    )
    judged: int = leaf(32, "Judged moments in a step.", low=0)
    parts: int = leaf(1, "Parts of a step that go through the network one after the other.", low=1)
    lr: float = with_default("lr", 2e-3)
    warmup: int = with_default("warmup", 200)
    weight_decay: float = with_default("weight_decay", 0.01)
    ema: float = with_default("ema", 0.998)
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
