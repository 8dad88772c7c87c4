"""The simulator in a dream's place, against the simulator itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import TASKS as ALL_TASKS
from vla_mbpo_ros.sim.tabletop import Pool, Snapshot, to_action, to_command
from vla_mbpo_ros.sim.tabletop.experts import expert_action
from vla_mbpo_ros.sim.tabletop.world import World
from vla_mbpo_ros.world_model.protocol import Scenes, StateSource
from vla_mbpo_ros.world_model.rivals.oracle import GroundedScenes, OracleWorld

HORIZON = 10
TASKS, SEEDS = ["press_red", "lift_red", "push_yellow"], [3, 4, 5]


@pytest.fixture(scope="module")
def oracle() -> Iterator[OracleWorld]:
    with OracleWorld(HORIZON, workers=1) as oracle:
        yield oracle


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(workers=1) as pool:
        yield pool


def commands(count: int, rows: int) -> FloatArray:
    """(count, rows, K, 7)"""
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (count, rows, HORIZON, 7))
    actions[..., 2] -= 0.5
    return to_command(actions)


def almost_done() -> tuple[Snapshot, FloatArray]:
    """A moment five ticks before success, and the commands (K, 7) that lead to it."""
    world, kept, done = World(), list[Snapshot](), list[FloatArray]()
    world.begin("press_red", 3)
    while not (world.success and len(done) >= world.success_tick + HORIZON):
        kept.append(world.snapshot())
        done.append(to_command(expert_action(ALL_TASKS["press_red"], world.state())))
        world.step(done[-1])
    begin = world.success_tick - 5
    world.close()
    return kept[begin], np.stack(done[begin : begin + HORIZON])


def test_its_dreams_are_what_happens_bit_for_bit_chunk_after_chunk(oracle: OracleWorld, pool: Pool) -> None:
    seen = pool.reset(TASKS, SEEDS)
    scenes: Scenes = oracle.remember(pool.save())
    np.testing.assert_array_equal(scenes.images, seen.images)
    assert scenes.instructions == seen.instructions
    before = oracle.ledger.steps
    for chunk in commands(3, len(TASKS)):
        dreams = oracle.imagine(scenes, chunk, seeds=[0, 1, 2])
        real = pool.step_chunk(to_action(chunk))
        np.testing.assert_array_equal(dreams.images, real.observations.images)
        np.testing.assert_array_equal(dreams.state, real.observations.state)
        assert dreams.source is StateSource.SIMULATED
        scenes = dreams.as_scenes(scenes)
    assert oracle.ledger.steps - before == 3 * HORIZON * len(TASKS)  # each is a step of the simulator


def test_samples_of_one_scene_differ_by_their_chunks_only(oracle: OracleWorld, pool: Pool) -> None:
    pool.reset("lift_red", [1])
    scenes = oracle.remember(pool.save()).repeat(3)
    one, other = commands(2, 1)
    dreams = oracle.imagine(scenes, np.concatenate([one, one, other]), seeds=[1, 2, 3])
    np.testing.assert_array_equal(dreams.images[0], dreams.images[1])
    assert (dreams.images[0] != dreams.images[2]).any()
    chosen = dreams.as_scenes(scenes).select([2, 0])
    assert isinstance(chosen, GroundedScenes)
    assert [snapshot.ticks for snapshot in chosen.snapshots] == [HORIZON] * 2
    np.testing.assert_array_equal(chosen.images, dreams.images[[2, 0]])


def test_it_judges_by_what_has_been_done(oracle: OracleWorld) -> None:
    before, last = almost_done()
    scenes = oracle.remember([before, before])
    np.testing.assert_array_equal(oracle.judge(scenes), [0.0, 0.0])
    still = np.broadcast_to(to_command(np.array([0.0] * 6 + [1.0])), (HORIZON, 7))
    dreams = oracle.imagine(scenes, np.stack([last, still]), seeds=[0, 0])
    np.testing.assert_array_equal(dreams.success, [1.0, 0.0])
    np.testing.assert_array_equal(oracle.judge(dreams.as_scenes(scenes)), [1.0, 0.0])


def test_pictures_without_a_snapshot_are_refused(oracle: OracleWorld) -> None:
    scenes = Scenes(np.zeros((1, 2, 64, 64, 3), np.uint8), np.zeros((1, 7)), ("press the red button",))
    for ask in (lambda: oracle.judge(scenes), lambda: oracle.imagine(scenes, commands(1, 1)[0], [0])):
        with pytest.raises(ContractError, match=r"OracleWorld\.remember"):
            ask()


def test_a_snapshot_for_each_scene(oracle: OracleWorld, pool: Pool) -> None:
    pool.reset("press_red", [1])
    scenes = oracle.remember(pool.save())
    with pytest.raises(ContractError, match="2 snapshots for 1 scenes"):
        GroundedScenes(scenes.images, scenes.state, scenes.instructions, scenes.snapshots * 2)
