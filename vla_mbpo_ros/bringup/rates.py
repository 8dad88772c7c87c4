"""Counting messages of one topic: its rate in the graph's own time, and what was lost on the way. Plain logic.

The rate is what the publisher did (sequence numbers over header stamps); `lost` is what the observer missed of it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TopicCount:
    """Messages of one topic since `begin`."""

    received: int = 0
    lost: int = 0
    first_ns: int = 0
    last_ns: int = 0
    _sequence: int = 0

    def add(self, stamp_ns: int, sequence: int) -> None:
        """One message. A smaller sequence number is a publisher that was started again."""
        if not self.received:
            self.first_ns = stamp_ns
        elif sequence > self._sequence + 1:
            self.lost += sequence - self._sequence - 1
        self.received += 1
        self.last_ns, self._sequence = max(self.last_ns, stamp_ns), sequence

    def hz(self, now_ns: int) -> float:
        """Rate from the first message to `now_ns`: a topic that has gone silent becomes slower and slower."""
        intervals = self.received + self.lost - 1
        span_s = (max(now_ns, self.last_ns) - self.first_ns) / 1e9
        return intervals / span_s if intervals > 0 and span_s > 0.0 else 0.0
