from __future__ import annotations

import math

import numpy as np
import pytest

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.evaluation.confusion import Confusion
from vla_mbpo_ros.evaluation.images import CAP_DB, changed, changed_psnr, psnr, ssim


def _noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def _flat(value: int, side: int = 16) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def test_an_error_of_ten_steps_everywhere_is_28_decibel() -> None:
    assert psnr(_flat(100), _flat(110)) == pytest.approx(20.0 * math.log10(25.5))


def test_equal_pictures_get_the_cap_and_the_average_is_over_pictures() -> None:
    truth = np.stack([_flat(100), _flat(100)])
    made = np.stack([_flat(100), _flat(110)])
    assert psnr(truth, made).tolist() == pytest.approx([CAP_DB, 28.1308], abs=1e-4)
    assert pytest.approx(20.0 * math.log10(255.0 / 0.25)) == CAP_DB


def test_only_pixels_that_changed_count() -> None:
    before, truth, made = _flat(50), _flat(50), _flat(200)  # all is wrong but the changed square, which is off by 10
    truth[4:8, 4:8, 1] = 90
    made[4:8, 4:8] = truth[4:8, 4:8]
    made[4:8, 4:8, 0] += 10
    assert changed(before, truth).sum() == 16
    assert changed_psnr(before, truth, made) == pytest.approx(10.0 * math.log10(255.0**2 / (100.0 / 3.0)))
    assert np.isnan(changed_psnr(before, before, made))
    assert changed_psnr(before, truth, truth) == CAP_DB


def test_ssim_of_two_flat_pictures_is_that_of_their_brightness() -> None:
    c1 = (0.01 * 255.0) ** 2
    expected = (2.0 * 100.0 * 150.0 + c1) / (100.0**2 + 150.0**2 + c1)
    assert ssim(_flat(100), _flat(150)) == pytest.approx(expected)


def test_ssim_is_1_for_the_same_near_0_for_another_and_negative_for_the_opposite() -> None:
    picture = _noise(32, 32, 3)
    assert ssim(picture, picture) == pytest.approx(1.0)
    assert abs(float(ssim(picture, _noise(32, 32, 3, seed=1)))) < 0.05
    assert float(ssim(picture, 255 - picture)) < -0.5


def test_ssim_by_hand_in_the_one_window_of_an_11x11_picture() -> None:
    x, y = _noise(11, 11, 3), _noise(11, 11, 3, seed=1)
    grid = np.exp(-(np.arange(-5, 6) ** 2) / (2.0 * 1.5**2))
    window = np.outer(grid, grid) / np.outer(grid, grid).sum()
    told = []
    for channel in range(3):
        a, b = x[..., channel].astype(float), y[..., channel].astype(float)
        ma, mb = (window * a).sum(), (window * b).sum()
        va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
        cov = (window * (a - ma) * (b - mb)).sum()
        c1, c2 = 2.55**2, 7.65**2
        told.append((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    assert ssim(x, y) == pytest.approx(np.mean(told))


def test_a_batch_is_its_pictures_one_by_one() -> None:
    x, y = _noise(2, 3, 16, 20, 3), _noise(2, 3, 16, 20, 3, seed=1)
    for metric in (psnr, ssim):
        one_by_one = [[float(metric(a, b)) for a, b in zip(r, s, strict=True)] for r, s in zip(x, y, strict=True)]
        assert np.allclose(metric(x, y), one_by_one)


def test_pictures_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ContractError, match="cannot be compared"):
        psnr(_flat(1), _flat(1, side=8))
    with pytest.raises(ContractError, match="cannot be compared"):
        psnr(_flat(1).astype(np.float32), _flat(1))
    with pytest.raises(ContractError, match="11x11"):
        ssim(_flat(1, side=10), _flat(1, side=10))


def test_the_confusion_of_ten_judgements() -> None:
    said = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    true = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0], dtype=bool)
    table = Confusion.count(said, true)
    assert (table.hits, table.false_alarms, table.missed, table.correct_no) == (3, 1, 2, 4)
    assert table.accuracy.share == pytest.approx(0.7)
    assert table.precision.share == pytest.approx(0.75)
    assert table.recall.share == pytest.approx(0.6)
    assert table.f1 == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))
    low, high = table.f1_interval
    assert 0.0 < low < table.f1 < high < 1.0
    assert table.to_json()["recall_interval"] == list(table.recall.interval)
    assert "3 hits, 1 false alarms" in str(table)


def test_f1_is_nan_and_its_interval_everything_when_nothing_ever_succeeds() -> None:
    table = Confusion.count(np.zeros(5, bool), np.zeros(5, bool))
    assert math.isnan(table.f1)
    assert table.f1_interval == (0.0, 1.0)
    assert table.accuracy.share == 1.0
    with pytest.raises(ContractError, match="one for each"):
        Confusion.count(np.zeros(5, bool), np.zeros(4, bool))
