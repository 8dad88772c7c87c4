"""What the messages of a bag say of their own timing: stamps, gaps, numbers. `report.py` judges it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.data.bags.reader import BagReader

CLOCK = "/clock"
_FRAME_INFO = "/msg/FrameInfo"  # carries the camera's own frame number
_Stamps = npt.NDArray[np.int64]


@dataclass
class Measured:
    """One topic."""

    type: str = ""  # empty: not in the bag
    stamps_ns: list[int] = field(default_factory=list)  # in the order of recording
    sequence: list[int] = field(default_factory=list)  # publisher's numbers; 0 if unknown
    frames: list[int] = field(default_factory=list)  # camera's numbers, FrameInfo only
    declared_lost: int = 0  # what the recorder said: it can tell several publishers apart

    @property
    def count(self) -> int:
        return len(self.stamps_ns)

    @cached_property
    def times_ns(self) -> _Stamps:
        """Each stamp once, sorted."""
        return np.unique(np.array(self.stamps_ns, dtype=np.int64))

    @property
    def hz(self) -> float:
        if len(self.times_ns) < 2:
            return 0.0
        return float((len(self.times_ns) - 1) / (self.times_ns[-1] - self.times_ns[0]) * 1e9)

    @property
    def largest_gap_s(self) -> float:
        return float(np.diff(self.times_ns).max() * 1e-9) if len(self.times_ns) > 1 else 0.0

    @property
    def largest_gap_at_ns(self) -> int:
        """Where the largest gap begins."""
        return int(self.times_ns[int(np.diff(self.times_ns).argmax())])

    @property
    def backwards(self) -> int:
        return int((np.diff(np.array(self.stamps_ns, dtype=np.int64)) < 0).sum())

    @property
    def lost(self) -> int:
        return max(_missing(self.frames), _missing(self.sequence), self.declared_lost)


@dataclass(frozen=True)
class Span:
    """What the topics that come at a rate cover together."""

    start_ns: int = 0
    end_ns: int = 0
    tick_s: float = 0.0  # period of the lock-step clock; 0 without one

    @classmethod
    def of(cls, measured: Sequence[Measured], clock: Measured | None = None) -> Span:
        present = [found.times_ns for found in measured if found.count]
        if not present:
            return cls()
        ticks = np.diff(clock.times_ns) if clock and clock.count > 1 else np.zeros(1)
        first, last = min(times[0] for times in present), max(times[-1] for times in present)
        return cls(int(first), int(last), float(np.median(ticks)) * 1e-9)

    def before_s(self, found: Measured) -> float:
        return float(found.times_ns[0] - self.start_ns) * 1e-9

    def after_s(self, found: Measured) -> float:
        return float(self.end_ns - found.times_ns[-1]) * 1e-9

    def allowed_gap_s(self, period_s: float, periods: float) -> float:
        """In lock-step all happens on ticks: a source of 10 Hz at 15 ticks/s comes after one or two."""
        whole = math.ceil(period_s / self.tick_s - 0.01) * self.tick_s if self.tick_s else 0.0
        return max(periods * period_s, whole * 1.01)


def measure(bag: BagReader, names: Collection[str]) -> dict[str, Measured]:
    """Everything known of the topics `names`, in one pass; a topic that is not in the bag has no type."""
    found = {name: Measured(bag.topics[name].type if name in bag.topics else "") for name in (*names, CLOCK)}
    for message in bag.messages([name for name in found if found[name].type]):
        entry, decoder = found[message.topic], bag.decoder(message.topic)
        stamp_ns = decoder.stamp_ns(message.data)
        entry.stamps_ns.append(message.log_ns if stamp_ns is None else stamp_ns)
        entry.sequence.append(message.sequence)
        if entry.type.endswith(_FRAME_INFO):
            entry.frames.append(int(decoder(message.data).frame_number))
    return found


def _missing(numbers: Sequence[int]) -> int:
    """How many are not there of numbers that count up.

    Several publishers on one topic, each with its own count, cannot be told apart here: then nothing is said.
    """
    steps = np.diff(np.array(numbers, dtype=np.int64))
    if not len(steps) or (steps < 0).any() or not any(numbers):
        return 0
    return int(np.maximum(steps - 1, 0).sum())
