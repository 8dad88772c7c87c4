"""What a node knows of one of its inputs: rate, age, gaps, latency. Plain numbers; no ROS."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW = 100  # messages over which the rate is taken


@dataclass
class TopicWatch:
    """Feed it every message; ask it for a report."""

    name: str
    max_age_s: float = 0.0  # 0: may be silent
    expected_hz: float = 0.0  # 0: on change
    received: int = 0
    lost: int = 0  # by sequence numbers
    latency_s: float = 0.0  # of the last message: stamp to arrival
    problem: str = ""  # set by the node: why the last message was not used
    _stamps_ns: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _last_sequence: int = -1

    def tick(self, stamp_ns: int, now_ns: int, sequence: int = -1) -> None:
        """One message stamped `stamp_ns` arrived at `now_ns`; `sequence` counts the publisher's messages."""
        self.received += 1
        self.latency_s = (now_ns - stamp_ns) * 1e-9
        self._stamps_ns.append(stamp_ns)
        if 0 <= self._last_sequence < sequence - 1:
            self.lost += sequence - 1 - self._last_sequence
        self._last_sequence = sequence

    def age_s(self, now_ns: int) -> float:
        """Since the stamp of the newest message; infinite before the first."""
        return (now_ns - self._stamps_ns[-1]) * 1e-9 if self._stamps_ns else float("inf")

    def hz(self) -> float:
        if len(self._stamps_ns) < 2 or self._stamps_ns[-1] <= self._stamps_ns[0]:
            return 0.0
        return (len(self._stamps_ns) - 1) / ((self._stamps_ns[-1] - self._stamps_ns[0]) * 1e-9)

    def complaint(self, now_ns: int) -> str:
        """What is wrong now, in a sentence; empty if nothing is."""
        if self.problem:
            return self.problem
        age = self.age_s(now_ns)
        if self.max_age_s and age == float("inf"):
            return f"Nothing has come on {self.name}. Is its publisher up? `ros2 topic info -v {self.name}`"
        if self.max_age_s and age > self.max_age_s:
            return f"{self.name} is {age:.2f} s old, {self.max_age_s:.2f} s is the most. Is its publisher still up?"
        return ""

    def facts(self, now_ns: int) -> dict[str, str]:
        """For diagnostics."""
        return {
            "rate [Hz]": f"{self.hz():.2f}",
            "expected [Hz]": f"{self.expected_hz:.2f}" if self.expected_hz else "on change",
            "age [s]": f"{self.age_s(now_ns):.3f}",
            "latency [s]": f"{self.latency_s:.4f}",
            "received": str(self.received),
            "lost": str(self.lost) if self._last_sequence >= 0 else "not counted",
        }
