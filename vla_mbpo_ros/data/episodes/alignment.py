"""What belongs together. One resampler for live nodes and for bags.

Aligner           for one moment T, of each source the item that stands for it
    latest        at or before T, refused when it is too old                    (the default)
    nearest       before or after T; after it by a stated delay at most, so that a live node, which asks
                  for `now - delay`, and a bag, which holds the future too, pick the same item

                  T - max age          T      T + delay
    ──────x──────────┼───────x─────────┼──x──────┼─────x────>
                             latest       nearest      not here yet, for a live node

ApproximateTime   sources without a common clock tick: sets of one item each whose stamps lie within a slop
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vla_mbpo_ros.errors import ConfigError, StaleError

KEEP = 32  # newest items of a source; more than any source sends between two observations
_NS = 1e9


@dataclass
class _Source:
    max_age_ns: int
    delay_ns: int | None = None  # None: latest; otherwise nearest
    stamps: list[int] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)

    def index_at(self, time_ns: int) -> int:
        """Of the item that stands for this moment, whatever its age; -1 if there is none."""
        if self.delay_ns is None:
            return bisect_right(self.stamps, time_ns) - 1
        after = bisect_right(self.stamps, time_ns + self.delay_ns)
        near = bisect_left(self.stamps, time_ns, 0, after)
        if near == after or (near and time_ns - self.stamps[near - 1] <= self.stamps[near] - time_ns):
            return near - 1  # of two that are equally near, the earlier
        return near

    def index_of(self, stamp_ns: int) -> int:
        index = bisect_left(self.stamps, stamp_ns)
        return index if index < len(self.stamps) and self.stamps[index] == stamp_ns else -1


class Aligner:
    """Collects items of named sources and picks one of each for a moment.

    `nearest` maps the sources that are picked by distance to their delay. `keep` bounds the memory of a node;
    None keeps everything, for a bag.
    """

    def __init__(
        self, max_age_s: Mapping[str, float], nearest: Mapping[str, float] | None = None, keep: int | None = KEEP
    ) -> None:
        delays = {name: round(delay * _NS) for name, delay in (nearest or {}).items()}
        self._sources = {name: _Source(round(age * _NS), delays.get(name)) for name, age in max_age_s.items()}
        self._keep = keep
        self.dropped: Counter[str] = Counter()  # source -> items whose stamp was not newer than the one before

    def add(self, name: str, stamp_ns: int, item: Any) -> bool:
        """False for an item that is not newer than the newest of its source: time goes forward within a source."""
        source = self._sources[name]
        if source.stamps and stamp_ns <= source.stamps[-1]:
            self.dropped[name] += 1
            return False
        source.stamps.append(stamp_ns)
        source.items.append(item)
        if self._keep and len(source.stamps) > self._keep:
            del source.stamps[: -self._keep], source.items[: -self._keep]
        return True

    def newest_ns(self, name: str) -> int:
        """Stamp of the newest item; -1 if there is none."""
        stamps = self._sources[name].stamps
        return stamps[-1] if stamps else -1

    def at(self, time_ns: int) -> dict[str, tuple[int, Any]]:
        """Source -> (stamp, item). StaleError names the first source that has nothing fresh."""
        return {name: self.pick(name, time_ns) for name in self._sources}

    def pick(self, name: str, time_ns: int) -> tuple[int, Any]:
        """(stamp, item) of one source; StaleError if it has nothing fresh."""
        source = self._sources[name]
        index = source.index_at(time_ns)
        if index < 0:
            raise StaleError(f"No observation: nothing has come from '{name}'.", "Is its publisher up?")
        age_ns = abs(time_ns - source.stamps[index])
        if age_ns > source.max_age_ns:
            raise StaleError(
                f"No observation: '{name}' is {age_ns / _NS:.2f} s old, {source.max_age_ns / _NS:.2f} s is the most.",
                "Is its publisher still up? Its age limit is a parameter.",
            )
        return source.stamps[index], source.items[index]

    def exactly(self, stamps_ns: Mapping[str, int]) -> dict[str, tuple[int, Any]]:
        """The very items with these stamps. StaleError names the first that is not here (any more)."""
        return {name: (stamp_ns, self._item(name, stamp_ns)) for name, stamp_ns in stamps_ns.items()}

    def _item(self, name: str, stamp_ns: int) -> Any:
        index = self._sources[name].index_of(stamp_ns) if name in self._sources else -1
        if index < 0:
            raise StaleError(
                f"No observation: nothing of '{name}' is stamped {stamp_ns} ns.", "Was it recorded, and kept for long?"
            )
        return self._sources[name].items[index]

    def clear(self) -> None:
        for source in self._sources.values():
            source.stamps.clear()
            source.items.clear()

    def set_max_age(self, max_age_s: Mapping[str, float]) -> None:
        for name, age in max_age_s.items():
            self._sources[name].max_age_ns = round(age * _NS)


Set = dict[str, tuple[int, Any]]  # source -> (stamp, item)


class ApproximateTime:
    """Sets of one item of each source whose stamps lie within a slop.

    Every item is in one set at most, and within a source sets go forward in time: what is older than a used
    item is forgotten. Of all sets that an arriving item completes, the one that lies closest together counts.
    """

    def __init__(self, names: Sequence[str], slop_s: float, keep: int = KEEP) -> None:
        if not names or slop_s < 0.0 or keep < 1:
            raise ConfigError(
                f"Sets of {len(names)} sources within {slop_s} s, of {keep} items each, cannot be found.",
                "Name a source or more, a slop of 0 s or more, and 1 item or more.",
            )
        self._slop_ns, self._keep = round(slop_s * _NS), keep
        self._waiting: dict[str, list[tuple[int, Any]]] = {name: [] for name in names}
        self._used_ns: dict[str, int] = {}  # source -> stamp of the item that was used last

    def add(self, name: str, stamp_ns: int, item: Any) -> Set | None:
        """The set that this item completes, if any."""
        waiting = self._waiting[name]
        if stamp_ns < self._used_ns.get(name, stamp_ns):
            return None
        waiting.insert(bisect_right([stamp for stamp, _ in waiting], stamp_ns), (stamp_ns, item))
        found = self._closest(name, stamp_ns, item)
        if found is not None:
            self._forget(found)
        del waiting[: -self._keep]
        return found

    def _closest(self, name: str, stamp_ns: int, item: Any) -> Set | None:
        sets = [chosen for start in self._starts(stamp_ns) if (chosen := self._from(start, name, stamp_ns, item))]
        return min(sets, key=_span, default=None)

    def _starts(self, stamp_ns: int) -> Iterator[int]:
        """Every stamp that may be the earliest of a set with this one in it, rising."""
        stamps = {stamp for waiting in self._waiting.values() for stamp, _ in waiting}
        return iter(sorted(stamp for stamp in stamps if stamp_ns - self._slop_ns <= stamp <= stamp_ns))

    def _from(self, start_ns: int, name: str, stamp_ns: int, item: Any) -> Set | None:
        """Of each source the first item at or after the start; None if one has none within the slop."""
        chosen: Set = {}
        for other, waiting in self._waiting.items():
            later = ((stamp, entry) for stamp, entry in waiting if stamp >= start_ns)
            first = (stamp_ns, item) if other == name else next(later, None)
            if first is None or first[0] - start_ns > self._slop_ns:
                return None
            chosen[other] = first
        return chosen

    def _forget(self, used: Set) -> None:
        for name, (stamp_ns, item) in used.items():
            waiting, self._used_ns[name] = self._waiting[name], stamp_ns
            at = next(index for index, entry in enumerate(waiting) if entry[0] == stamp_ns and entry[1] is item)
            del waiting[: at + 1]


def _span(found: Set) -> int:
    stamps = [stamp for stamp, _ in found.values()]
    return max(stamps) - min(stamps)
