"""How near dreams come to what truly happened, by view and by how many chunks they are old."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_mbpo_ros.evaluation.estimates import Estimate, Groups, mean
from vla_mbpo_ros.evaluation.images import changed_psnr, psnr, ssim
from vla_mbpo_ros.evaluation.lpips import NOT_COMPUTED, Lpips
from vla_mbpo_ros.evaluation.world_model.dreaming import Rolled
from vla_mbpo_ros.schema import FloatArray

METRICS = ("psnr", "changed_psnr", "ssim", "lpips")


@dataclass(frozen=True)
class Fidelity:
    """Numbers of single pictures; changed pixels are those that differ from the window's first picture."""

    views: tuple[str, ...]
    by_metric: dict[str, FloatArray]  # metric -> (W, C, V)
    episode: Groups  # (W,)

    def of(self, metric: str, view: int, chunk: int | None = None) -> Estimate:
        """Over all windows, of one chunk or of all together."""
        values = self.by_metric[metric][:, :, view]
        chosen = values if chunk is None else values[:, chunk : chunk + 1]
        return mean(chosen.ravel(), np.repeat(self.episode, chosen.shape[1]))

    def to_json(self) -> dict[str, Any]:
        """View -> metric -> all chunks together, and each."""
        return {name: {metric: self._told(metric, view) for metric in METRICS} for view, name in enumerate(self.views)}

    def _told(self, metric: str, view: int) -> Any:
        if metric not in self.by_metric:
            return NOT_COMPUTED
        chunks = self.by_metric[metric].shape[1]
        each = [self.of(metric, view, chunk).to_json() for chunk in range(chunks)]
        return {"all": self.of(metric, view).to_json(), "by_chunk": each}


def fidelity(rolled: Rolled, lpips: Lpips | None = None) -> Fidelity:
    """`lpips` only where its weights are at hand."""
    pairs = [(rolled.truth[:, chunk], rolled.made[:, chunk]) for chunk in range(rolled.chunks)]
    found = {
        "psnr": [psnr(*pair) for pair in pairs],
        "changed_psnr": [changed_psnr(rolled.first, *pair) for pair in pairs],
        "ssim": [ssim(*pair) for pair in pairs],
    }
    if lpips is not None:
        found["lpips"] = [lpips(*pair) for pair in pairs]
    return Fidelity(rolled.views, {name: np.stack(values, axis=1) for name, values in found.items()}, rolled.episode)
