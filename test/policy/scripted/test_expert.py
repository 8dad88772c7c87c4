from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.policy import Policy
from vla_mbpo_ros.schema import ImageArray, Observation
from vla_mbpo_ros.sim.tasks.pick_place import places
from vla_mbpo_ros.sim.twin import Twin

Observe = Callable[..., Observation]
Solve = Callable[..., bool]

DT_NS = round(1e9 / 15)


def _swapped(image: ImageArray) -> ImageArray:
    return image[..., ::-1]


def _upside_down(image: ImageArray) -> ImageArray:
    return image[::-1]


def _mirrored(image: ImageArray) -> ImageArray:
    return image[:, ::-1]


def _turned(image: ImageArray) -> ImageArray:
    return image[::-1, ::-1]


@pytest.mark.parametrize(("width", "height"), [(64, 64), (320, 240)])
def test_the_expert_solves_the_task_from_pixels(solve: Solve, width: int, height: int) -> None:
    solved = [solve(seed, width, height) for seed in range(5)]
    assert all(solved)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(64, 64), (320, 240), (640, 480)])
def test_the_expert_solves_at_least_95_of_100_layouts(solve: Solve, width: int, height: int) -> None:
    assert sum(solve(seed, width, height) for seed in range(100)) >= 95


def test_swapped_channels_make_it_stay_where_it_is(twin: Twin, solve: Solve) -> None:
    assert not solve(0, change=_swapped)
    np.testing.assert_allclose(twin.joint_state().position, twin.robot.home, atol=1e-3)


@pytest.mark.parametrize("change", [_upside_down, _mirrored, _turned])
def test_a_flipped_image_makes_it_fail(solve: Solve, change: Callable[[ImageArray], ImageArray]) -> None:
    assert not any(solve(seed, change=change) for seed in range(3))


def test_success_stays_whatever_comes_after(twin: Twin, solve: Solve) -> None:
    assert solve(1)
    random = np.random.default_rng(0)
    for _ in range(10):
        twin.step(random.uniform(twin.robot.low, twin.robot.high))
    assert twin.success


def test_it_tries_again_when_the_cube_slips(twin: Twin, policy: Policy, observe: Observe) -> None:
    """The gripper opens by itself on the way to the pad."""
    twin.reset(2)
    gripper = twin.robot.names.index("left_gripper" if places(2).cube_xy[1] > 0 else "right_gripper")
    while not twin.success and twin.ticks < 300:
        chunk = policy.sample(policy.encode([observe()]), seed=0).values[0].copy()
        if 40 <= twin.ticks < 56:
            chunk[:, gripper] = 0.08
        for target in chunk[:8]:
            twin.step(target)
        assert twin.ticks > 120 or not twin.success  # the first try is spoilt
    assert twin.success


def test_it_brings_a_strayed_arm_home_before_it_looks(twin: Twin, policy: Policy, observe: Observe) -> None:
    away = np.array(twin.robot.home)
    away[[0, 7]] = 0.8, -0.8  # both arms turned outwards
    for _ in range(20):
        twin.step(away)
    for _ in range(4):
        for target in policy.sample(policy.encode([observe()]), seed=0).values[0][:8]:
            twin.step(target)
        if np.allclose(twin.joint_state().position, twin.robot.home, atol=0.05):
            break
    np.testing.assert_allclose(twin.joint_state().position, twin.robot.home, atol=0.05)


def test_chunks_of_one_plan_agree_where_they_overlap(twin: Twin, policy: Policy, observe: Observe) -> None:
    first = policy.sample(policy.encode([observe()]), seed=0).values[0]
    for target in first[:8]:
        twin.step(target)
    second = policy.sample(policy.encode([observe()]), seed=0).values[0]
    np.testing.assert_allclose(second[:8], first[8:], atol=1e-9)


def test_a_chunk_starts_at_the_measured_state_and_keeps_half_the_velocity_limit(
    twin: Twin, policy: Policy, observe: Observe
) -> None:
    chunk = policy.sample(policy.encode([observe()]), seed=0).values[0]
    assert chunk.shape == (16, twin.robot.dof)
    assert chunk.dtype == np.float64
    np.testing.assert_allclose(chunk[0], twin.joint_state().position, atol=1e-9)
    steps = np.abs(np.diff(chunk, axis=0))
    assert np.all(steps <= 0.5 * twin.robot.max_velocity / 15)
    assert steps.max() > 0


def test_the_same_prefix_gives_the_same_sample_whatever_the_seed(policy: Policy, observe: Observe) -> None:
    prefix = policy.encode([observe()])
    first, second = policy.sample(prefix, seed=0), policy.sample(prefix, seed=1)
    np.testing.assert_array_equal(first.values, second.values)
    assert np.isnan(first.value).all()


def test_rows_of_a_batch_are_robots_of_their_own(twin: Twin, policy: Policy, observe: Observe) -> None:
    observations = []
    for seed in (0, 1, 2):
        twin.reset(seed)
        observations.append(observe())
    together = policy.sample(policy.encode(observations), seed=0).values
    for row, observation in enumerate(observations):
        policy.reset()
        alone = policy.sample(policy.encode([observation]), seed=0).values[0]
        np.testing.assert_array_equal(together[row], alone)


def test_without_a_cube_in_sight_it_holds_the_measured_state(policy: Policy, observe: Observe) -> None:
    blind = observe(change=np.zeros_like)
    chunk = policy.sample(policy.encode([blind]), seed=0).values[0]
    np.testing.assert_array_equal(chunk, np.tile(blind.state, (16, 1)))


def test_an_instruction_that_it_does_not_know_makes_it_hold(policy: Policy, observe: Observe) -> None:
    asked = replace(observe(), instruction="fold the towel")
    chunk = policy.sample(policy.encode([asked]), seed=0).values[0]
    np.testing.assert_array_equal(chunk, np.tile(asked.state, (16, 1)))


def test_an_observation_without_the_head_camera_is_refused(policy: Policy, observe: Observe) -> None:
    with pytest.raises(ContractError, match="head"):
        policy.encode([replace(observe(), images={})])


def test_a_state_of_another_width_is_refused(policy: Policy, observe: Observe) -> None:
    with pytest.raises(ContractError, match="14"):
        policy.encode([replace(observe(), state=np.zeros(7))])
