"""Films: pictures all along a demonstration, with the actions that led from one to the next."""

from __future__ import annotations

import numpy as np
import pytest

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.sim.tabletop import Films, Pool, collect_films, to_command
from vla_mbpo_ros.sim.tabletop.films import starts
from vla_mbpo_ros.sim.tabletop.world import World


@pytest.fixture(scope="module")
def films(shared_pool: Pool) -> Films:
    return collect_films(("press_red", "lift_green"), range(2), 0.3, pool=shared_pool, every=2, horizon=10)


def test_the_actions_of_a_film_lead_from_each_picture_to_the_next(films: Films, world: World) -> None:
    rows = np.flatnonzero(films.film == 2)
    world.begin("lift_green", 0)
    for row in rows[:-1]:
        np.testing.assert_array_equal(films.images[row], world.views(64, 64))
        np.testing.assert_array_equal(films.state[row], world.position())
        for action in films.actions[row]:
            world.step(to_command(action))
    np.testing.assert_array_equal(films.images[rows[-1]], world.views(64, 64))
    assert world.success


def test_a_film_goes_on_a_chunk_past_its_end(films: Films, world: World) -> None:
    for number, task in enumerate(films.tasks):
        actions = films.actions[films.film == number][:-1].reshape(-1, 7)
        world.begin(task, number % 2)
        for action in actions[:-10]:
            world.step(to_command(action))
        assert world.over
        over = world.ticks
        world.begin(task, number % 2)
        for action in actions[:-12]:
            world.step(to_command(action))
        assert not world.over, f"{over} steps, the last 12 of them past the end"


def test_a_chunk_begins_where_enough_of_its_film_is_left() -> None:
    film = np.array([0, 0, 0, 1, 1, 1, 1])
    assert starts(film, 2).tolist() == [0, 3, 4]
    assert starts(film, 9).tolist() == []


def test_its_steps_are_booked_and_the_slots_are_left_alone(shared_pool: Pool) -> None:
    shared_pool.reset("press_red", [0])
    kept, before = shared_pool.save(), shared_pool.ledger.steps
    made = collect_films("press_red", [5], pool=shared_pool, every=5)
    assert shared_pool.ledger.steps - before == (len(made.state) - 1) * 5
    assert shared_pool.save()[0] is kept[0]


def test_what_cannot_be_filmed_is_refused() -> None:
    with pytest.raises(ContractError, match="every 0"):
        collect_films("press_red", [0], every=0)
