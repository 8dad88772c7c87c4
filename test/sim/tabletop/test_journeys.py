"""Journeys are what happened, moment by moment, and can be taken up again anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vla_mbpo_ros.errors import ConfigError, ContractError
from vla_mbpo_ros.sim.tabletop import ClumsyExperts, Journeys, Moment, Pool, task_names, to_action, travel

SEEDS = (9_000_001, 9_000_002, 9_000_003)
RECIPE = {"seeds": list(SEEDS)}


def go(pool: Pool, tasks: Sequence[str], seeds: Sequence[int]) -> Journeys:
    return travel(pool, tasks, seeds, ClumsyExperts(pool))


@pytest.fixture(scope="module")
def journeys(shared_pool: Pool) -> Journeys:
    tasks = [task for task in task_names() for _ in SEEDS]
    return go(shared_pool, tasks, SEEDS * len(task_names()))


def same(one: Journeys, other: Journeys) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in vars(one)]
    return all(np.array_equal(a, b) and getattr(a, "dtype", None) == getattr(b, "dtype", None) for a, b in pairs)


def test_every_chunk_leads_from_its_moment_to_the_next(journeys: Journeys, shared_pool: Pool) -> None:
    rows = np.arange(0, len(journeys), 7)
    seen = shared_pool.restore(journeys.snapshots(journeys.start[rows]))
    assert seen is not None
    np.testing.assert_array_equal(seen.images, journeys.images[journeys.start[rows]])
    result = shared_pool.step_chunk(to_action(journeys.chunks[rows]))
    after = journeys.start[rows] + 1
    np.testing.assert_array_equal(result.observations.images, journeys.images[after])
    np.testing.assert_array_equal(result.observations.state, journeys.state[after])
    np.testing.assert_array_equal(result.success, journeys.success[after])
    np.testing.assert_array_equal(result.done, journeys.over[after])
    assert result.observations.instructions == tuple(journeys.instructions[row] for row in after)


def test_episodes_go_to_their_end_and_for_four_chunks_at_least(journeys: Journeys) -> None:
    for index in range(len(journeys.tasks)):
        own = np.flatnonzero(journeys.episode == index)
        took, ends = np.diff(journeys.tick[own]), np.diff(journeys.over[own].astype(int)) == 1
        assert (took[~ends] == 10).all()
        assert (took[ends] <= 10).all()  # a chunk ends where its episode does
        assert journeys.over[own[-1]]
        assert len(own) == 5 or not journeys.over[own[-2]]
        assert np.all(np.diff(journeys.success[own].astype(int)) >= 0)  # absorbing
    assert len(journeys.images) == len(journeys) + len(journeys.tasks)
    np.testing.assert_array_equal(journeys.live, ~journeys.over[journeys.start])


def test_there_are_successes_and_failures(journeys: Journeys) -> None:
    last = np.append(journeys.start[1:] != journeys.start[:-1] + 1, True)
    assert 0.1 < journeys.success[journeys.start[last] + 1].mean() < 0.95


def test_an_episode_does_not_depend_on_its_company(journeys: Journeys) -> None:
    with Pool(workers=1) as other:
        alone = go(other, [journeys.tasks[4]], [int(journeys.seeds[4])])
    ours = journeys.take([4])
    width = alone.physics.shape[1]
    assert np.array_equal(alone.physics, ours.physics[:, :width])
    assert np.array_equal(alone.images, ours.images)
    assert np.array_equal(alone.chunks, ours.chunks)


def test_what_is_planned_says_nothing_of_the_chance_to_come(shared_pool: Pool) -> None:
    shared_pool.reset("push_yellow", [5])
    here = shared_pool.save()
    moment = Moment(shared_pool.observe(), here, np.zeros(1, dtype=np.int64), 0)
    lucky = [
        Moment(moment.seen, (type(here[0])(**{**vars(here[0]), "luck": luck}),), moment.episode, 0) for luck in (0, 1)
    ]
    hands = ClumsyExperts(shared_pool, noises=(0.0,), astray=0.0)
    true = shared_pool.plan([one.snapshots[0] for one in lucky], 10)
    assert not np.array_equal(true[0], true[1])  # an expert in the world itself would tell
    assert not np.array_equal(to_action(hands(moment))[0], true[0])


def test_windows_follow_each_other_within_an_episode(journeys: Journeys) -> None:
    windows = journeys.windows(4)
    assert windows.shape[1] == 4
    assert len(windows) >= len(journeys.tasks)
    assert np.all(np.diff(journeys.start[windows], axis=1) == 1)
    assert np.all(np.ptp(journeys.episode[journeys.start[windows]], axis=1) == 0)
    assert len(np.unique(windows)) == windows.size


def test_they_come_back_to_the_last_bit(journeys: Journeys, tmp_path: Path) -> None:
    path = tmp_path / "journeys.npz"
    journeys.take([0, 5]).save(path, RECIPE)
    back = Journeys.load(path, RECIPE)
    assert same(back, journeys.take([0, 5]))
    assert back.tasks == journeys.take([0, 5]).tasks
    with pytest.raises(ConfigError, match="made otherwise"):
        Journeys.load(path, {"seeds": [1]})


def test_chosen_episodes_stay_whole(journeys: Journeys, shared_pool: Pool) -> None:
    part = journeys.take([3, 0])
    assert part.tasks == (journeys.tasks[3], journeys.tasks[0])
    np.testing.assert_array_equal(part.images[part.episode == 1], journeys.images[journeys.episode == 0])
    np.testing.assert_array_equal(
        part.chunks[part.episode[part.start] == 1], journeys.chunks[: (part.episode == 1).sum() - 1]
    )
    np.testing.assert_array_equal(shared_pool.restore(part.snapshots([0])).images[0], part.images[0])  # type: ignore[union-attr]


def test_chunks_that_are_too_short_are_refused(shared_pool: Pool) -> None:
    with pytest.raises(ContractError, match="3 steps came for 10"):
        travel(shared_pool, ["press_red"], [1], lambda moment: np.zeros((len(moment.snapshots), 3, 7)))
