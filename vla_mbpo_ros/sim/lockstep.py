"""Who must answer a tick before the simulator goes on. Plain bookkeeping; time is given from outside.

Whoever has answered once is waited for, until it leaves or misses a deadline; then not, until it answers again.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Lockstep:
    tick_ns: int = 0
    since_s: float = 0.0  # steady time at which the tick began
    _answered: dict[str, int] = field(default_factory=dict)  # participant -> newest tick that it answered

    def begin(self, tick_ns: int, now_s: float) -> None:
        self.tick_ns, self.since_s = tick_ns, now_s

    def answer(self, name: str, tick_ns: int) -> None:
        self._answered[name] = max(tick_ns, self._answered.get(name, tick_ns))

    def leave(self, name: str) -> None:
        self._answered.pop(name, None)

    @property
    def participants(self) -> tuple[str, ...]:
        return tuple(sorted(self._answered))

    @property
    def missing(self) -> tuple[str, ...]:
        """Participants that have not answered this tick yet."""
        return tuple(sorted(name for name, tick in self._answered.items() if tick < self.tick_ns))

    def expire(self, now_s: float, timeout_s: float) -> tuple[str, ...]:
        """Drop, and name, everyone who has kept this tick waiting for too long."""
        if now_s - self.since_s < timeout_s:
            return ()
        late = self.missing
        for name in late:
            self.leave(name)
        return late
