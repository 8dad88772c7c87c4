"""What belongs together, live and offline: of each source the latest item at or before T, if not too old."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vla_mbpo_ros.errors import StaleError

KEEP = 32  # newest items of a source; more than any source sends between two observations


@dataclass
class _Source:
    max_age_ns: int
    stamps: deque[int] = field(default_factory=lambda: deque(maxlen=KEEP))
    items: deque[Any] = field(default_factory=lambda: deque(maxlen=KEEP))


class Aligner:
    """Collects items of named sources and picks one of each for a moment."""

    def __init__(self, max_age_s: Mapping[str, float]) -> None:
        self._sources = {name: _Source(round(age * 1e9)) for name, age in max_age_s.items()}

    def add(self, name: str, stamp_ns: int, item: Any) -> None:
        """An item older than the newest one of its source is dropped: time goes forward within a source."""
        source = self._sources[name]
        if source.stamps and stamp_ns < source.stamps[-1]:
            return
        source.stamps.append(stamp_ns)
        source.items.append(item)

    def newest_ns(self, name: str) -> int:
        """Stamp of the newest item; -1 if there is none."""
        stamps = self._sources[name].stamps
        return stamps[-1] if stamps else -1

    def at(self, time_ns: int) -> dict[str, tuple[int, Any]]:
        """Source -> (stamp, item). StaleError names the first source that has nothing fresh."""
        return {name: self._pick(name, source, time_ns) for name, source in self._sources.items()}

    def clear(self) -> None:
        for source in self._sources.values():
            source.stamps.clear()
            source.items.clear()

    def set_max_age(self, max_age_s: Mapping[str, float]) -> None:
        for name, age in max_age_s.items():
            self._sources[name].max_age_ns = round(age * 1e9)

    @staticmethod
    def _pick(name: str, source: _Source, time_ns: int) -> tuple[int, Any]:
        index = bisect_right(source.stamps, time_ns) - 1
        if index < 0:
            raise StaleError(f"No observation: nothing has come from '{name}'.", "Is its publisher up?")
        stamp_ns = source.stamps[index]
        if time_ns - stamp_ns > source.max_age_ns:
            raise StaleError(
                f"No observation: '{name}' is {(time_ns - stamp_ns) * 1e-9:.2f} s old, "
                f"{source.max_age_ns * 1e-9:.2f} s is the most.",
                "Is its publisher still up? Its age limit is a parameter.",
            )
        return stamp_ns, source.items[index]
