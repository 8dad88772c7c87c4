from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.pictures import ArrayPictures, fit, fit_all, fitted, from_network, to_network


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_a_wide_picture_gets_black_above_and_below() -> None:
    made = fit(np.full((480, 640, 3), 200, np.uint8), 256)
    assert made.shape == (256, 256, 3)
    assert not made[:32].any()
    assert not made[224:].any()
    assert (made[32:224] == 200).all()


def test_a_tall_picture_gets_black_left_and_right() -> None:
    made = fit(np.full((20, 10, 3), 7, np.uint8), 8)
    assert (made[:, 2:6] == 7).all()
    assert not made[:, :2].any()
    assert not made[:, 6:].any()


def test_a_ramp_that_is_halved_stays_a_ramp_and_a_stripe_spreads_over_its_neighbours() -> None:
    ramp = np.broadcast_to((10 * np.arange(16, dtype=np.uint8))[None, :, None], (16, 16, 3))
    assert fit(ramp, 8)[4, 1:-1, 0].tolist() == [25, 45, 65, 85, 105, 125]  # the middle of each pair
    stripe = np.zeros((16, 16, 3), np.uint8)
    stripe[:, 8] = 80
    assert fit(stripe, 8)[4, :, 0].tolist() == [0, 0, 0, 10, 30, 0, 0, 0]  # a tent of 1, 3, 3, 1 eighths


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40))
def test_what_has_been_fitted_is_left_alone(height: int, width: int, size: int) -> None:
    once = fit(_noise(height, width, 3), size)
    assert once.shape == (size, size, 3)
    assert fit(once, size) is once


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 1024))
def test_one_side_fills_the_square_and_the_other_keeps_the_form(height: int, width: int, size: int) -> None:
    inner = fitted(height, width, size)
    assert max(inner) == size
    assert abs(inner[0] * width - inner[1] * height) <= max(height, width)  # less than a pixel of rounding, or one row


def test_the_pixels_do_not_depend_on_the_caller() -> None:
    images = _noise(2, 3, 30, 40, 3)
    alone = np.stack([np.stack([fit(view, 16) for view in row]) for row in images])
    assert np.array_equal(fit_all(images, 16), alone)
    mirrored = np.ascontiguousarray(images[0, 0][:, ::-1])[:, ::-1]  # the same numbers, lying otherwise in memory
    assert np.array_equal(fit(mirrored, 16), alone[0, 0])
    assert fit_all(images[:0], 16).shape == (0, 3, 16, 16, 3)


def test_all_256_values_come_back_from_the_network_s_range() -> None:
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    pixels = to_network(image)
    assert pixels.shape == (3, 16, 16)
    assert (float(pixels.min()), float(pixels.max())) == (-1.0, 1.0)
    assert np.array_equal(from_network(pixels), image)
    assert from_network(pixels * 3.0).max() == 255


def test_what_is_no_picture_is_refused() -> None:
    for wrong in (_noise(8, 8), _noise(8, 8, 4), _noise(8, 8, 3).astype(np.float32), _noise(0, 8, 3)):
        with pytest.raises(ContractError, match="uint8 RGB"):
            fit(wrong, 8)
    with pytest.raises(ContractError, match="for 2 views"):
        ArrayPictures(_noise(4, 3, 8, 8, 3), ("head", "wrist"))


def test_an_array_gives_the_rows_of_a_view() -> None:
    images = _noise(5, 2, 8, 8, 3)
    source = ArrayPictures(images, ("head", "wrist"))
    assert source.count("wrist") == 5
    assert np.array_equal(source.pictures("wrist", np.array([3, 0])), images[[3, 0], 1])
