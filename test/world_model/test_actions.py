from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.world_model.actions import TOP_LEVEL, ActionCodec, for_robot, for_unit_actions

ARM, TABLE = get_robot("arx_x5"), get_robot("tabletop")
CODECS = {
    "arm": for_robot(ARM, 10),
    "tabletop": for_robot(TABLE, 10),
    "unit": for_unit_actions(TABLE, 10),
}


@pytest.fixture(params=CODECS, ids=str)
def codec(request: pytest.FixtureRequest) -> ActionCodec:
    return CODECS[request.param]


def _inside(codec: ActionCodec, seed: int, rows: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Chunks within the ranges, the ends among them, and the states they begin at."""
    generator = np.random.default_rng(seed)
    state = generator.uniform(codec.state_low, codec.state_high, (rows, codec.dof))
    share = generator.uniform(0.0, 1.0, (rows, codec.horizon, codec.dof))
    share[generator.random(share.shape) < 0.1] = 0.0
    share[generator.random(share.shape) < 0.1] = 1.0
    return codec.low + share * (codec.high - codec.low) + (state * codec.relative)[:, None], state


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(CODECS)), st.integers(0, 10_000))
def test_there_and_back_errs_by_half_a_bin_at_most(name: str, seed: int) -> None:
    codec = CODECS[name]
    chunks, state = _inside(codec, seed)
    encoded = codec.encode(chunks, state)
    assert encoded.clamped == 0
    assert encoded.levels.min() >= 0
    assert encoded.levels.max() <= TOP_LEVEL
    error = np.abs(codec.decode(encoded.levels, state) - chunks)
    assert (error <= (codec.high - codec.low) / 512.0 * (1.0 + 1e-9) + 1e-12).all()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(CODECS)), st.integers(0, 10_000))
def test_a_level_is_its_own_level(name: str, seed: int) -> None:
    codec, generator = CODECS[name], np.random.default_rng(seed)
    state = generator.uniform(codec.state_low, codec.state_high, (3, codec.dof))
    levels = generator.integers(0, TOP_LEVEL + 1, (3, codec.horizon, codec.dof))
    np.testing.assert_array_equal(codec.encode(codec.decode(levels, state), state).levels, levels)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(1.01, 1e300))
def test_what_is_beyond_is_clamped_and_counted(seed: int, factor: float) -> None:
    codec, generator = CODECS["unit"], np.random.default_rng(seed)
    beyond = generator.random((2, codec.horizon, codec.dof)) < 0.3
    sign = np.where(generator.random(beyond.shape) < 0.5, -1.0, 1.0)
    encoded = codec.encode(np.where(beyond, sign * factor, 0.5 * sign), np.zeros((2, codec.dof)))
    assert encoded.clamped == beyond.sum()
    np.testing.assert_array_equal(encoded.levels[beyond], np.where(sign > 0, TOP_LEVEL, 0)[beyond])


def test_levels_grow_with_the_action(codec: ActionCodec) -> None:
    state = np.zeros((TOP_LEVEL, codec.dof))
    way = np.linspace(-0.2, 1.2, TOP_LEVEL)[:, None, None]
    levels = codec.encode(codec.low + way * (codec.high - codec.low), state).levels
    assert (np.diff(levels, axis=0) >= 0).all()


def test_joints_are_differences_from_the_state_and_grippers_are_not() -> None:
    """The same motion from two places has the same levels; only grippers tell where they are."""
    codec = for_robot(ARM, 10)
    chunks, state = _inside(codec, 0)
    moved = codec.relative * 0.1
    there = codec.encode(chunks + moved, state + moved)
    np.testing.assert_array_equal(there.levels, codec.encode(chunks, state).levels)
    assert [name for name, one in zip(ARM.names, codec.relative, strict=True) if not one] == [
        "left_gripper",
        "right_gripper",
    ]
    assert codec.needs_state
    assert not for_robot(TABLE, 10).needs_state


def test_a_gripper_that_holds_something_is_within_its_range() -> None:
    codec = for_robot(ARM, 10)
    state = np.where(codec.relative == 0.0, 0.04, ARM.home)[None]  # the thing is 40 mm wide
    chunk = np.repeat(np.where(codec.relative == 0.0, 0.0, ARM.home)[None, None], 10, axis=1)
    assert codec.encode(chunk, state).clamped == 0


def test_what_the_gate_lets_through_is_within_the_ranges() -> None:
    """At full allowed speed in one direction, begun where the arm is commanded to be."""
    codec = for_robot(ARM, 10, share=0.5)
    state = ARM.home[None]
    speed = 0.5 * ARM.max_velocity * codec.relative
    steps = (np.arange(10) + 1.0)[:, None] / ARM.control_hz
    assert codec.encode((state + steps * speed)[None], state).clamped == 0
    assert codec.encode((state + 1.5 * (steps + 0.1) * speed)[None], state).clamped > 0


def test_the_bins_of_the_arm_are_as_fine_as_the_page_says() -> None:
    codec, joints = for_robot(ARM, 10), np.flatnonzero(for_robot(ARM, 10).relative)
    width = np.degrees((codec.high - codec.low) / TOP_LEVEL)[:, joints]
    absolute = np.degrees((ARM.high - ARM.low) / TOP_LEVEL)[joints]

    def spread(widths: np.ndarray) -> tuple[float, float]:
        return round(float(widths.min()), 2), round(float(widths.max()), 2)

    found = [spread(width[0]), spread(width[-1]), spread(width.mean(axis=0)), spread(absolute)]
    page = Path("docs/world_model.md").read_text(encoding="utf-8")
    for low, high in found:
        assert f"{low:.2f}° to {high:.2f}°" in page


def test_states_are_levels_within_the_joints_limits(codec: ActionCodec) -> None:
    ends = np.stack([codec.state_low, codec.state_high])
    np.testing.assert_array_equal(codec.encode_state(ends), [[0] * codec.dof, [TOP_LEVEL] * codec.dof])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(codec: ActionCodec, bad: float) -> None:
    chunks, state = _inside(codec, 0)
    chunks[1, 2, 3] = bad
    with pytest.raises(NotFinite):
        codec.encode(chunks, state)
    state[0, 0] = bad
    with pytest.raises(NotFinite):
        codec.encode(_inside(codec, 0)[0], state)


def test_wrong_shapes_levels_and_ranges_are_refused(codec: ActionCodec) -> None:
    chunks, state = _inside(codec, 0)
    with pytest.raises(ContractError, match="shape"):
        codec.encode(chunks[:, :3], state)
    with pytest.raises(ContractError, match=r"0\.\.256"):
        codec.decode(np.full(chunks.shape, 257), state)
    with pytest.raises(ContractError, match="empty"):
        replace(codec, high=codec.low)
