"""Some of the episodes of an index, in an order, and what they come to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from vla_mbpo_ros.config import OUTCOMES
from vla_mbpo_ros.data.catalogue.entry import Entry
from vla_mbpo_ros.errors import ConfigError, UnknownName

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(min|h|d|w)")
_UNITS = {"min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}  # s

# Each puts first what one looks for first: the newest, the longest, the largest.
ORDERS: dict[str, Callable[[Entry], Any]] = {
    "recorded": lambda entry: _time(entry.recorded_at),
    "length": lambda entry: entry.length_s,
    "steps": lambda entry: entry.steps,
    "size": lambda entry: entry.size_bytes,
    "lost": lambda entry: entry.lost,
    "id": lambda entry: entry.id,
    "robot": lambda entry: entry.robot,
    "instruction": lambda entry: entry.instruction.lower(),
    "outcome": lambda entry: entry.outcome,
    "policy": lambda entry: entry.policy,
}
_RISING = frozenset({"id", "robot", "instruction", "outcome", "policy"})


@dataclass(frozen=True)
class Wanted:
    """Which episodes. Empty: all."""

    instruction: str = ""  # a part of it, in small or capital letters
    outcome: str = ""
    policy: str = ""  # a part of its version
    robot: str = ""
    since: str = ""  # "2026-11-21", "2026-11-21T10:30", or an age: "3d", "12h", "30min", "2w"
    problems: bool = False  # only those with a problem, or with losses

    def __post_init__(self) -> None:
        if self.outcome and self.outcome not in OUTCOMES:
            raise UnknownName("outcome", self.outcome, OUTCOMES)
        if self.since:
            parse_since(self.since)

    def fits(self, entry: Entry) -> bool:
        return (
            self.instruction.lower() in entry.instruction.lower()
            and self.outcome in ("", entry.outcome)
            and self.policy.lower() in entry.policy.lower()
            and self.robot in ("", entry.robot)
            and not (self.since and _time(entry.recorded_at) < parse_since(self.since))
            and not (self.problems and not entry.problem and not entry.lost)
        )


@dataclass(frozen=True)
class Totals:
    """Of some episodes."""

    episodes: int
    hours: float
    gb: float
    steps: int
    success: int
    failure: int
    problems: int


def select(entries: Iterable[Entry], wanted: Wanted, order: str = "recorded", limit: int = 0) -> list[Entry]:
    """Those that fit; `limit` keeps the first so many, 0 keeps all."""
    if order not in ORDERS:
        raise UnknownName("order", order, ORDERS)
    if limit < 0:
        raise ConfigError(f"{limit} episodes cannot be shown.", "Give 1 or more, or 0 for all.")
    found = sorted((entry for entry in entries if wanted.fits(entry)), key=lambda entry: entry.path)
    found.sort(key=ORDERS[order], reverse=order not in _RISING)
    return found[:limit] if limit else found


def totals(entries: Sequence[Entry]) -> Totals:
    return Totals(
        episodes=len(entries),
        hours=sum(entry.length_s for entry in entries) / 3600.0,
        gb=sum(entry.size_bytes for entry in entries) / 1e9,
        steps=sum(entry.steps for entry in entries),
        success=sum(entry.outcome == "success" for entry in entries),
        failure=sum(entry.outcome == "failure" for entry in entries),
        problems=sum(bool(entry.problem) for entry in entries),
    )


def parse_since(text: str, now: datetime | None = None) -> datetime:
    """A moment; without a zone it is in this machine's."""
    age = _AGE.fullmatch(text.strip())
    if age:
        return (now or datetime.now(timezone.utc)) - timedelta(seconds=float(age[1]) * _UNITS[age[2]])
    try:
        return datetime.fromisoformat(text.strip().replace("Z", "+00:00")).astimezone()
    except ValueError:
        cure = "Write it as 2026-11-21 or 2026-11-21T10:30, or as an age: 30min, 12h, 3d, 2w."
        raise ConfigError(f"'{text}' is no time.", cure) from None


def _time(recorded_at: str) -> datetime:
    """What is not known, or not a time, is older than everything else."""
    try:
        return datetime.fromisoformat(recorded_at.replace("Z", "+00:00")).astimezone()
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, timezone.utc)
