"""What a dream erases, makes up or puts aside is seen."""

from __future__ import annotations

import numpy as np
import pytest

from vla_mbpo_ros.evaluation.positions import GRIPPER
from vla_mbpo_ros.evaluation.world_model.dreaming import Rolled
from vla_mbpo_ros.evaluation.world_model.fidelity import fidelity
from vla_mbpo_ros.evaluation.world_model.held_out import HeldOut
from vla_mbpo_ros.evaluation.world_model.places import OBJECTS, Finder, place_rows, places
from vla_mbpo_ros.evaluation.world_model.slices import ARM_OUT, INTO_VIEW, LARGE_MOTION, slices

TABLE, RED, BLUE, DARK = (195, 180, 160), (200, 25, 20), (20, 55, 210), (16, 16, 18)


def picture(red: int | None = 20, blue: int | None = 44, tip: int = 32) -> np.ndarray:
    """Buttons in row 40 at these columns, a hand at another."""
    image = np.full((64, 64, 3), TABLE, np.uint8)
    image[10:30, tip - 1 : tip + 2] = DARK
    for column, color in ((red, RED), (blue, BLUE)):
        if column is not None:
            image[38:43, column - 2 : column + 3] = color
    return image


def rolled(first: list[np.ndarray], truth: list[np.ndarray], made: list[np.ndarray]) -> Rolled:
    """Windows of one chunk; both views are the same picture."""
    columns = [np.stack([np.stack([one, one]) for one in pictures]) for pictures in (first, truth, made)]
    count = len(truth)
    nothing = np.zeros((count, 1))
    return Rolled(
        ("head", "wrist"),
        columns[0],
        columns[1][:, None],
        columns[2][:, None],
        nothing,
        nothing > 1,
        nothing < 1,
        np.arange(count),
        ("buttons",) * count,
        0.0,
    )


def test_errors_are_in_pixels_and_losses_are_counted() -> None:
    truth = [picture(), picture(), picture(blue=None), picture(tip=36)]
    made = [picture(red=23), picture(red=None), picture(), picture()]
    found = place_rows(rolled(truth, truth, made), 0, 0, OBJECTS, Finder()).to_json()
    assert found["error_px"]["n"] == 6  # red in three of four, blue in three
    assert found["error_px"]["value"] == pytest.approx(3.0 / 6.0)
    assert found["lost"]["value"] == pytest.approx(1.0 / 7.0)  # the red button of the second
    assert found["made_up"] == 1  # the blue one of the third
    tips = place_rows(rolled(truth, truth, made), 0, 0, GRIPPER, Finder())
    assert tips.error.tolist() == [0.0, 0.0, 0.0, 4.0]


def test_the_gripper_is_looked_for_in_the_heads_view_alone() -> None:
    told = places(rolled([picture()], [picture()], [picture()]), Finder())
    assert set(told["head"]) == {GRIPPER, OBJECTS}
    assert set(told["wrist"]) == {OBJECTS}


def test_slices_hold_the_chunks_that_they_name(held: HeldOut) -> None:
    first = [picture(), picture(blue=None), picture(tip=2), *[picture()] * 7]
    truth = [picture(), picture(), picture(tip=2), *[picture()] * 6, picture(red=50, blue=9)]
    one = rolled(first, truth, first)
    told = slices(one, fidelity(one), held.journeys.take([0] * 10), Finder())
    assert told["head"][ARM_OUT]["psnr"]["n"] == 1
    assert told["wrist"][INTO_VIEW]["psnr"]["n"] == 1
    assert ARM_OUT not in told["wrist"]
    assert told["head"][LARGE_MOTION]["psnr"]["n"] == 1
    assert told["head"][LARGE_MOTION]["psnr"]["value"] < told["head"]["all chunks"]["psnr"]["value"]
