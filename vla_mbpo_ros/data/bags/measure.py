"""What the messages of a bag say of themselves: stamps, numbers, pictures, content. `report.py` judges it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.data.bags.bag import Bag, BagMessage
from vla_mbpo_ros.data.bags.clocks import Jump, find_jumps, other_epoch_s
from vla_mbpo_ros.data.bags.content import FRAME_INFO, PICTURES, Check, Troubles, every
from vla_mbpo_ros.data.bags.decode import Decoder
from vla_mbpo_ros.data.bags.frozen import Pictures
from vla_mbpo_ros.errors import BagError, VlaMbpoError

CLOCK = "/clock"
_NS = 1e9
_Stamps = npt.NDArray[np.int64]


@dataclass
class Measured:
    """One topic."""

    type: str = ""  # empty: not in the bag
    stamps_ns: list[int] = field(default_factory=list)  # in the order of recording
    log_ns: list[int] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)  # publisher's numbers; 0 if unknown
    frames: list[int] = field(default_factory=list)  # camera's numbers, FrameInfo only
    declared_lost: int = 0  # what the recorder said: it can tell several publishers apart
    stamped: bool = False  # the type has a time in front
    unknown: str = ""  # why nothing inside its messages can be read
    troubles: Troubles = field(default_factory=Troubles)
    pictures: Pictures = field(default_factory=Pictures)  # of cameras
    is_numbered: bool = True  # False where the sequence numbers are the recorder's, one count over all topics

    @property
    def count(self) -> int:
        return len(self.stamps_ns)

    @cached_property
    def jumps(self) -> tuple[Jump, ...]:
        return find_jumps(self.stamps_ns, self.log_ns) if self.stamped else ()

    @cached_property
    def other_epoch_s(self) -> float:
        return other_epoch_s(self.stamps_ns, self.log_ns) if self.stamped else 0.0

    @cached_property
    def times_ns(self) -> _Stamps:
        """Each time once, sorted: the stamps, or the bag's own times where the sender's clock cannot be trusted."""
        times = self.log_ns if self.jumps or self.other_epoch_s else self.stamps_ns
        return np.unique(np.array(times, dtype=np.int64))

    @property
    def hz(self) -> float:
        if len(self.times_ns) < 2:
            return 0.0
        return float((len(self.times_ns) - 1) / (self.times_ns[-1] - self.times_ns[0]) * _NS)

    @property
    def largest_gap_s(self) -> float:
        return float(np.diff(self.times_ns).max() / _NS) if len(self.times_ns) > 1 else 0.0

    @property
    def largest_gap_at_ns(self) -> int:
        """Where the largest gap begins, in the bag's own time."""
        begins_ns = int(self.times_ns[int(np.diff(self.times_ns).argmax())])
        if self.jumps or self.other_epoch_s:
            return begins_ns
        return self.log_ns[self.stamps_ns.index(begins_ns)]

    @property
    def backwards(self) -> list[int]:
        """Places whose stamp is before that of their neighbour; jumps of the clock are told apart."""
        steps = np.diff(np.array(self.stamps_ns, dtype=np.int64))
        known = {jump.index for jump in self.jumps}
        return [place for place in (np.flatnonzero(steps < 0) + 1).tolist() if place not in known]

    @property
    def lost(self) -> int:
        return max(_missing(self.frames), _missing(self._numbers), self.declared_lost)

    @property
    def lost_at_ns(self) -> int | None:
        """Where the first of them should be, in the bag's own time; None if only the recorder knows."""
        for numbers in (self.frames, self._numbers):
            if _missing(numbers):
                return self.log_ns[int(np.flatnonzero(np.diff(np.array(numbers, dtype=np.int64)) > 1)[0])]
        return None

    @property
    def _numbers(self) -> list[int]:
        return self.sequence if self.is_numbered else []


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
        return cls(int(first), int(last), float(np.median(ticks)) / _NS if len(ticks) else 0.0)

    def before_s(self, found: Measured) -> float:
        return float(found.times_ns[0] - self.start_ns) / _NS

    def after_s(self, found: Measured) -> float:
        return float(self.end_ns - found.times_ns[-1]) / _NS

    def allowed_gap_s(self, period_s: float, periods: float) -> float:
        """In lock-step all happens on ticks: a source of 10 Hz at 15 ticks/s comes after one or two."""
        whole = math.ceil(period_s / self.tick_s - 0.01) * self.tick_s if self.tick_s else 0.0
        return max(periods * period_s, whole * 1.01)


@dataclass(frozen=True)
class Measurement:
    """A whole bag."""

    topics: Mapping[str, Measured]  # those in the bag, and those that were asked for
    broken: str = ""  # why it could not be read to its end


def measure(
    bag: Bag,
    names: Collection[str],
    check_for: Callable[[str, str], Check],
    watch: Callable[[int], None] = lambda size: None,
) -> Measurement:
    """Everything known of all topics, in one pass. `names` are in the result even if they are not in the bag.

    `check_for(name, type)` gives what looks into the messages of a topic; `watch` is told of bytes read.
    """
    takers = {name: _Taker(bag, name, info.type, check_for) for name, info in bag.topics.items()}
    absent = {name: Measured() for name in (*names, CLOCK) if name not in takers}
    broken = ""
    try:
        for message in bag.messages():
            takers[message.topic].take(message)
            watch(len(message.data))
    except BagError as error:
        broken = error.cause
    found = {name: taker.found for name, taker in takers.items()}
    if _is_one_count([one.sequence for one in found.values() if one.count]):
        for one in found.values():
            one.is_numbered = False
    return Measurement({**absent, **found}, broken)


class _Taker:
    """Takes the messages of one topic in."""

    def __init__(self, bag: Bag, name: str, type_name: str, check_for: Callable[[str, str], Check]) -> None:
        self.found = Measured(type_name)
        self._check, self._every = check_for(name, type_name), every(type_name)
        self._is_picture, self._is_frame_info = type_name in PICTURES, type_name == FRAME_INFO
        self._decoder: Decoder | None = None
        try:
            self._decoder = bag.decoder(name)
            self.found.stamped = self._decoder.stamped
        except BagError as error:
            self.found.unknown = error.cause

    def take(self, message: BagMessage) -> None:
        found, seen = self.found, len(self.found.log_ns)
        found.log_ns.append(message.log_ns)
        found.sequence.append(message.sequence)
        stamp_ns: int | None = None
        if self._decoder is not None:
            try:
                stamp_ns = self._decoder.stamp_ns(message.data)
                self._look(self._decoder, message, seen)
            except VlaMbpoError as error:
                found.troubles.note(error, message.log_ns)
        if self._is_picture and len(found.pictures.same) == seen:
            found.pictures.skip()
        found.stamps_ns.append(message.log_ns if stamp_ns is None else stamp_ns)

    def _look(self, decoder: Decoder, message: BagMessage, seen: int) -> None:
        due = seen % self._every == 0
        if not due and not self._is_picture:
            return
        content: Any = decoder(message.data)
        if self._is_picture:
            self.found.pictures.add(content.data)
        if self._is_frame_info:
            self.found.frames.append(int(content.frame_number))
        if due:
            self._check(content)


def _is_one_count(numbers: Sequence[Sequence[int]]) -> bool:
    """Some recorders number all that they write; then no number comes twice, whatever the topic."""
    return len(numbers) > 1 and len(set().union(*numbers)) == sum(len(one) for one in numbers)


def _missing(numbers: Sequence[int]) -> int:
    """How many are not there of numbers that count up.

    Several publishers on one topic, each with its own count, cannot be told apart here: then nothing is said.
    """
    steps = np.diff(np.array(numbers, dtype=np.int64))
    if not len(steps) or (steps < 0).any() or not any(numbers):
        return 0
    return int(np.maximum(steps - 1, 0).sum())
