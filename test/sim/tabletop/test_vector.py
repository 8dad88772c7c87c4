from __future__ import annotations

import os
import pickle
import signal

import numpy as np
import pytest

from vla_mbpo_ros.errors import ConfigError, ContractError, DeviceError, NotFinite, UnknownName
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import Pool, collect, task_names, to_command
from vla_mbpo_ros.sim.tabletop.vector import ChunkResult
from vla_mbpo_ros.sim.tabletop.world import World

TASKS = [*task_names(), "press_red", "place_bowl"]
SEEDS = list(range(40, 50))


def chunks(count: int, rows: int = 10, seed: int = 0) -> FloatArray:
    """(count, rows, 6, 7)"""
    actions = np.random.default_rng(seed).uniform(-1.0, 1.0, (count, rows, 6, 7))
    actions[..., 2] -= 0.6
    return actions


@pytest.fixture
def pool(shared_pool: Pool) -> Pool:
    shared_pool.reset(TASKS, SEEDS)
    return shared_pool


def assert_equal(one: ChunkResult, other: ChunkResult) -> None:
    np.testing.assert_array_equal(one.observations.images, other.observations.images)
    np.testing.assert_array_equal(one.observations.state, other.observations.state)
    np.testing.assert_array_equal(one.success_step, other.success_step)
    np.testing.assert_array_equal(one.done, other.done)


@pytest.mark.parametrize("workers", [1, 3])
def test_results_do_not_depend_on_the_number_of_workers(pool: Pool, workers: int) -> None:
    with Pool(workers) as other:
        other.reset(TASKS, SEEDS)
        for actions in chunks(3):
            assert_equal(pool.step_chunk(actions), other.step_chunk(actions))


def test_results_do_not_depend_on_the_company(pool: Pool) -> None:
    """Alone, in another order, and beside others an episode is the same."""
    actions = chunks(1)[0]
    together = pool.step_chunk(actions)
    order = [7, 2, 9]
    pool.reset([TASKS[i] for i in order], [SEEDS[i] for i in order])
    fewer = pool.step_chunk(actions[order])
    np.testing.assert_array_equal(together.observations.images[order], fewer.observations.images)
    np.testing.assert_array_equal(together.observations.state[order], fewer.observations.state)


def test_a_worker_sees_what_a_world_in_this_process_sees(pool: Pool, world: World) -> None:
    actions = chunks(1)[0]
    result = pool.step_chunk(actions)
    for row in (0, 5):
        world.begin(TASKS[row], SEEDS[row])
        for command in to_command(actions[row]):
            world.step(command)
        np.testing.assert_array_equal(world.position(), result.observations.state[row])
        np.testing.assert_array_equal(world.views(64, 64), result.observations.images[row])


def test_observations_say_what_they_are_of(pool: Pool) -> None:
    seen = pool.observe([3, 0])
    assert seen.images.shape == (2, 2, 64, 64, 3)
    assert seen.images.dtype == np.uint8
    assert seen.state.shape == (2, 7)
    assert seen.tasks == (TASKS[3], TASKS[0])
    assert seen.instructions[1] == "press the red button"
    assert not np.array_equal(seen.images[0, 0], seen.images[0, 1])
    last = seen.take(np.array([False, True]))
    assert (last.tasks, last.images.shape[0]) == ((TASKS[0],), 1)
    np.testing.assert_array_equal(last.state[0], seen.state[1])


def test_branches_from_one_kept_state_share_it_and_then_part(pool: Pool) -> None:
    pool.step_chunk(chunks(1)[0])
    kept = pickle.loads(pickle.dumps(pool.save()))
    direct = pool.step_chunk(chunks(1, seed=1)[0])
    pool.restore([kept[4]] * 3 + [kept[8]])
    again = pool.step_chunk(chunks(1, seed=1)[0][[4, 4, 5, 8]])
    np.testing.assert_array_equal(again.observations.images[0], again.observations.images[1])
    np.testing.assert_array_equal(again.observations.images[[0, 3]], direct.observations.images[[4, 8]])
    assert not np.array_equal(again.observations.state[0], again.observations.state[2])


def test_a_chunk_without_pictures_is_the_same_chunk(pool: Pool) -> None:
    kept = pool.save()
    seen = pool.step_chunk(chunks(1)[0])
    pool.restore(kept, observe=False)
    blind = pool.step_chunk(chunks(1)[0], render_last=False)
    assert blind.observations.images.shape == (10, 0, 64, 64, 3)
    np.testing.assert_array_equal(seen.observations.state, blind.observations.state)


def test_only_the_chosen_slots_go_on(pool: Pool) -> None:
    pool.step_chunk(chunks(1, rows=2)[0], slots=[6, 1])
    assert pool.observe().tick.tolist() == [0, 6, 0, 0, 0, 0, 6, 0, 0, 0]


def test_done_comes_with_the_time_limit_and_running_leaves_it_out(shared_pool: Pool) -> None:
    shared_pool.reset(["press_red", "place_bowl"], [0, 0])
    result = shared_pool.step_chunk(np.zeros((2, 60, 7)), render_last=False)
    assert result.done.tolist() == [True, False]
    assert result.success_step.tolist() == [-1, -1]
    assert shared_pool.running.tolist() == [1]


def test_the_ledger_counts_every_control_step() -> None:
    with Pool(workers=1) as pool:
        pool.reset(["press_red", "lift_red", "lift_red"], [0, 1, 2])
        pool.step_chunk(np.zeros((3, 10, 7)), render_last=False)
        pool.step_chunk(np.zeros((1, 4, 7)), slots=[2])
        pool.observe()
        assert (pool.ledger.steps, pool.ledger.episodes) == (34, 3)
        assert pool.ledger.by_task == {"press_red": 10, "lift_red": 24}
        shown = collect("press_red", [5], pool=pool, stride=10)
        assert pool.ledger.steps == 34 + shown.success_step[0]
        assert pool.ledger.looked_ahead == 10 * len(shown.tick)


def test_bad_input_is_refused_and_the_pool_goes_on(pool: Pool) -> None:
    with pytest.raises(ContractError, match=r"\(10, K, 7\)"):
        pool.step_chunk(np.zeros((9, 10, 7)))
    with pytest.raises(NotFinite):
        pool.step_chunk(np.full((10, 1, 7), np.nan))
    with pytest.raises(UnknownName, match="lift_red"):
        pool.reset("lift_rde", [0])
    with pytest.raises(ContractError, match="-1"):
        pool.reset("lift_red", [-1])
    with pytest.raises(ContractError, match="2 tasks for 3 seeds"):
        pool.reset(["lift_red", "lift_red"], [0, 1, 2])
    with pytest.raises(ContractError, match="slots"):
        pool.observe([0, 10])
    with pytest.raises(ConfigError, match="workers"):
        Pool(workers=0)
    assert pool.observe().tick.tolist() == [0] * 10


def test_a_dead_worker_is_a_clear_error_and_ends_the_pool() -> None:
    pool = Pool(workers=2)
    pool.reset("press_red", range(4))
    os.kill(pool.pids[0], signal.SIGKILL)
    with pytest.raises(DeviceError, match=r"died \(process \d+ ended with code -9"):
        pool.step_chunk(np.zeros((4, 10, 7)))
    with pytest.raises(DeviceError, match="Make a new Pool"):
        pool.observe()
    for pid in pool.pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
