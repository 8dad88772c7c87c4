from __future__ import annotations

import numpy as np
import pytest

from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.sim.tabletop import TASKS, TableTask, sibling, task_names, to_action, to_command
from vla_mbpo_ros.sim.tabletop.experts import expert_action
from vla_mbpo_ros.sim.tabletop.world import World

ROBOT = get_robot("tabletop")
SEEDS = range(500, 520)


def attempt(world: World, expert: TableTask, slip: float = 0.5) -> None:
    while not world.over:
        action = expert_action(expert, world.state())
        assert np.all(np.abs(action) <= 1.0)
        world.step(to_command(action))


@pytest.mark.parametrize("slip", [0.0, 1.0])
@pytest.mark.parametrize("name", task_names())
def test_an_expert_does_its_task_in_nineteen_of_twenty_layouts(world: World, name: str, slip: float) -> None:
    done = []
    for seed in SEEDS:
        world.begin(name, seed, slip)
        attempt(world, TASKS[name])
        done.append(world.success)
    assert np.mean(done) >= 0.95


@pytest.mark.parametrize("name", task_names())
def test_the_expert_of_the_other_task_fails(world: World, name: str) -> None:
    for seed in SEEDS[:8]:
        world.begin(name, seed)
        attempt(world, sibling(TASKS[name]))
        assert not world.success


@pytest.mark.parametrize("name", task_names())
def test_doing_nothing_fails(world: World, name: str) -> None:
    world.begin(name, 0)
    while not world.over:
        world.step(np.array([0, 0, 0, 0, 0, 0, 0.08]))
    assert not world.success
    assert world.ticks == TASKS[name].max_steps


@pytest.mark.parametrize("name", ["lift_red", "place_bowl", "push_yellow"])
def test_an_expert_recovers_from_a_push_in_the_middle(world: World, name: str) -> None:
    done = []
    for seed in SEEDS[:6]:
        world.begin(name, seed)
        for tick in range(40):
            action = expert_action(TASKS[name], world.state())
            if 15 <= tick < 22:
                action[:3] = (1.0, -1.0, 0.5)
            world.step(to_command(action))
        attempt(world, TASKS[name])
        done.append(world.success)
    assert np.mean(done) >= 0.8


def test_actions_and_commands_are_each_others_inverse() -> None:
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (50, 3, 7))
    np.testing.assert_allclose(to_action(to_command(actions)), actions, atol=1e-12)
    np.testing.assert_allclose(to_command(np.full(7, 9.0))[:6], ROBOT.max_velocity[:6])
    assert to_command(np.array([0, 0, 0, 0, 0, 0, -1.0]))[6] == ROBOT.high[6]  # -1 opens
    assert to_command(np.array([0, 0, 0, 0, 0, 0, 1.0]))[6] == 0.0
