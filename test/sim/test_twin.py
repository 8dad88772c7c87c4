from __future__ import annotations

import numpy as np
import pytest

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.errors import ContractError, NotFinite, UnknownName
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.factory import make_twin
from vla_mbpo_ros.sim.tasks import get_task
from vla_mbpo_ros.sim.twin import Twin

ROBOT = get_robot("arx_x5")


def test_the_same_seed_and_commands_give_bit_identical_states_and_pictures(twin: Twin) -> None:
    """Random full-range commands: they also hit the table and the other arm."""
    other = make_twin(Config())
    for seed in (0, 7):
        twin.reset(seed)
        other.reset(seed)
        for target in _targets(seed, 20):
            twin.step(target)
            other.step(target)
            np.testing.assert_array_equal(twin.snapshot().physics, other.snapshot().physics)
        for camera in twin.cameras:
            np.testing.assert_array_equal(twin.render(camera, 64, 64), other.render(camera, 64, 64))
    other.close()


def test_a_twin_has_no_memory_of_the_episodes_before(twin: Twin) -> None:
    first = _run(twin, 3)
    twin.reset(5)
    for target in _targets(9, 10):
        twin.step(target)
    np.testing.assert_array_equal(first, _run(twin, 3))


def test_what_follows_a_restored_snapshot_is_what_followed_then(twin: Twin) -> None:
    targets = _targets(1, 30)
    for target in targets[:10]:
        twin.step(target)
    kept = twin.snapshot()
    ends = []
    for _ in range(2):
        for target in targets[10:]:
            twin.step(target)
        ends.append((twin.snapshot().physics, twin.render("head", 64, 64), twin.ticks))
        twin.restore(kept)
        assert twin.ticks == 10
    np.testing.assert_array_equal(ends[0][0], ends[1][0])
    np.testing.assert_array_equal(ends[0][1], ends[1][1])
    assert ends[0][2] == ends[1][2] == 30


@pytest.mark.parametrize("control_hz", [10.0, 15.0, 30.0, 100.0, 500.0])
def test_a_step_is_exactly_one_control_period(control_hz: float) -> None:
    twin = Twin(ROBOT, get_task("pick_place"), control_hz)
    for _ in range(5):
        twin.step(ROBOT.home)
    time_s = twin.snapshot().physics[0]  # MuJoCo's state begins with its time
    assert np.isclose(time_s, 5 / control_hz, rtol=1e-12)
    assert twin.joint_state().stamp_ns == round(5e9 / control_hz)


def test_joints_stay_below_their_velocity_limit_at_every_physics_step() -> None:
    """Commands jump over as much of the range as keeps both arms clear of everything."""
    twin = Twin(ROBOT, get_task("pick_place"), 500.0)
    random = np.random.default_rng(0)
    fastest = np.zeros(ROBOT.dof)
    for _ in range(20):
        target = _clear_of_everything(random)
        for _ in range(250):
            twin.step(target)
            fastest = np.maximum(fastest, np.abs(twin.joint_state().velocity))
    assert np.all(fastest <= ROBOT.max_velocity)
    assert np.all(fastest >= 0.5 * ROBOT.max_velocity)  # and they do use it


def test_joints_arrive_where_they_are_sent(twin: Twin) -> None:
    target = _clear_of_everything(np.random.default_rng(3))
    for _ in range(30):
        twin.step(target)
    np.testing.assert_allclose(twin.joint_state().position, target, atol=1e-3)
    np.testing.assert_allclose(twin.joint_state().velocity, 0.0, atol=1e-2)


def test_arms_at_home_do_not_sag(twin: Twin) -> None:
    for _ in range(30):
        twin.step(ROBOT.home)
    np.testing.assert_allclose(twin.joint_state().position, ROBOT.home, atol=1e-6)


def test_a_command_beyond_the_limits_is_followed_to_the_limit(twin: Twin) -> None:
    index = ROBOT.names.index("left_joint5")
    target = np.array(ROBOT.home)
    target[index] = 99.0
    for _ in range(30):
        twin.step(target)
    assert np.isclose(twin.joint_state().position[index], ROBOT.high[index], atol=1e-2)


def test_bad_commands_are_refused_and_move_nothing(twin: Twin) -> None:
    before = twin.snapshot().physics
    with pytest.raises(NotFinite):
        twin.step(np.full(ROBOT.dof, np.nan))
    with pytest.raises(ContractError, match="14"):
        twin.step(np.zeros(7))
    np.testing.assert_array_equal(before, twin.snapshot().physics)


def test_reset_brings_the_arms_home_and_forgets_success(twin: Twin) -> None:
    for target in _targets(2, 5):
        twin.step(target)
    twin.reset(4)
    assert (twin.ticks, twin.success) == (0, False)
    np.testing.assert_allclose(twin.joint_state().position, ROBOT.home, atol=1e-12)
    np.testing.assert_array_equal(twin.joint_state().velocity, 0.0)


def test_bad_names_and_seeds_are_refused(twin: Twin) -> None:
    with pytest.raises(ContractError, match="-1"):
        twin.reset(-1)
    with pytest.raises(UnknownName, match="pick_place"):
        get_task("pick_plaec")


def _targets(seed: int, count: int) -> FloatArray:
    """(count, N) anywhere within the limits."""
    return np.random.default_rng(seed).uniform(ROBOT.low, ROBOT.high, (count, ROBOT.dof))


def _run(twin: Twin, seed: int) -> FloatArray:
    twin.reset(seed)
    for target in _targets(seed, 10):
        twin.step(target)
    return twin.snapshot().physics


def _clear_of_everything(random: np.random.Generator) -> FloatArray:
    """(N,) upper arms upright, hands above them: the lowest fingertip is 0.2 m above the table."""
    low, high = np.array(ROBOT.low), np.array(ROBOT.high)
    for side, outward in (("left", (0.0, 1.5)), ("right", (-1.5, 0.0))):
        ranges = (outward, (0.8, 1.8), (1.5, 2.6), (-1.2, 1.2), (-1.57, 1.57), (-2.0, 2.0))
        for joint, bounds in enumerate(ranges, start=1):
            index = ROBOT.names.index(f"{side}_joint{joint}")
            low[index], high[index] = bounds
    return random.uniform(low, high)
