from __future__ import annotations

import math

import numpy as np
import pytest

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.evaluation.dreams import Check, Dream, DreamLog, Errors, as_seen, compare
from vla_mbpo_ros.evaluation.images import CAP_DB, psnr

SIDE = 16


def flat(value: int, side: int = SIDE) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def dream(*values: int, before: int = 100, success: tuple[float, ...] = (), number: int = 0) -> Dream:
    """A sample of one chunk and one view for each value."""
    judged = np.array([[p] for p in success or [math.nan] * len(values)])
    imagined = tuple(({"head": flat(value)},) for value in values)
    return Dream("chunk", 10**9, 5 * 10**8, {"head": flat(before)}, imagined, judged, "model-1", number=number)


def errors(psnr_db: float, changed_db: float = math.nan) -> Check:
    return Check({"head": Errors(psnr_db, 0.5, changed_db)}, {})


def test_a_dream_that_came_true_has_no_error_and_one_where_nothing_changed_says_so() -> None:
    told = compare(dream(140), {"head": flat(140)}).errors["head"]
    assert (told.psnr, told.ssim, told.changed_psnr) == (CAP_DB, 1.0, CAP_DB)
    still = compare(dream(100), {"head": flat(100)}).errors["head"]
    assert still.psnr == CAP_DB
    assert math.isnan(still.changed_psnr)


def test_the_error_is_the_mean_over_the_samples() -> None:
    told = compare(dream(140, 150), {"head": flat(160)}).errors["head"]
    expected = np.mean([psnr(flat(160), flat(value)) for value in (140, 150)])
    assert told.psnr == pytest.approx(expected)
    assert told.changed_psnr == pytest.approx(expected)  # all pixels changed


def test_success_is_the_mean_of_the_samples_that_are_judged() -> None:
    assert dream(1, 2, 3, success=(0.2, math.nan, 0.4)).last_success == pytest.approx(0.3)
    assert math.isnan(dream(1, 2).last_success)


def test_samples_of_different_lengths_are_refused() -> None:
    picture = {"head": flat(1)}
    with pytest.raises(ContractError, match="as many chunks for every sample"):
        Dream("chunk", 0, 1, picture, ((picture,), (picture, picture)), np.zeros((2, 1)), "model-1")
    with pytest.raises(ContractError, match=r"judged \(1, 2\)"):
        Dream("chunk", 0, 1, picture, ((picture,),), np.zeros((1, 2)), "model-1")


def test_a_log_numbers_its_dreams_and_keeps_the_last() -> None:
    log = DreamLog(compared=4, kept=2)
    assert log.newest is None
    assert [log.add(dream(value)).number for value in (1, 2, 3)] == [1, 2, 3]
    assert [kept.number for kept in log.dreams] == [2, 3]
    log.clear()
    assert (log.newest, log.add(dream(4)).number) == (None, 4)


def test_the_mean_is_of_the_last_comparisons_and_outlives_the_dreams() -> None:
    log = DreamLog(compared=2)
    assert (log.last(), log.means()) == ({}, {})
    first, second, third = (log.add(dream(value)) for value in (1, 2, 3))
    log.close(first.number, errors(10.0))
    closed = log.close(second.number, errors(20.0, 5.0))
    assert closed is not None
    assert closed.check == log.dreams[1].check == errors(20.0, 5.0)
    log.clear()
    assert log.close(third.number, errors(30.0)) is None  # forgotten, and its errors count all the same
    assert log.last()["head"].psnr == 30.0
    mean = log.means()["head"]
    assert (mean.psnr, mean.changed_psnr) == (25.0, 5.0)


def test_what_was_not_compared_is_counted_with_its_reason() -> None:
    log = DreamLog(compared=2)
    number = log.add(dream(1)).number
    log.close(number, Check({}, {}, "The arm left the way."))
    assert (log.outcomes["not compared"], log.why_not, log.means()) == (1, "The arm left the way.", {})
    log.close(log.add(dream(1)).number, errors(1.0))
    assert (log.outcomes["compared"], log.why_not) == (1, "The arm left the way.")


def test_a_camera_image_is_brought_to_the_size_of_the_model() -> None:
    image = flat(7)
    assert as_seen(image, flat(0)) is image
    pytest.importorskip("torch", reason="torch is not installed")
    assert as_seen(image, flat(0, 8)).shape == (8, 8, 3)
