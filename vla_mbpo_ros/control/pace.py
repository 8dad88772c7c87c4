"""When is it due again? A mean rate that is right though it is looked at only now and then.

due      |    |    |    |    |
looks   ^  ^  ^  ^  ^  ^  ^  ^        at each the question: is it due?
done        x    x    x     x         late by one look at most, and never later and later
"""

from __future__ import annotations


class Pace:
    """One thing that should come every `period_ns`."""

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._done_ns = self._due_ns = 0

    def is_due(self, now_ns: int) -> bool:
        """Also when the clock was set back."""
        return now_ns >= self._due_ns or now_ns < self._done_ns

    def done(self, now_ns: int) -> None:
        """A little late does not delay the next; early, or a period late, begins anew."""
        in_step = 0 <= now_ns - self._due_ns < self._period_ns
        self._done_ns = now_ns
        self._due_ns = (self._due_ns if in_step else now_ns) + self._period_ns
