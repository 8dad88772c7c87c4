"""Where gripper and things are in dreams, against where they are in the true pictures (`evaluation/positions.py`).

Few tokens like to erase small things, and PSNR hardly minds: so what was lost and what was made up is counted.
The gripper is looked for in the head's view only; the wrist camera moves with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_mbpo_ros.evaluation.estimates import Groups, mean
from vla_mbpo_ros.evaluation.positions import GRIPPER, Found, find, things_of
from vla_mbpo_ros.evaluation.world_model.dreaming import Rolled
from vla_mbpo_ros.schema import FloatArray, ImageArray

OBJECTS = "objects"
_HEAD = 0


class Finder:
    """`find`, once for each picture: all models are compared with the same truths."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], dict[str, Found]] = {}

    def __call__(self, image: ImageArray, scene: str) -> dict[str, Found]:
        key = scene, image.tobytes()
        if key not in self._known:
            self._known[key] = find(image, scene)
        return self._known[key]


@dataclass(frozen=True)
class PlaceRows:
    """One row for each thing that is in the truth or in the dream of one view, of one chunk."""

    error: FloatArray  # (n,) pixels; NaN unless it is in both
    lost: FloatArray  # (n,) 1 in the truth only, 0 in both, NaN in the dream only
    made_up: FloatArray  # (n,) 1 in the dream only, else 0
    episode: Groups  # (n,)

    def to_json(self) -> dict[str, Any]:
        known = self.error[~np.isnan(self.error)]
        return {
            "error_px": mean(self.error, self.episode).to_json(),
            "median_px": float(np.median(known)) if len(known) else float("nan"),
            "lost": mean(self.lost, self.episode).to_json(),
            "made_up": int(self.made_up.sum()),
        }


def place_rows(rolled: Rolled, view: int, chunk: int, what: str, finder: Finder) -> PlaceRows:
    """`what`: the gripper, or all objects together."""
    rows = []
    for window, scene in enumerate(rolled.scenes):
        truth, made = (finder(images[window, chunk, view], scene) for images in (rolled.truth, rolled.made))
        for thing in things_of(scene):
            if (thing == GRIPPER) == (what == GRIPPER) and (thing in truth or thing in made):
                rows.append((*_compared(truth.get(thing), made.get(thing)), float(rolled.episode[window])))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    error, lost, made_up, episode = columns
    return PlaceRows(error, lost, made_up, episode.astype(np.int64))


def places(rolled: Rolled, finder: Finder) -> dict[str, Any]:
    """View -> gripper, objects -> by chunk."""
    told: dict[str, Any] = {}
    for view, name in enumerate(rolled.views):
        kinds = (GRIPPER, OBJECTS) if view == _HEAD else (OBJECTS,)
        told[name] = {
            what: [place_rows(rolled, view, chunk, what, finder).to_json() for chunk in range(rolled.chunks)]
            for what in kinds
        }
    return told


def _compared(truth: Found | None, made: Found | None) -> tuple[float, float, float]:
    """error, lost, made up"""
    if truth is None:
        return float("nan"), float("nan"), 1.0
    if made is None:
        return float("nan"), 1.0, 0.0
    return truth.distance(made), 0.0, 0.0
