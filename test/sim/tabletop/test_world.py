from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from vla_mbpo_ros.errors import ContractError, NotFinite, UnknownName
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import TASKS, sibling, task_names, to_command
from vla_mbpo_ros.sim.tabletop.experts import expert_action
from vla_mbpo_ros.sim.tabletop.world import Snapshot, World

ROBOT = get_robot("tabletop")
OPEN_STILL = np.array([0, 0, 0, 0, 0, 0, 0.08])


def wild(seed: int, count: int) -> FloatArray:
    """(count, 7) commands that also hit things and the table."""
    actions = np.random.default_rng(seed).uniform(-1.0, 1.0, (count, 7))
    actions[:, 2] -= 0.5
    return to_command(actions)


def run(world: World, commands: FloatArray) -> FloatArray:
    for command in commands:
        world.step(command)
    return world.snapshot().physics


@pytest.mark.parametrize("task", task_names())
def test_the_same_seed_and_commands_give_bit_identical_states_and_pictures(world: World, task: str) -> None:
    other = World()
    ends = []
    for each in (world, other):
        each.begin(task, 7)
        ends.append((run(each, wild(1, 40)), each.views(64, 64)))
    np.testing.assert_array_equal(ends[0][0], ends[1][0])
    np.testing.assert_array_equal(ends[0][1], ends[1][1])
    other.close()


@pytest.mark.parametrize("task", ["press_red", "push_yellow", "lift_green", "place_bowl"])
def test_what_follows_a_restored_snapshot_is_what_followed_then(world: World, task: str) -> None:
    """Also after other episodes, and after a journey through pickle."""
    world.begin(task, 3)
    _follow_expert(world, 25)
    kept = pickle.loads(pickle.dumps(world.snapshot()))
    ends = []
    for _ in range(2):
        ends.append((run(world, wild(2, 30)), world.views(48, 40), world.ticks, world.snapshot().success_tick))
        world.begin("lift_red", 11)
        run(world, wild(3, 5))
        world.restore(kept)
        assert world.ticks == 25
    np.testing.assert_array_equal(ends[0][0], ends[1][0])
    np.testing.assert_array_equal(ends[0][1], ends[1][1])
    assert ends[0][2:] == ends[1][2:]
    assert len(pickle.dumps(kept)) < 4096


def test_a_picture_changes_nothing(world: World) -> None:
    world.begin("lift_red", 0)
    run(world, wild(0, 10))
    before = world.snapshot().physics
    first = world.views(64, 64)
    np.testing.assert_array_equal(before, world.snapshot().physics)
    np.testing.assert_array_equal(first, world.views(64, 64))
    np.testing.assert_array_equal(first[1], world.render("wrist", 64, 64))


@pytest.mark.parametrize("task", sorted(TASKS)[::2])
def test_a_pair_differs_by_the_instruction_alone(world: World, task: str) -> None:
    other = sibling(TASKS[task])
    for seed in range(3):
        world.begin(task, seed)
        mine, instruction = (world.snapshot().physics, world.views(64, 64)), world.task.instruction
        world.begin(other.name, seed)
        np.testing.assert_array_equal(mine[0], world.snapshot().physics)
        np.testing.assert_array_equal(mine[1], world.views(64, 64))
        assert world.task.instruction != instruction


def test_every_task_has_one_sibling_in_its_scene() -> None:
    assert len(TASKS) >= 8
    for task in TASKS.values():
        assert sibling(sibling(task)) is task
        assert (sibling(task).target, sibling(task).other) == (task.other, task.target)
    assert len({task.instruction for task in TASKS.values()}) == len(TASKS)


def test_pictures_of_different_seeds_differ_also_beside_the_things(world: World) -> None:
    corners = set()
    for seed in range(8):
        world.begin("press_red", seed)
        corners.add(tuple(int(v) for v in world.render("head", 64, 64)[-1, 0]))
    assert len(corners) >= 7


@pytest.mark.parametrize("joint", range(6))
def test_a_velocity_is_followed_in_its_unit(world: World, joint: int) -> None:
    world.begin("press_red", 0, slip=0.0)
    speed = 0.3 * ROBOT.max_velocity[joint]
    command = np.array(OPEN_STILL)
    command[joint] = speed
    run(world, np.tile(command, (4, 1)))  # under way
    begin = world.position()[joint]
    run(world, np.tile(command, (10, 1)))
    assert np.isclose(world.position()[joint] - begin, speed * 10 / ROBOT.control_hz, rtol=0.03)
    assert np.isclose(world.velocity()[joint], speed, rtol=0.03)


def test_zero_velocity_holds_the_tool_where_it_is(world: World) -> None:
    world.begin("place_plate", 0)
    run(world, np.tile(to_command(np.array([0.5, 0.5, -0.5, 0, 0, 0.5, -1.0])), (10, 1)))
    run(world, np.tile(OPEN_STILL, (10, 1)))
    before = world.position()
    run(world, np.tile(OPEN_STILL, (40, 1)))
    np.testing.assert_allclose(world.position(), before, atol=2e-4)


def test_joints_stay_within_their_limits_and_the_gripper_follows_its_position(world: World) -> None:
    world.begin("press_red", 0)
    command = np.array([9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 0.02])  # cut off at the limit of speed
    run(world, np.tile(command, (100, 1)))
    np.testing.assert_allclose(world.position()[:6], ROBOT.high[:6], atol=3e-3)
    assert np.isclose(world.position()[6], 0.02, atol=2e-3)


def test_bad_commands_names_and_snapshots_are_refused_and_move_nothing(world: World) -> None:
    world.begin("press_red", 0)
    before = world.snapshot()
    with pytest.raises(NotFinite):
        world.step(np.full(7, np.nan))
    with pytest.raises(ContractError, match="7"):
        world.step(np.zeros(6))
    with pytest.raises(UnknownName, match="Did you mean 'press_red'"):
        world.begin("pres_red", 0)
    with pytest.raises(UnknownName, match="wrist"):
        world.render("wirst", 64, 64)
    with pytest.raises(ContractError, match="version"):
        world.restore(replace(before, physics=before.physics[:-1]))
    world.restore(before)
    np.testing.assert_array_equal(before.physics, world.snapshot().physics)


def test_success_comes_once_stays_and_says_when(world: World) -> None:
    world.begin("press_red", 0)
    while not world.success:
        _follow_expert(world, 1)
    when = world.snapshot().success_tick
    assert when == world.ticks > 0
    _follow_expert(world, 20)
    assert world.success
    assert world.snapshot().success_tick == when
    assert world.snapshot().over
    world.begin("press_red", 0)
    assert not world.success


def test_who_does_the_other_task_first_has_spoiled_the_episode(world: World) -> None:
    world.begin("press_red", 0)
    _follow_expert(world, 60, of="press_blue")
    assert world.snapshot().spoiled_tick > 0
    _follow_expert(world, 60)
    assert not world.success


def test_another_luck_is_another_future_of_the_same_moment(world: World) -> None:
    world.begin("push_yellow", 0, slip=1.0)
    _follow_expert(world, 40)
    here: Snapshot = world.snapshot()
    futures = []
    for luck in (0, 1, 1):
        world.restore(replace(here, luck=luck))
        futures.append(run(world, np.tile(to_command(np.array([0, 0.5, 0, 0, 0, 0, 0.25])), (10, 1))))
    np.testing.assert_array_equal(futures[1], futures[2])
    assert not np.array_equal(futures[0], futures[1])


def _follow_expert(world: World, steps: int, of: str = "") -> None:
    for _ in range(steps):
        task = TASKS[of] if of else world.task
        world.step(to_command(expert_action(task, world.state())))
