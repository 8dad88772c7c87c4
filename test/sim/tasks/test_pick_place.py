from __future__ import annotations

import numpy as np
import pytest

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.factory import make_twin
from vla_mbpo_ros.sim.tasks.pick_place import APART_M, CUBE_HALF_M, PAD_THICK_M, places
from vla_mbpo_ros.sim.twin import Twin

HOME = get_robot("arx_x5").home
SEED = 0
ON_PAD = np.array([*places(SEED).pad_xy, PAD_THICK_M + CUBE_HALF_M])


@pytest.fixture(scope="module")
def module_twin() -> Twin:
    return make_twin(Config())


@pytest.fixture
def twin(module_twin: Twin) -> Twin:
    module_twin.reset(SEED)
    return module_twin


def test_places_are_a_pure_function_of_the_seed() -> None:
    for seed in range(20):
        first, second = places(seed), places(seed)
        np.testing.assert_array_equal(first.cube_xy, second.cube_xy)
        np.testing.assert_array_equal(first.pad_xy, second.pad_xy)
        assert first.cube_yaw_rad == second.cube_yaw_rad


def test_places_use_both_sides_and_keep_things_apart() -> None:
    found = [places(seed) for seed in range(100)]
    left = sum(place.cube_xy[1] > 0 for place in found)
    assert 30 <= left <= 70
    assert all(np.linalg.norm(place.cube_xy - place.pad_xy) >= APART_M for place in found)


def test_nothing_moves_by_itself(twin: Twin) -> None:
    for seed in range(5):
        twin.reset(seed)
        _wait(twin, 15)
        np.testing.assert_allclose(_cube(twin)[:2], places(seed).cube_xy, atol=1e-4)
        assert not twin.success


def test_a_cube_that_lies_on_the_pad_is_success(twin: Twin) -> None:
    _put_cube(twin, ON_PAD)
    _wait(twin, 10)
    assert twin.success


def test_success_stays_when_the_cube_is_taken_away_again(twin: Twin) -> None:
    _put_cube(twin, ON_PAD)
    _wait(twin, 10)
    _put_cube(twin, ON_PAD + np.array([0.0, 0.2, 0.0]))
    _wait(twin, 10)
    assert twin.success
    assert twin.snapshot().success


@pytest.mark.parametrize("shift", [(0.045, 0.0), (0.0, -0.045), (0.1, 0.0)])
def test_a_cube_beside_the_pad_or_over_its_edge_is_none(twin: Twin, shift: tuple[float, float]) -> None:
    _put_cube(twin, ON_PAD + np.array([*shift, 0.0]))
    _wait(twin, 10)
    assert not twin.success


def test_a_cube_that_falls_onto_the_pad_counts_once_it_rests(twin: Twin) -> None:
    _put_cube(twin, ON_PAD + np.array([0.0, 0.0, 0.1]))
    twin.step(HOME)
    assert not twin.success
    _wait(twin, 15)
    assert twin.success


# What no command can do, these do to the simulator's own numbers.


def _put_cube(twin: Twin, position: FloatArray) -> None:
    twin._data.joint("cube").qpos = (*position, 1.0, 0.0, 0.0, 0.0)
    twin._data.joint("cube").qvel = 0.0


def _cube(twin: Twin) -> FloatArray:
    return np.array(twin._data.joint("cube").qpos[:3])


def _wait(twin: Twin, ticks: int) -> None:
    for _ in range(ticks):
        twin.step(HOME)
