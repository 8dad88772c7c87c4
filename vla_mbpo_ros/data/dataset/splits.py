"""Which split an episode belongs to. By a hash of its id: more episodes never move those that are there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_BYTES = 8


def split_of(episode_id: str, shares: Mapping[str, float]) -> str:
    """The name of its split; `shares` add up to 1."""
    place = int.from_bytes(hashlib.sha256(episode_id.encode()).digest()[:_BYTES], "big") / 2.0 ** (8 * _BYTES)
    reached = 0.0
    for name, share in shares.items():
        reached += share
        if place < reached:
            return name
    return next(name for name in reversed(list(shares)) if shares[name] > 0.0)  # the sum may round to just below 1
