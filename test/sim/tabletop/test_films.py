"""Films: what is seen inside of the chunks of a journey."""

from __future__ import annotations

import numpy as np
import pytest

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.sim.tabletop import ClumsyExperts, Journeys, Pool, to_action, to_command, travel
from vla_mbpo_ros.sim.tabletop.films import film
from vla_mbpo_ros.sim.tabletop.world import World


@pytest.fixture(scope="module")
def journeys(shared_pool: Pool) -> Journeys:
    return travel(shared_pool, ["press_red", "lift_green"] * 2, [1, 1, 2, 2], ClumsyExperts(shared_pool), least=12)


def test_the_last_frame_of_a_chunk_is_the_next_moment(journeys: Journeys, shared_pool: Pool) -> None:
    rows = np.flatnonzero(journeys.live)
    assert journeys.over[journeys.start[rows] + 1].any()  # some end with their episode, before their last step
    for every in (2, 5, 10):
        frames = film(shared_pool, journeys, rows, every)
        assert frames.shape == (len(rows), 10 // every, 2, 64, 64, 3)
        np.testing.assert_array_equal(frames[:, -1], journeys.images[journeys.start[rows] + 1])


def test_every_frame_is_what_the_world_shows_after_so_many_steps(
    journeys: Journeys, shared_pool: Pool, world: World
) -> None:
    rows = np.flatnonzero(journeys.live)[::3]
    frames = film(shared_pool, journeys, rows, 2)
    for row, shown in zip(rows, frames, strict=True):
        world.restore(journeys.snapshots([journeys.start[row]])[0])
        for step, command in enumerate(to_command(to_action(journeys.chunks[row])), start=1):
            if not world.over:
                world.step(command)
            if step % 2 == 0:
                np.testing.assert_array_equal(shown[step // 2 - 1], world.views(64, 64))


def test_what_cannot_be_filmed_is_refused(journeys: Journeys, shared_pool: Pool) -> None:
    with pytest.raises(ContractError, match="every 3 steps"):
        film(shared_pool, journeys, np.array([0]), 3)
    over = np.flatnonzero(~journeys.live)
    assert len(over)
    with pytest.raises(ContractError, match="after their episode's end"):
        film(shared_pool, journeys, over[:1], 2)
