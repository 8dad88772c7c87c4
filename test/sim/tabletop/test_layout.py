from __future__ import annotations

import pickle
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.sim.tabletop import sizes
from vla_mbpo_ros.sim.tabletop.layout import SCENES, Layout, layout

ROBOT = get_robot("tabletop")
RADIUS_M = {
    "red_button": 0.038,
    "blue_button": 0.038,
    "red_cube": sizes.CUBE_HALF_M * 2**0.5,
    "green_cube": sizes.CUBE_HALF_M * 2**0.5,
    "cube": sizes.CUBE_HALF_M * 2**0.5,
    "plate": sizes.PLATE_RADIUS_M,
    "bowl": sizes.BOWL_RADIUS_M + 0.012,
    "block": sizes.BLOCK_HALF_M * 2**0.5,
}
scenes = st.sampled_from(SCENES)
seeds = st.integers(0, 2**63 - 1)


def same(one: Layout, other: Layout) -> bool:
    return pickle.dumps(one) == pickle.dumps(other)


@given(scene=scenes, seed=seeds, slip=st.floats(0.0, 1.0))
def test_a_layout_is_a_pure_function_of_its_seed(scene: str, seed: int, slip: float) -> None:
    assert same(layout(scene, seed, slip), layout(scene, seed, slip))
    assert not same(layout(scene, seed, slip), layout(scene, (seed + 1) % 2**63, slip))


@given(scene=scenes, seed=seeds)
def test_things_are_apart_and_within_reach_of_the_tool(scene: str, seed: int) -> None:
    places = layout(scene, seed).places
    for (one, a), (other, b) in combinations(places.items(), 2):
        if one in RADIUS_M and other in RADIUS_M:
            assert np.hypot(a.x - b.x, a.y - b.y) > RADIUS_M[one] + RADIUS_M[other]
    for place in places.values():
        assert ROBOT.low[0] + 0.05 < place.x < ROBOT.high[0] - 0.05
        assert ROBOT.low[1] + 0.05 < place.y < ROBOT.high[1] - 0.05


@given(seed=seeds)
def test_the_block_begins_outside_both_zones_which_are_on_either_side(seed: int) -> None:
    places = layout("push", seed).places
    for zone in ("yellow_zone", "purple_zone"):
        assert abs(places["block"].y - places[zone].y) > 0.06
    assert places["yellow_zone"].y * places["purple_zone"].y < 0.0


@given(scene=scenes, seed=seeds)
def test_the_tool_begins_within_its_limits_high_above_everything(scene: str, seed: int) -> None:
    start = layout(scene, seed).start
    assert np.all((ROBOT.low[:6] < start) & (start < ROBOT.high[:6]))
    assert start[2] > 0.16


@given(scene=scenes, seed=seeds, slip=st.floats(0.0, 1.0), luck=st.integers(0, 100))
def test_chance_changes_neither_places_nor_looks(scene: str, seed: int, slip: float, luck: int) -> None:
    plain, chancy = layout(scene, seed, 0.0), layout(scene, seed, slip, luck)
    assert plain.places == chancy.places
    for name, color in plain.colors.items():
        np.testing.assert_array_equal(color, chancy.colors[name])
    np.testing.assert_array_equal(plain.start, chancy.start)


@given(scene=scenes, seed=seeds)
def test_without_slip_nothing_is_left_to_chance(scene: str, seed: int) -> None:
    plain = layout(scene, seed, 0.0)
    assert plain.friction == plain.grip == plain.mass == 1.0
    assert not plain.lopsided.any()
    assert (plain.drive == 1.0).all()


def test_yellow_is_on_the_left_as_often_as_on_the_right() -> None:
    left = sum(layout("push", seed).places["yellow_zone"].y > 0 for seed in range(400))
    assert 150 < left < 250


@pytest.mark.parametrize(("seed", "slip"), [(-1, 0.5), (0, -0.1), (0, 1.1), (0, float("nan"))])
def test_bad_seeds_and_slips_are_refused(seed: int, slip: float) -> None:
    with pytest.raises(ContractError, match="Give"):
        layout("push", seed, slip)
