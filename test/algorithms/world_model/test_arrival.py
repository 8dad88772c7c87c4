"""Where joints are after a chunk, learnt from what truly came."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch
from dreamers import make_world

from vla_mbpo_ros.algorithms.world_model.arrival import ArrivalTraining, fit_arrival, state_errors
from vla_mbpo_ros.algorithms.world_model.dream_data import JourneyDreams
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.sim.tabletop import ClumsyExperts, Journeys, Pool, travel
from vla_mbpo_ros.world_model.arrival import FILE, Arrival, load_arrival, save_arrival
from vla_mbpo_ros.world_model.protocol import Scenes, StateSource
from vla_mbpo_ros.world_model.umm.checkpoint import load_world, save_world

FAST = ArrivalTraining(steps=300, batch=64, dreams=48)


@pytest.fixture(scope="module")
def journeys(pool: Pool) -> tuple[Journeys, Journeys]:
    """To learn from, and held out."""
    tasks = ["press_red", "lift_red"] * 12
    every = travel(pool, tasks, range(300, 324), ClumsyExperts(pool))
    return every.take(range(20)), every.take(range(20, 24))


def test_it_knows_better_than_the_command_where_the_tool_is(journeys: tuple[Journeys, Journeys]) -> None:
    world = make_world()
    data, held_out = (JourneyDreams(each, world) for each in journeys)
    seen: list[float] = []
    arrival = fit_arrival(world, data, FAST, watch=lambda row: seen.append(row["percent"]))
    found = state_errors(world, held_out, arrival)
    assert list(found) == list(TABLETOP.names)
    for axis in ("x", "y", "z"):
        commanded, learnt = found[axis]
        assert learnt < 0.9 * commanded, axis
    assert seen == sorted(seen)
    assert seen[-1] == 100.0
    again = fit_arrival(world, data, FAST)
    assert all(torch.equal(a, b) for a, b in zip(arrival.parameters(), again.parameters(), strict=True))


def test_a_world_keeps_it_and_says_that_its_states_are_predicted(
    journeys: tuple[Journeys, Journeys], tmp_path: Path
) -> None:
    world = make_world()
    arrival = fit_arrival(world, JourneyDreams(journeys[0], world), replace(FAST, steps=5))
    plain = save_world(world, tmp_path)
    assert load_world(tmp_path, TABLETOP).around.arrival is None
    world.around = replace(world.around, arrival=arrival)
    version = save_world(world, tmp_path)
    assert version != plain
    loaded = load_world(tmp_path, TABLETOP)
    scenes = Scenes(journeys[0].images[:2], journeys[0].state[:2], ("press", "lift"))
    chunks = journeys[0].chunks[:2]
    dreams, same = loaded.imagine(scenes, chunks, [0, 1]), world.imagine(scenes, chunks, [0, 1])
    assert dreams.source is StateSource.PREDICTED
    np.testing.assert_array_equal(dreams.state, same.state)
    assert (dreams.state >= TABLETOP.low).all()
    assert (dreams.state <= TABLETOP.high).all()
    save_world(make_world(), tmp_path)
    assert not (tmp_path / FILE).exists()


def test_one_of_another_robot_is_refused(tmp_path: Path) -> None:
    save_arrival(Arrival(6, 10, 64), tmp_path)
    with pytest.raises(ContractError, match="not of 7 joints and 10 steps"):
        load_arrival(tmp_path, 7, 10, "cpu")
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(ContractError, match="safetensors"):
        load_arrival(tmp_path, 7, 10, "cpu")
