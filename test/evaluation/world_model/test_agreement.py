"""The measure can tell two views of one future from views of two."""

from __future__ import annotations

import numpy as np
import pytest

from vla_mbpo_ros.evaluation.world_model.agreement import (
    ONE_FUTURE,
    TWO_FUTURES,
    Weather,
    make_weather,
    model_agreement,
    scale,
)
from vla_mbpo_ros.evaluation.world_model.places import Finder
from vla_mbpo_ros.evaluation.world_model.relative import Readers, errors
from vla_mbpo_ros.sim.tabletop import ClumsyExperts, Pool, travel
from vla_mbpo_ros.world_model.protocol import WorldModel


@pytest.fixture(scope="module")
def windy(pool: Pool) -> Weather:
    tasks = [task for task in ("press_red", "push_yellow", "place_bowl") for _ in range(10)]
    journeys = travel(pool, tasks, [*range(7_500_000, 7_500_010)] * 3, ClumsyExperts(pool), slip=1.0)
    return make_weather(pool, journeys, 200)


@pytest.fixture(scope="module")
def readers(windy: Weather, finder: Finder) -> Readers:
    return windy.readers(finder)


def test_views_of_one_future_agree_better_than_views_of_two(windy: Weather, readers: Readers, finder: Finder) -> None:
    told = scale(windy, readers, finder)
    one, two = told[ONE_FUTURE], told[TWO_FUTURES]
    assert one["correlation"]["value"] > two["correlation"]["value"] + 0.1
    assert one["disagreement_mm"]["value"] < 0.9 * two["disagreement_mm"]["value"]
    assert one["correlation_of_samples"]["low"] > 0.1
    assert one["correlation"]["n"] > 100


def test_a_perfect_dream_disagrees_in_nothing(
    windy: Weather, readers: Readers, finder: Finder, oracle: WorldModel
) -> None:
    assert model_agreement(oracle, windy, readers, finder)["disagreement_mm"]["value"] == 0.0


def test_only_chunks_that_go_far_are_asked_for(windy: Weather) -> None:
    way = np.linalg.norm(windy.journeys.chunks[:, :, :3].sum(axis=1), axis=1)
    assert way[windy.rows].min() >= np.median(way)
    assert windy.slip == 1.0


def test_what_one_view_moves_only_that_view_moves(windy: Weather, readers: Readers, finder: Finder) -> None:
    row = next(
        row
        for row in range(len(windy.rows))
        if "block" in finder(windy.truth[row, 1], "push")
        and windy.journeys.tasks[windy.journeys.episode[windy.journeys.start[windy.rows[row]]]] == "push_yellow"
    )
    truth = windy.truth[row]
    made = np.stack([truth[0], np.roll(truth[1], 2, axis=1)])
    head, wrist = errors(readers, finder, "push", truth, made)["block"]
    assert np.hypot(*head) == 0.0
    assert 1.0 < np.hypot(*wrist) < 40.0  # two pixels
