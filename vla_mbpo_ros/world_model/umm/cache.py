"""Keys and values of what a sequence has said so far. Nothing in it changes: growing makes a new one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vla_mbpo_ros.world_model.umm.layers import KeyValue


@dataclass(frozen=True)
class Cache:
    """Of B rows and P columns."""

    layers: list[KeyValue]  # (B, kv heads, P, head width), one pair a layer
    columns: Tensor  # (P,) which columns of the sequence they are

    def grown(self, more: Cache) -> Cache:
        """With the columns of `more` behind its own."""
        pairs = zip(self.layers, more.layers, strict=True)
        layers = [(torch.cat([a[0], b[0]], dim=2), torch.cat([a[1], b[1]], dim=2)) for a, b in pairs]
        return Cache(layers, torch.cat([self.columns, more.columns]))

    def first(self, rows: int) -> Cache:
        """Of the first rows only; nothing is copied."""
        return Cache([(keys[:rows], values[:rows]) for keys, values in self.layers], self.columns)
