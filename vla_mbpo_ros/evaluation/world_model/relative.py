"""Where a view places a thing, seen from the tool: x and y in millimetres, read from one picture.

    head    columns and rows of the thing and of the fingertip ──linear──> (x, y)
    wrist   column, row and size of the thing                  ──linear──> (x, y)      the camera moves with the tool

The linear maps are fitted to true pictures, whose simulator says where things are; one for each view and thing. They
are coarse: tilt and height go into them too, and a picture's pixel is 7 mm. So only differences between two pictures
of one moment are used, in which most of that is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.evaluation.positions import GRIPPER, Found, things_of
from vla_mbpo_ros.evaluation.world_model.places import Finder
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop import Journeys, get_table_task
from vla_mbpo_ros.sim.tabletop.vector import IntArray
from vla_mbpo_ros.sim.tabletop.world import World

HEAD, WRIST = 0, 1
_RIDGE = 1e-2
_LEAST = 30  # pictures to fit a map to
_MIDDLE, _SPAN = 0.5, 0.5  # of a picture's side


@dataclass(frozen=True)
class Reader:
    """The maps of one thing."""

    maps: tuple[FloatArray, FloatArray]  # head (5, 2), wrist (4, 2)

    def __call__(self, thing: str, found: Mapping[str, Found], view: int, side: int) -> FloatArray | None:
        """(2,) mm; None where something that is needed is not seen."""
        seen = _features(thing, found, view, side)
        return None if seen is None else seen @ self.maps[view]


Readers = Mapping[tuple[str, str], Reader]  # (scene, thing)


def fit_readers(journeys: Journeys, moments: IntArray, finder: Finder) -> Readers:
    """From the true pictures of these moments."""
    rows: dict[tuple[str, str], list[tuple[FloatArray, FloatArray, FloatArray]]] = {}
    world = World()
    for moment, snapshot in zip(moments, journeys.snapshots(moments), strict=True):
        world.restore(snapshot)
        world.refresh()
        state, scene = world.state(), world.task.scene
        found = [finder(image, scene) for image in journeys.images[moment]]
        for thing in things_of(scene):
            head, wrist = (_features(thing, found[view], view, journeys.images.shape[-3]) for view in (HEAD, WRIST))
            if thing != GRIPPER and head is not None and wrist is not None:
                offset = 1e3 * (np.array(state.things[thing].position[:2]) - state.tool[:2])
                rows.setdefault((scene, thing), []).append((head, wrist, offset))
    world.close()
    return {key: _fitted(found) for key, found in rows.items() if len(found) >= _LEAST}


def scenes_of(journeys: Journeys, moments: IntArray) -> list[str]:
    """Of each moment."""
    return [get_table_task(journeys.tasks[index]).scene for index in journeys.episode[moments]]


def errors(
    readers: Readers, finder: Finder, scene: str, truth: ImageArray, made: ImageArray
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Thing -> by how much the head's view and the wrist's place it elsewhere in `made` than in `truth` (V, H, W, 3).

    Only things that are found in both views of both.
    """
    side = truth.shape[-3]
    seen = [[finder(image, scene) for image in images] for images in (truth, made)]
    told = {}
    for thing in things_of(scene):
        if (scene, thing) in readers:
            read = readers[scene, thing]
            spots = [read(thing, found[view], view, side) for view in (HEAD, WRIST) for found in seen]
            true_head, head, true_wrist, wrist = spots
            if true_head is not None and head is not None and true_wrist is not None and wrist is not None:
                told[thing] = head - true_head, wrist - true_wrist
    return told


def _features(thing: str, found: Mapping[str, Found], view: int, side: int) -> FloatArray | None:
    if thing not in found or (view == HEAD and GRIPPER not in found):
        return None
    own = found[thing]
    if view == HEAD:
        tip = found[GRIPPER]
        numbers = [own.column / side, own.row / side, tip.column / side, tip.row / side]
    else:
        numbers = [own.column / side, own.row / side, own.pixels**0.5 / side]
    return np.array([1.0, *((number - _MIDDLE) / _SPAN for number in numbers)])


def _fitted(rows: list[tuple[FloatArray, FloatArray, FloatArray]]) -> Reader:
    heads, wrists, offsets = (np.stack(column) for column in zip(*rows, strict=True))
    return Reader((_solved(heads, offsets), _solved(wrists, offsets)))


def _solved(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ y))
