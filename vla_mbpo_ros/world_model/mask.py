"""Who sees whom in a sequence.

    same sample  and  (not later, or in the same image)  and  not in another block that is being made

So images are whole in themselves, text is causal, and what is noise yet is seen by nobody but itself: the clean copy
behind it is what later blocks see. One forward pass therefore trains every view at once, each as if it were made
alone. Padding is seen by nobody; it sees itself, because a softmax over nothing is no number.

docs/world_model.md has the picture, drawn by `mask_picture.py`.
"""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.world_model.sequence import BoolArray, IntArray, Kind, Layout


def mask(layout: Layout, sample: IntArray | None = None) -> BoolArray:
    """(L, L), True where row may see column; `sample` (L,) numbers sequences that were laid end to end."""
    order = np.arange(len(layout))
    causal = order[None, :] <= order[:, None]
    same_block = layout.block[:, None] == layout.block[None, :]
    image = layout.kind != Kind.TEXT
    noise = layout.kind == Kind.NOISE
    allowed = (causal | (same_block & image[None, :])) & ~(noise[None, :] & ~same_block)
    allowed &= ~layout.padding[None, :]
    if sample is not None:
        if sample.shape != order.shape:
            raise ContractError(f"{len(sample)} sample numbers for {len(order)} tokens.", "Give one a token.")
        allowed &= sample[:, None] == sample[None, :]
    found: BoolArray = allowed | (layout.padding[:, None] & np.eye(len(order), dtype=np.bool_))
    return found
