from __future__ import annotations

import numpy as np
import pytest

from vla_mbpo_ros.errors import ContractError, UnknownName
from vla_mbpo_ros.sim.tabletop import Pool, collect, task_names


def test_demonstrations_are_chunk_starts_before_success(shared_pool: Pool) -> None:
    demos = collect(("press_red", "lift_green"), range(3), pool=shared_pool, horizon=8, stride=5)
    rows = len(demos.tick)
    assert demos.images.shape == (rows, 2, 64, 64, 3)
    assert demos.actions.shape == (rows, 8, 7)
    assert np.abs(demos.actions).max() <= 1.0
    assert demos.tasks == ("press_red",) * 3 + ("lift_green",) * 3
    assert demos.seeds.tolist() == [0, 1, 2, 0, 1, 2]
    assert demos.instructions[-1] == "lift the green cube"
    for index, success_step in enumerate(demos.success_step):
        ticks = demos.tick[demos.demo == index]
        assert ticks.tolist() == list(range(0, success_step, 5))


def test_undisturbed_labels_are_what_was_done_and_lead_to_the_goal(shared_pool: Pool) -> None:
    demos = collect(task_names(), [7], pool=shared_pool)
    shared_pool.reset(demos.tasks, demos.seeds)
    for chunk in range(14):
        rows = {int(demo): row for row, demo in enumerate(demos.demo) if demos.tick[row] == 10 * chunk}
        slots = [slot for slot in shared_pool.running if int(slot) in rows]
        if slots:
            shared_pool.step_chunk(demos.actions[[rows[int(slot)] for slot in slots]], slots, render_last=False)
    np.testing.assert_array_equal(shared_pool.success_step, demos.success_step)
    assert demos.success.all()


def test_noise_takes_the_hand_elsewhere_and_the_labels_bring_it_back(shared_pool: Pool) -> None:
    seeds = range(6)
    straight, noisy = (collect("lift_red", seeds, noise, pool=shared_pool, stride=5) for noise in (0.0, 0.4))
    again = collect("lift_red", seeds, 0.4, pool=shared_pool, stride=5)
    np.testing.assert_array_equal(noisy.images, again.images)
    np.testing.assert_array_equal(noisy.actions, again.actions)
    assert np.abs(noisy.state[noisy.tick == 20] - straight.state[straight.tick == 20]).max() > 0.01
    assert noisy.success.mean() >= 0.8


def test_demonstrations_can_be_chosen(shared_pool: Pool) -> None:
    demos = collect(("press_red", "press_blue"), range(2), pool=shared_pool)
    part = demos.take([3, 0])
    assert part.tasks == ("press_blue", "press_red")
    assert part.seeds.tolist() == [1, 0]
    np.testing.assert_array_equal(part.images[part.demo == 1], demos.images[demos.demo == 0])
    assert demos.take([]).images.shape[0] == 0
    assert len(demos.successful().tasks) == int(demos.success.sum())


def test_bad_wishes_are_refused(shared_pool: Pool) -> None:
    with pytest.raises(UnknownName, match="press_red"):
        collect("press_rad", [0], pool=shared_pool)
    with pytest.raises(ContractError, match="at least one"):
        collect("press_red", [], pool=shared_pool)
    with pytest.raises(ContractError, match="stride 0"):
        collect("press_red", [0], stride=0, pool=shared_pool)
