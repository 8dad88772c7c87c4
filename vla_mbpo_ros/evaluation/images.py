"""How near an imagined picture comes to the true one. Pictures are (…, H, W, 3) uint8; a number for each.

    PSNR           10 log10(255² / mean squared error) [dB], at most CAP_DB: that of an error of 1/4 of one step in 256,
                   for equal pictures have none
    changed PSNR   the same over the pixels that differ by more than CHANGED between the picture before and the truth
    SSIM           each channel by itself, then the mean of the three. Gaussian window of 11x11 with sigma 1.5, K1 0.01,
                   K2 0.03, moments divided by N, only windows that lie wholly inside
    LPIPS          not computed: it needs trained weights that no package brings, and random ones say nothing

PSNR likes the mean of all futures: one that is blurred beats one that is sharp and a pixel aside. So it is told beside
where things are (`positions.py`) and what a judge says of the pictures (`confusion.py`), never alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import FloatArray, ImageArray

PEAK = 255.0
CAP_DB = float(10.0 * np.log10(PEAK**2 / 0.25**2))  # 60.17
CHANGED = 12  # steps of 256, in the channel that differs most: more than light and rounding do
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
BoolArray = npt.NDArray[np.bool_]


def psnr(truth: ImageArray, made: ImageArray) -> FloatArray:
    """(…,) dB"""
    _check(truth, made)
    return _decibel(_squares(truth, made).mean(axis=(-3, -2, -1)))


def changed(before: ImageArray, truth: ImageArray, threshold: int = CHANGED) -> BoolArray:
    """(…, H, W) where something happened."""
    _check(before, truth)
    return np.asarray(np.abs(before.astype(np.int16) - truth).max(axis=-1) > threshold)


def changed_psnr(before: ImageArray, truth: ImageArray, made: ImageArray, threshold: int = CHANGED) -> FloatArray:
    """(…,) dB over the pixels that changed; NaN where none did."""
    _check(truth, made)
    where = changed(before, truth, threshold)
    count = where.sum(axis=(-2, -1))
    total = (_squares(truth, made).mean(axis=-1) * where).sum(axis=(-2, -1))
    return np.where(count > 0, _decibel(total / np.maximum(count, 1)), np.nan)


def ssim(truth: ImageArray, made: ImageArray) -> FloatArray:
    """(…,) at most 1"""
    _check(truth, made)
    if min(truth.shape[-3:-1]) < WINDOW:
        cause = f"Pictures of {truth.shape[-3]}x{truth.shape[-2]} have no window of {WINDOW}x{WINDOW}."
        raise ContractError(cause, "Compare larger ones.")
    x, y = truth.astype(np.float64), made.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    both = _blur(x * y) - mean_x * mean_y
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    alike = (2.0 * mean_x * mean_y + c1) * (2.0 * both + c2)
    return np.asarray((alike / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean(axis=(-3, -2, -1)))


def _blur(x: FloatArray) -> FloatArray:
    """(…, H, W, 3) -> (…, H - 10, W - 10, 3), along one axis and then along the other."""
    places = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-0.5 * (places / SIGMA) ** 2)
    for axis in (-3, -2):
        windows = np.lib.stride_tricks.sliding_window_view(x, WINDOW, axis=axis)
        x = windows @ (weights / weights.sum())
    return x


def _squares(truth: ImageArray, made: ImageArray) -> FloatArray:
    return np.square(truth.astype(np.float64) - made)


def _decibel(error: FloatArray) -> FloatArray:
    """Of a mean squared error."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.minimum(10.0 * np.log10(PEAK**2 / np.asarray(error)), CAP_DB))


def _check(truth: ImageArray, made: ImageArray) -> None:
    if truth.shape != made.shape or truth.ndim < 3 or truth.shape[-1] != 3 or {truth.dtype, made.dtype} != {_BYTE}:
        cause = f"Pictures {truth.shape} {truth.dtype} and {made.shape} {made.dtype} cannot be compared."
        raise ContractError(cause, "Give two of (…, H, W, 3) uint8 that have the same shape.")


_BYTE = np.dtype(np.uint8)
