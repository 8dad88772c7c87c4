"""The last seconds in memory, while nothing is recorded; kept as a bag of their own when something happens.

    latched before ─┐   oldest ────────────── newest
                    └─> |<── snapshot_s, at most snapshot_mb ──>|  ── take() ──> bag

The messages are those that the middleware delivered, not copies. What is latched and too old for the memory is
remembered apart: the bag begins with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from vla_mbpo_ros.config import RecorderConfig
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.recording.recording import Recording, Source

_OVERHEAD = 200  # bytes of memory for a message beside its data, about


@dataclass(frozen=True)
class RawMessage:
    """One message as it came."""

    topic: str  # fully qualified
    data: bytes
    log_ns: int
    publish_ns: int
    sequence: int

    @property
    def size(self) -> int:
        return len(self.data) + _OVERHEAD


@dataclass(frozen=True)
class Taken:
    """What was in memory at one moment."""

    messages: tuple[RawMessage, ...]  # in the order of arrival
    latched: dict[str, bytes]  # topic -> what held when the first of them came

    @property
    def duration_s(self) -> float:
        if not self.messages:
            return 0.0
        return (max(message.log_ns for message in self.messages) - self.messages[0].log_ns) * 1e-9


class Memory:
    """The last `seconds` of all topics, in at most `max_bytes`; the oldest go first."""

    def __init__(self, seconds: float, max_bytes: int, latched: Collection[str]) -> None:
        self._span_ns, self._max_bytes = int(seconds * 1e9), max_bytes
        self._names = frozenset(latched)
        self._messages: deque[RawMessage] = deque()
        self._latched: dict[str, bytes] = {}
        self._newest_ns = 0
        self.size = 0  # bytes of memory

    @property
    def duration_s(self) -> float:
        return (self._newest_ns - self._messages[0].log_ns) * 1e-9 if self._messages else 0.0

    def add(self, message: RawMessage, keep: bool = True) -> None:
        """A message arrived. `keep` false: a bag is open and has it; the memory begins anew afterwards."""
        if not keep or message.log_ns < self._newest_ns - self._span_ns:  # the clock was set back: ages mean nothing
            self._forget_all()
        if not keep:
            self._pass_by(message)
            return
        self._messages.append(message)
        self.size += message.size
        self._newest_ns = max(self._newest_ns, message.log_ns)
        while self.size > self._max_bytes or self._newest_ns - self._messages[0].log_ns > self._span_ns:
            self._forget_oldest()
            if not self._messages:  # one message that is larger than all the memory
                break

    def take(self) -> Taken:
        """What is in memory now; it stays there."""
        return Taken(tuple(self._messages), dict(self._latched))

    def _forget_all(self) -> None:
        while self._messages:
            self._forget_oldest()
        self._newest_ns = 0

    def _forget_oldest(self) -> None:
        oldest = self._messages.popleft()
        self.size -= oldest.size
        self._pass_by(oldest)

    def _pass_by(self, message: RawMessage) -> None:
        if message.topic in self._names:
            self._latched[message.topic] = message.data


def write_snapshot(
    taken: Taken, sources: Iterable[Source], cfg: RecorderConfig, facts: EpisodeFacts, outcome: str = "unknown"
) -> Path:
    """A bag of what was taken. It shares nothing with the recording that goes on: any thread may write it."""
    recording = Recording((_copy(source, taken) for source in sources), cfg)
    recording.begin(facts, taken.messages[0].log_ns)
    for message in taken.messages:
        recording.add(message.topic, message.data, message.log_ns, message.publish_ns, message.sequence)
    return recording.end(outcome)


def _copy(source: Source, taken: Taken) -> Source:
    """Its counts begin anew."""
    copy = Source(source.topic, source.name, source.offered)
    if source.name in taken.latched:
        copy.latched = {"last": taken.latched[source.name]}
    return copy
