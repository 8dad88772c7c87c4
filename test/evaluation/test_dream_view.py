"""The mark is in the pixels, whatever the size; what the cameras saw has none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from vla_mbpo_ros.evaluation.dream_view import (
    GAP,
    HEAD,
    LABELS,
    MARK,
    SHOWN,
    TITLES,
    WIDEST,
    draw_nothing,
    draw_picture,
    draw_strip,
    error_facts,
    success_colour,
)
from vla_mbpo_ros.evaluation.dreams import Check, Dream, Errors
from vla_mbpo_ros.schema import ImageArray

NOW, CAME = 90, 200
SIDE = 64


def flat(value: int, height: int = 16, width: int = 16) -> ImageArray:
    return np.full((height, width, 3), value, np.uint8)


def dream(samples: int = 1, chunks: int = 1, views: tuple[str, ...] = ("head", "left_wrist")) -> Dream:
    imagined = tuple(
        tuple({view: flat(120 + 2 * sample + chunk) for view in views} for chunk in range(chunks))
        for sample in range(samples)
    )
    success = np.full((samples, chunks), 0.5)
    return Dream("chunk", 10**9, 5 * 10**8, {view: flat(NOW) for view in views}, imagined, success, "model-1")


def marked(image: ImageArray) -> int:
    """Pixels in the colour of the mark."""
    return int((image == MARK).all(axis=-1).sum())


def column(strip: ImageArray, left: int) -> ImageArray:
    return strip[HEAD + TITLES : HEAD + TITLES + SIDE, left : left + SIDE]


def test_now_stands_beside_what_is_imagined_which_alone_is_marked() -> None:
    strip = draw_strip(dream(chunks=2), side=SIDE)
    assert marked(strip[:HEAD]) > 0.5 * strip.shape[1] * (HEAD - 4)
    now = column(strip, LABELS)
    assert (now == NOW).all()
    first = column(strip, LABELS + SIDE + GAP + 10)
    assert first[SIDE // 2, SIDE // 2].tolist() == [120] * 3
    assert marked(first[-10:]) > 0.5 * 10 * SIDE  # the ribbon
    assert (first[0] == MARK).all()  # the frame
    assert (first[:, 0] == MARK).all()


def test_samples_stand_side_by_side_and_what_came_last() -> None:
    one, four = (draw_strip(dream(samples=count), side=SIDE) for count in (1, 4))
    assert four.shape[1] > one.shape[1]
    errors = {view: Errors(20.0, 0.9, math.nan) for view in ("head", "left_wrist")}
    truth = {view: flat(CAME) for view in errors}
    checked = draw_strip(replace(dream(samples=4), check=Check(errors, truth)), side=SIDE)
    came = column(checked, checked.shape[1] - SIDE - GAP)
    assert (came == CAME).all()
    strayed = draw_strip(replace(dream(), check=Check({}, {}, "The arm left the way. " * 9)), side=SIDE)
    assert strayed.shape[1] == one.shape[1]
    assert strayed.shape[0] > one.shape[0]  # the reason takes more lines


def test_a_strip_of_many_is_not_wider_than_a_screen() -> None:
    assert draw_strip(dream(samples=16, chunks=2)).shape[1] <= WIDEST


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (240, 320), (480, 640)])
def test_a_single_picture_is_large_enough_for_its_mark(size: tuple[int, int]) -> None:
    raw = flat(120, *size)
    shown = draw_picture(raw, math.nan, "a-model-with-a-very-long-version-that-does-not-fit-into-the-ribbon-0123456789")
    assert shown.shape[1] >= SHOWN
    assert shown.shape[0] * size[1] == shown.shape[1] * size[0]  # nothing is stretched
    assert marked(shown[-12:]) > 0.5 * 12 * shown.shape[1]
    assert (shown[shown.shape[0] // 2, shown.shape[1] // 2] == 120).all()


@pytest.mark.parametrize("size", [(1, 1), (16, 300)])
def test_also_a_tiny_and_a_very_low_picture_are_marked(size: tuple[int, int]) -> None:
    assert marked(draw_picture(flat(120, *size), math.nan, "model-1")) > 0


def test_the_mark_tells_the_probability_and_the_model() -> None:
    texts = {draw_picture(flat(1), p, v)[-14:].tobytes() for p in (0.1, 0.9, math.nan) for v in ("a-1", "b-2")}
    assert len(texts) == 6
    assert marked(draw_nothing()) == 0


def test_errors_are_told_with_their_mean() -> None:
    facts = error_facts(Errors(20.0, 0.9, math.nan), Errors(21.5, 0.8, 12.0))
    assert list(facts.values()) == ["20.00, 21.50", "0.9000, 0.8000", "nothing changed, 12.00"]


def test_success_is_green_failure_red_and_what_is_not_judged_grey() -> None:
    red, green, grey = (success_colour(p) for p in (0.0, 1.0, math.nan))
    assert red[0] > 0.5 > red[1]
    assert green[1] > 0.5 > green[0]
    assert len(set(grey)) == 1
