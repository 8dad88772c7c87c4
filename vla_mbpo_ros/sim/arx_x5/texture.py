"""The wood of the table top, drawn once from a fixed seed: pictures are the same on every machine."""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.schema import FloatArray, ImageArray

_LIGHT = np.array([201.0, 176.0, 143.0])  # RGB; R/G and G/B stay near 1.2, far from a task's colours
_DARK = np.array([168.0, 140.0, 108.0])
_PLANKS = 6


def wood(size: int = 256) -> ImageArray:
    """(size, size, 3): planks along the columns, their grain along the planks."""
    random = np.random.default_rng(5)
    tone = np.repeat(random.uniform(0.15, 0.5, _PLANKS), -(-size // _PLANKS))[:size]
    shade = tone + 0.22 * _grain(random, size) + 0.05 * random.standard_normal((size, size))
    shade[:, np.arange(_PLANKS) * size // _PLANKS] += 0.6  # the joints between planks
    shade = np.clip(shade, 0.0, 1.0)[..., None]
    return (_LIGHT * (1.0 - shade) + _DARK * shade).astype(np.uint8)


def _grain(random: np.random.Generator, size: int) -> FloatArray:
    """(size, size) streaks: noise smoothed along the planks and left sharp across them."""
    noise = random.standard_normal((size, size))
    spectrum = np.fft.rfft(noise, axis=0)
    spectrum[size // 32 :] = 0.0  # nothing that changes faster than in an eighth of the table
    streaks = np.fft.irfft(spectrum, n=size, axis=0)
    return np.asarray(streaks / streaks.std())
