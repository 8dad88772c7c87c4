"""A batch of sequences of one form as tensors, and the pieces of it that go through the trunk.

Samples of a batch have the same blocks of the same lengths; their texts may differ, and some blocks may be padding
(`sequence.layout` with `dense`). A part is a stretch of columns, sorted by expert: understanding first.

    columns   0    1  2  3  4   5                     kept in the cache: 7 8
    expert    u    g  g  g  g   u       sorted   0 5 1 2 3 4      split = 2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.world_model.mask import mask
from vla_mbpo_ros.world_model.sequence import Layout


@dataclass(frozen=True)
class Part:
    """Some columns, ready for the trunk."""

    span: slice
    columns: Tensor  # (Q,) sorted by expert
    split: int  # so many of them are of the understanding expert
    back: Tensor  # (Q,) where each column of `span` stands among the sorted
    position: Tensor  # (B, Q) sorted
    mask: Tensor  # (B or 1, Q, P + Q) sorted; P are the columns in the cache
    ids: Tensor  # (B, Q) in the order of `span`; 0 where an image token stands

    def first(self, rows: int) -> Part:
        """Of the first rows only."""
        shared = len(self.mask) == 1
        seen = self.mask if shared else self.mask[:rows]
        return replace(self, position=self.position[:rows], mask=seen, ids=self.ids[:rows])


@dataclass(frozen=True)
class Rows:
    """B sequences of one form."""

    form: Layout  # of the first; what lies where is the same in all
    ids: Tensor  # (B, L)
    position: Tensor  # (B, L)
    mask: Tensor  # (B or 1, L, L); True where row may see column

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, span: slice, cached: Tensor | None = None) -> Part:
        """The columns of `span`, which also see the `cached` ones (P,)."""
        generation = torch.from_numpy(self.form.generation[span])
        order = torch.argsort(generation.int(), stable=True).to(self.ids.device)
        columns = order + span.start
        keys = columns if cached is None else torch.cat([cached, columns])
        return Part(
            span,
            columns,
            int((~generation).sum()),
            torch.argsort(order),
            self.position[:, columns],
            self.mask[:, columns][:, :, keys],
            self.ids[:, span],
        )

    def whole(self) -> Part:
        return self.part(slice(0, len(self.form)))


def rows(layouts: Sequence[Layout], device: torch.device | str = "cpu") -> Rows:
    """Layouts of one form as a batch."""
    first = layouts[0]
    for other in layouts[1:]:
        if other.starts != first.starts or not np.array_equal(other.kind, first.kind):
            cause = f"Sequences of {len(first)} and {len(other)} tokens, or of other blocks, are in one batch."
            raise ContractError(cause, "Give every text its room and keep dropped blocks (`dense`).")
    return Rows(
        first,
        torch.from_numpy(np.stack([one.ids for one in layouts]).clip(min=0)).to(device),
        torch.from_numpy(np.stack([one.position for one in layouts])).to(device),
        torch.from_numpy(_masks(layouts)).to(device),
    )


def _masks(layouts: Sequence[Layout]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """(B or 1, L, L). Only padding makes two masks of one form differ, so each padding is worked out once."""
    keys = [one.padding.tobytes() for one in layouts]
    made = {key: mask(one) for key, one in dict(zip(keys, layouts, strict=True)).items()}
    return np.stack([made[key] for key in (keys if len(made) > 1 else keys[:1])])
