"""The details of the picture now, in a dream, where the dream says that nothing has changed.

A small autoencoder blurs. What it loses of the picture now is known, x - D(E(x)), and where a dream's own decoding
looks like that of the picture now, the same is missing:

    D(z') + w · (x - D(E(x)))      w = m · max(0, 1 - d / reach)

d is the greatest difference of D(z') and D(E(x)) in the pixels around, and m the mean of the second factor over the
view: a camera that moves sees hardly anything as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812 — its usual name
from torch import Tensor

_AROUND = 3  # pixels of a side


@dataclass(frozen=True)
class Details:
    """Of the views now; pictures are (B, V, 3, H, W) in [-1, 1]."""

    now: Tensor
    decoded: Tensor  # the same through the autoencoder
    reach: float  # in the same numbers

    def given_to(self, made: Tensor, view: int) -> Tensor:
        """(B, 3, H, W), decoded from a dream of this view."""
        before = self.decoded[:, view]
        change = F.max_pool2d((made - before).abs().amax(1, keepdim=True), _AROUND, stride=1, padding=_AROUND // 2)
        same = (1.0 - change / self.reach).clamp(min=0.0)  # (B, 1, H, W)
        weight = same * same.mean((-2, -1), keepdim=True)
        return (made + weight * (self.now[:, view] - before)).clamp(-1.0, 1.0)
