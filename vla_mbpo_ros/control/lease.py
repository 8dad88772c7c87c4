"""Who may command the arm: one source at a time."""

from __future__ import annotations

from collections.abc import Sequence

NOBODY = ""


class Lease:
    """An earlier name in `sources` overrides a later one. Silence for `length_ns` loses the lease.

    asked by    nobody holds   it holds it   a lower one holds   a higher one holds
    answer      takes it       renews it     takes it            refused
    """

    def __init__(self, sources: Sequence[str], length_ns: int) -> None:
        self.sources = tuple(sources)
        self.length_ns = length_ns
        self._holder = NOBODY
        self._since_ns = 0  # last time that the holder asked

    @property
    def holder(self) -> str:
        return self._holder

    def free_for(self, source: str) -> bool:
        """Whether `take` would succeed."""
        if source not in self.sources:
            return False
        return self._holder == NOBODY or self._rank(source) <= self._rank(self._holder)

    def take(self, source: str, now_ns: int) -> bool:
        if not self.free_for(source):
            return False
        self._holder, self._since_ns = source, now_ns
        return True

    def expire(self, now_ns: int) -> str:
        """Take the lease from a silent holder; its name, or "" if nothing changed."""
        if self._holder == NOBODY or now_ns - self._since_ns <= self.length_ns:
            return NOBODY
        return self.release()

    def release(self) -> str:
        """Who held it."""
        holder, self._holder = self._holder, NOBODY
        return holder

    def _rank(self, source: str) -> int:
        return self.sources.index(source)
