"""The same numbers where it is hard: the paper's failure cases, as they can be told on the tabletop.

    large motion          the tenth of the chunks in which most pixels of the view change
    arm out of view       the fingertip is within 4 pixels (of 64) of the head picture's edge, or not found, before the
                          chunk or after it
    comes into view       something that the wrist did not see before the chunk, it sees after it
    new scenery           the tenth of the episodes whose colours and light lie farthest from the usual

All looks are drawn from one distribution, in training and here; so "new" is the rim of it, not beyond it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_mbpo_ros.evaluation.estimates import mean
from vla_mbpo_ros.evaluation.images import changed
from vla_mbpo_ros.evaluation.positions import GRIPPER, Found
from vla_mbpo_ros.evaluation.world_model.dreaming import Rolled
from vla_mbpo_ros.evaluation.world_model.fidelity import Fidelity
from vla_mbpo_ros.evaluation.world_model.places import Finder
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import Journeys, get_table_task
from vla_mbpo_ros.sim.tabletop.layout import Layout, layout
from vla_mbpo_ros.sim.tabletop.vector import BoolArray

EVERYWHERE, LARGE_MOTION, ARM_OUT = "all chunks", "large motion", "arm out of view"
INTO_VIEW, NEW_SCENERY = "comes into view", "new scenery"
_SHARE = 0.1
_EDGE = 4.0 / 64.0  # of a picture's side
_USUAL = 64  # looks that say what is usual
_HEAD, _WRIST = 0, 1


def slices(rolled: Rolled, fidelity: Fidelity, journeys: Journeys, finder: Finder) -> dict[str, Any]:
    """View -> slice -> PSNR and changed PSNR of single chunks (C = 1)."""
    told: dict[str, Any] = {}
    for view, name in enumerate(rolled.views):
        told[name] = {
            what: {
                metric: mean(fidelity.by_metric[metric][:, 0, view][where], rolled.episode[where]).to_json()
                for metric in ("psnr", "changed_psnr")
            }
            for what, where in _masks(rolled, view, journeys, finder).items()
        }
    return told


def _masks(rolled: Rolled, view: int, journeys: Journeys, finder: Finder) -> dict[str, BoolArray]:
    """Slice -> (W,)"""
    moved = changed(rolled.first[:, view], rolled.truth[:, 0, view]).mean(axis=(-2, -1))
    masks = {EVERYWHERE: np.ones(len(moved), dtype=np.bool_), LARGE_MOTION: _top(moved)}
    if view == _HEAD:
        masks[ARM_OUT] = np.array([_arm_out(rolled, window, finder) for window in range(len(moved))])
    if view == _WRIST:
        masks[INTO_VIEW] = np.array([_into_view(rolled, window, finder) for window in range(len(moved))])
    strange = strangeness(journeys)
    return {**masks, NEW_SCENERY: _top(strange)[rolled.episode]}


def strangeness(journeys: Journeys) -> FloatArray:
    """(E,) how far an episode's colours and light are from the usual ones of its scene, in standard deviations."""
    scenes = [get_table_task(task).scene for task in journeys.tasks]
    usual = {scene: np.stack([_look(layout(scene, seed)) for seed in range(_USUAL)]) for scene in dict.fromkeys(scenes)}
    return np.array(
        [
            np.sqrt(np.square((_look(layout(scene, int(seed))) - usual[scene].mean(0)) / usual[scene].std(0)).mean())
            for scene, seed in zip(scenes, journeys.seeds, strict=True)
        ]
    )


def _look(one: Layout) -> FloatArray:
    return np.concatenate([*one.colors.values(), one.sun[:2], [one.brightness]])


def _top(values: FloatArray) -> BoolArray:
    """The tenth with the largest values."""
    return np.asarray(values >= np.quantile(values, 1.0 - _SHARE))


def _arm_out(rolled: Rolled, window: int, finder: Finder) -> bool:
    scene = rolled.scenes[window]
    pictures = (rolled.first[window, _HEAD], rolled.truth[window, 0, _HEAD])
    tips = [finder(picture, scene).get(GRIPPER) for picture in pictures]
    return any(tip is None or _at_edge(tip, pictures[0].shape[0]) for tip in tips)


def _at_edge(tip: Found, side: int) -> bool:
    margin = _EDGE * side
    return not (margin <= tip.column <= side - 1 - margin and margin <= tip.row <= side - 1 - margin)


def _into_view(rolled: Rolled, window: int, finder: Finder) -> bool:
    scene = rolled.scenes[window]
    before, after = (set(finder(p, scene)) for p in (rolled.first[window, _WRIST], rolled.truth[window, 0, _WRIST]))
    return bool(after - before - {GRIPPER})
