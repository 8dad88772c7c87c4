"""When to start a child again, and when to give up. Plain logic, times are steady seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

HOPELESS = {2: "its settings are not valid", 3: "something is not installed"}  # exit codes of the error tree


@dataclass(frozen=True)
class RestartLimits:
    """Give up after `most` deaths within `window_s`; wait twice as long each time, from `first_s` to `longest_s`."""

    most: int = 5
    window_s: float = 60.0
    first_s: float = 0.5
    longest_s: float = 8.0


@dataclass
class RestartRecord:
    """The deaths of one child."""

    limits: RestartLimits
    deaths_s: list[float] = field(default_factory=list)
    again_at_s: float | None = None  # when it will be started again; None: it runs, or is gone for good

    def died(self, now_s: float) -> bool:
        """Note a death; False when there is no sense in another try."""
        limits = self.limits
        self.deaths_s = [at for at in self.deaths_s if now_s - at < limits.window_s] + [now_s]
        if len(self.deaths_s) >= limits.most:
            self.again_at_s = None
            return False
        self.again_at_s = now_s + min(limits.first_s * 2.0 ** (len(self.deaths_s) - 1), limits.longest_s)
        return True

    def is_due(self, now_s: float) -> bool:
        return self.again_at_s is not None and now_s >= self.again_at_s
