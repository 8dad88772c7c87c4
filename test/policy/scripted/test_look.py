from __future__ import annotations

import numpy as np
import pytest

from vla_mbpo_ros.policy.scripted.look import look
from vla_mbpo_ros.sim.tasks.pick_place import CUBE_HALF_M, PAD_THICK_M, places
from vla_mbpo_ros.sim.twin import Twin


@pytest.mark.parametrize(
    ("width", "height", "cube_mm", "pad_mm"), [(64, 64, 5, 9), (320, 240, 1.5, 4), (640, 480, 1, 4)]
)
def test_things_are_found_from_pixels_alone(twin: Twin, width: int, height: int, cube_mm: float, pad_mm: float) -> None:
    for seed in range(12):
        twin.reset(seed)
        sight = look(twin.render("head", width, height))
        assert sight.cube is not None
        assert sight.pad is not None
        where = places(seed)
        np.testing.assert_allclose(sight.cube, [*where.cube_xy, CUBE_HALF_M], atol=1e-3 * cube_mm)
        np.testing.assert_allclose(sight.pad, [*where.pad_xy, PAD_THICK_M], atol=1e-3 * pad_mm)


def test_a_red_cube_is_not_found_where_red_and_blue_are_swapped(twin: Twin) -> None:
    sight = look(twin.render("head", 64, 64)[..., ::-1])
    assert sight.cube is None
    assert sight.pad is not None


def test_nothing_is_found_in_an_empty_picture() -> None:
    for brightness in (0, 128, 255):
        sight = look(np.full((64, 64, 3), brightness, dtype=np.uint8))
        assert sight.cube is None
        assert sight.pad is None


def test_a_few_red_pixels_are_no_cube() -> None:
    image = np.full((64, 64, 3), 128, dtype=np.uint8)
    image[10, 10:13] = (200, 10, 10)
    assert look(image).cube is None
    image[10:14, 10:14] = (200, 10, 10)
    assert look(image).cube is not None
