"""Statistics as LeRobot keeps them: of each episode, and of all.

Those of vectors are exact for an episode. Those of images are over some frames and pixels, scaled to [0, 1], of the
shape (3, 1, 1). Over episodes, mean and standard deviation are pooled; quantiles are the mean of the episodes' own,
weighted by their length, as LeRobot itself does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.schema import ImageArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
Stats = dict[str, npt.NDArray[np.float64]]  # "min", "max", "mean", "std", "count" and the quantiles
SAMPLED_FRAMES = 100  # of an episode
_SAMPLED_SIDE = 150  # pixels; larger images are thinned out


def vector_stats(values: npt.NDArray[np.generic]) -> Stats:
    """Of (N,) or (N, D) numbers, over N."""
    rows = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    found: Stats = {"min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0)}
    found["count"] = np.array([len(rows)], dtype=np.float64)
    found.update({name: np.quantile(rows, share, axis=0) for name, share in QUANTILES.items()})
    return found


class ImageStats:
    """Collects some frames of one camera."""

    def __init__(self, frames: int) -> None:
        """`frames` will come."""
        count = min(frames, SAMPLED_FRAMES)
        self._wanted = set(np.linspace(0, frames - 1, count).round().astype(int).tolist())
        self._pixels: list[ImageArray] = []

    def add(self, index: int, image: ImageArray) -> None:
        if index in self._wanted:
            step = max(1, min(image.shape[:2]) // _SAMPLED_SIDE)
            self._pixels.append(image[::step, ::step].reshape(-1, 3))

    def result(self) -> Stats:
        """By a histogram: pixels have only 256 values."""
        pixels = np.concatenate(self._pixels)
        counts = np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(3)])  # (3, 256)
        levels, total = np.arange(256) / 255.0, len(pixels)
        mean = counts @ levels / total
        found: Stats = {"mean": mean, "std": np.sqrt(np.maximum(counts @ levels**2 / total - mean**2, 0.0))}
        reached = counts.cumsum(axis=1)
        found["min"] = levels[(reached > 0).argmax(axis=1)]
        found["max"] = levels[(reached == total).argmax(axis=1)]
        found.update({name: levels[(reached >= share * total).argmax(axis=1)] for name, share in QUANTILES.items()})
        found = {name: value.reshape(3, 1, 1) for name, value in found.items()}
        found["count"] = np.array([len(self._pixels)], dtype=np.float64)
        return found


def pool(parts: Sequence[Stats]) -> Stats:
    """Over several episodes."""
    counts = np.array([part["count"][0] for part in parts])
    weights = counts / counts.sum()

    def weighted(name: str) -> npt.NDArray[np.float64]:
        return np.asarray(np.tensordot(weights, np.stack([part[name] for part in parts]), axes=1), dtype=np.float64)

    mean = weighted("mean")
    squares = np.stack([part["std"] ** 2 + (part["mean"] - mean) ** 2 for part in parts])
    found: Stats = {"min": np.min([part["min"] for part in parts], axis=0)}
    found["max"] = np.max([part["max"] for part in parts], axis=0)
    found["mean"], found["std"] = mean, np.sqrt(np.tensordot(weights, squares, axes=1))
    found["count"] = np.array([counts.sum()])
    return {**found, **{name: weighted(name) for name in QUANTILES}}


def as_lists(stats: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, list[object]]:
    """For JSON and parquet; counts are whole."""
    whole = {name: value.astype(np.int64) if name == "count" else value for name, value in stats.items()}
    return {name: value.tolist() for name, value in whole.items()}
