"""Do both views of one dream place a thing alike, where the future is a matter of chance?

    e_head, e_wrist    by how much each dreamt view places a thing elsewhere than the true one does [mm], from the tool
    disagreement       mean |e_head - e_wrist|
    correlation        of the two, x and y together; it grows with the errors themselves, so compare models of like
                       ones. Without what is FAR_MM off in either view: another thing was found there, or a piece
    of samples         the same correlation of the differences between two dreams of one moment: what chance alone does
                       to both views; 0 if they are drawn apart

A dream need not be the future that came, but its views must be of one future. The scale is measured, not assumed: the
simulator gives other futures of the same moment (another luck). Both views of one of them (`one future`) are as alike
as views can be for this measure, and views of two (`two futures`) share nothing but the truth that they are compared
with, which is why their correlation is not zero. Without chance (slip 0) there is one future, and no such scale.

Only chunks that carry the tool further than the median: where nothing moves, nothing can disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vla_mbpo_ros.evaluation.estimates import Estimate, Groups, correlation, mean
from vla_mbpo_ros.evaluation.world_model.dreaming import one_chunk
from vla_mbpo_ros.evaluation.world_model.places import Finder
from vla_mbpo_ros.evaluation.world_model.relative import Readers, errors, fit_readers, scenes_of
from vla_mbpo_ros.models.pictures import fit_all
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop import Journeys, Pool, to_action
from vla_mbpo_ros.sim.tabletop.vector import BoolArray, IntArray
from vla_mbpo_ros.world_model.protocol import WorldModel

ONE_FUTURE, TWO_FUTURES = "one_future", "two_futures"
FAR_MM = 50.0
_LUCKS = (1, 2)  # journeys have 0


@dataclass(frozen=True)
class Weather:
    """Journeys at one slip, chunks of them, and other futures of those."""

    journeys: Journeys
    rows: IntArray  # (R,) chunks
    others: ImageArray  # (2, R, V, H, W, 3) after each, with another luck

    @property
    def slip(self) -> float:
        return float(self.journeys.slip[0])

    @property
    def truth(self) -> ImageArray:
        """(R, V, H, W, 3) after each chunk."""
        return self.journeys.images[self.journeys.start[self.rows] + 1]

    def readers(self, finder: Finder) -> Readers:
        return fit_readers(self.journeys, np.arange(len(self.journeys.images)), finder)


def make_weather(pool: Pool, journeys: Journeys, most: int, seed: int = 0) -> Weather:
    """`most` chunks at most, of those that go further than the median."""
    way = np.linalg.norm(journeys.chunks[:, :, :3].sum(axis=1), axis=1)
    far = np.flatnonzero(way >= np.median(way))
    rows = np.sort(np.random.default_rng(seed).permutation(far)[:most])
    snapshots, actions = journeys.snapshots(journeys.start[rows]), to_action(journeys.chunks[rows])
    others = []
    for luck in _LUCKS:
        pool.restore([replace(one, luck=luck) for one in snapshots], observe=False)
        others.append(pool.step_chunk(actions).observations.images)
    return Weather(journeys, rows, np.stack(others))


def model_agreement(
    model: WorldModel, weather: Weather, readers: Readers, finder: Finder, seed: int = 0
) -> dict[str, Any]:
    """Of one chunk from real pictures, dreamt twice."""
    made, again = (one_chunk(model, weather.journeys, weather.rows, seed + turn).made[:, 0] for turn in (0, 1))
    truth = fit_all(weather.truth, made.shape[-3])
    return _agreement(weather, readers, finder, truth, made) | _of_samples(weather, readers, finder, again, made)


def scale(weather: Weather, readers: Readers, finder: Finder) -> dict[str, Any]:
    """What the measure says of the simulator's own other futures."""
    one, other = weather.others
    two = np.stack([one[:, 0], other[:, 1]], axis=1)  # the head's view of one, the wrist's of the other
    return {
        ONE_FUTURE: _agreement(weather, readers, finder, weather.truth, one)
        | _of_samples(weather, readers, finder, other, one),
        TWO_FUTURES: _agreement(weather, readers, finder, weather.truth, two),
    }


def _agreement(
    weather: Weather, readers: Readers, finder: Finder, truth: ImageArray, made: ImageArray
) -> dict[str, Any]:
    head, wrist, groups = _places_off(weather, readers, finder, truth, made)
    return {
        "disagreement_mm": mean(_length(head - wrist), groups).to_json(),
        "correlation": _together(head, wrist, groups).to_json(),
        "far_off": mean(_far(head, wrist).astype(np.float64), groups).to_json(),
        "head_error_mm": mean(_length(head), groups).to_json(),
        "wrist_error_mm": mean(_length(wrist), groups).to_json(),
    }


def _of_samples(
    weather: Weather, readers: Readers, finder: Finder, one: ImageArray, other: ImageArray
) -> dict[str, Any]:
    head, wrist, groups = _places_off(weather, readers, finder, one, other)
    return {"correlation_of_samples": _together(head, wrist, groups).to_json()}


def _places_off(
    weather: Weather, readers: Readers, finder: Finder, truth: ImageArray, made: ImageArray
) -> tuple[FloatArray, FloatArray, Groups]:
    """Pictures (R, V, H, W, 3) each -> e_head, e_wrist (n, 2) mm, and the episodes (n,)."""
    moments = weather.journeys.start[weather.rows]
    rows = []
    for row, scene in enumerate(scenes_of(weather.journeys, moments)):
        for head, wrist in errors(readers, finder, scene, truth[row], made[row]).values():
            rows.append((*head, *wrist, weather.journeys.episode[moments[row]]))
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return table[:, :2], table[:, 2:4], table[:, 4].astype(np.int64)


def _together(head: FloatArray, wrist: FloatArray, groups: Groups) -> Estimate:
    """x and y as rows of one table."""
    near = ~_far(head, wrist)
    return correlation(head[near].T.ravel(), wrist[near].T.ravel(), np.tile(groups[near], 2))


def _far(head: FloatArray, wrist: FloatArray) -> BoolArray:
    """(n,)"""
    return np.asarray(np.maximum(_length(head), _length(wrist)) > FAR_MM)


def _length(way: FloatArray) -> FloatArray:
    return np.asarray(np.hypot(way[:, 0], way[:, 1]))
