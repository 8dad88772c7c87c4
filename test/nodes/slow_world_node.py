"""A world_model_node whose model takes its time, as learnt ones do: the rest of it is real.

The model is loaded once the file `wait_for` is there. It imagines a chunk in `STEPS` steps, and gives the number of
rows that went through it together as its probability, in hundredths; unless it shall not `judge`, as copy_last does
not. Any folder is a checkpoint, named after it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from vla_mbpo_ros.bringup.node_spec import NodeSpec
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.world_model_node import WorldModelNode
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.world_model.protocol import Dreams, Pause, Scenes, StateSource, WorldModel, go_on
from vla_mbpo_ros.world_model.rivals.copy_last import CopyLast

STEPS, STEP_S = 10, 0.03
WAIT_S = 0.02
ONE_EYED = "one_eyed"  # a checkpoint that has learnt the head camera only


class Slow(CopyLast):
    judges, step_s = True, STEP_S

    def imagine(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> Dreams:
        for _ in range(STEPS):
            pause()
            time.sleep(self.step_s)
        company = np.full(len(scenes), len(scenes) / 100.0 if self.judges else np.nan)
        return Dreams(scenes.images, company, chunks[:, -1], StateSource.COMMANDED)


@dataclass(frozen=True)
class SlowSpec(NodeSpec):
    """It in a graph; this folder must be in the processes' PYTHONPATH."""

    @property
    def module(self) -> str:
        return "slow_world_node"


class SlowWorldNode(WorldModelNode):
    EXTRAS: ClassVar = {
        "wait_for": ("", "The model is loaded once this file is there."),
        "step_s": (STEP_S, "How long each step of a chunk takes [s]."),
        "judges": (True, "Whether it gives a probability."),
    }

    def __init__(self) -> None:
        super().__init__("slow_world_node")

    def make_model(self, path: str) -> WorldModel:
        while not Path(self.settings.extras["wait_for"]).exists():
            time.sleep(WAIT_S)
        if path and not Path(path).is_dir():
            return super().make_model(path)  # which refuses it
        known = super().make_model("")
        views = known.views[:1] if Path(path).name == ONE_EYED else known.views
        model = Slow(views, known.size, known.horizon)
        model.judges, model.step_s = self.settings.extras["judges"], self.settings.extras["step_s"]
        model.version = f"slow-{Path(path).name or 'configured'}"
        return model


if __name__ == "__main__":
    run(SlowWorldNode)
