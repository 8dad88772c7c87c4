"""Does a bag have every topic of the contract, at its rate, with no gap?

Rates and gaps are taken from the stamps inside the messages, so they are in the graph's own time and do not
depend on how fast the machine was. Losses are counted by the publishers' own numbers, never guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.bags.measure import CLOCK, Measured, Span, measure
from vla_mbpo_ros.data.bags.reader import BagReader
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.robots.contract import Topic

RATE_TOLERANCE = 0.05  # of the expected rate
GAP_PERIODS = 1.5  # one message lost leaves two periods
EDGE_PERIODS = 2.5  # sources do not start at the same moment
EDGE_S = 0.25  # outside lock-step a camera's newest frame is older than the newest joint state
OPTIONAL = frozenset({"estop"})  # nobody ever needs to press it


@dataclass(frozen=True)
class TopicReport:
    """One promised topic as it is in the bag."""

    name: str
    type: str
    count: int
    hz: float  # 0 if it has fewer than two stamps
    expected_hz: float  # 0: on change
    largest_gap_periods: float  # between neighbours; 0 where no rate is expected
    lost: int  # by frame number or sequence number; 0 for what is latched
    problems: tuple[str, ...]


@dataclass(frozen=True)
class BagReport:
    """All promised topics."""

    path: str
    duration_s: float
    topics: tuple[TopicReport, ...]
    problems: tuple[str, ...]  # of the bag and of every topic

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"ok": self.ok, **asdict(self)}


def full_name(name: str, namespace: str = "") -> str:
    """As a bag names a topic of the contract."""
    if name.startswith("/"):
        return name
    return "/" + "/".join(part for part in (namespace.strip("/"), name) if part)


def check_bag(path: Path) -> BagReport:
    """Judge a bag by the contract that it was recorded under; the bag itself says which."""
    facts = EpisodeFacts.from_custom_data(BagReader(path).custom_data, str(path))
    if not facts.robot:
        raise BagError(f"{path} does not say which robot it is of.", "Give the topics that it should have.")
    return check_topics(path, facts.expected_topics(), facts.namespace, names=facts.names)


def check_topics(
    path: Path,
    expected: Sequence[Topic],
    namespace: str = "",
    optional: Collection[str] = OPTIONAL,
    names: Mapping[str, str] | None = None,
) -> BagReport:
    """Judge the bag at `path`. `names` maps a name of the contract to the robot's own, as `Config.topics`."""
    bag = BagReader(path)
    in_bag = [full_name((names or {}).get(topic.name, topic.name), namespace) for topic in expected]
    measured = measure(bag, in_bag)
    declared = EpisodeFacts.from_custom_data(bag.custom_data, str(path)).lost
    for name in in_bag:
        measured[name].declared_lost = declared.get(name, 0)
    pairs = [(topic, measured[name]) for topic, name in zip(expected, in_bag, strict=True)]
    span = Span.of([found for topic, found in pairs if topic.hz and topic.kind != "command"], measured[CLOCK])
    reports = tuple(_judge(topic, found, span, topic.name in optional) for topic, found in pairs)
    problems = [] if bag.complete else ["The bag was not closed: its last moments may be missing."]
    problems += [problem for report in reports for problem in report.problems]
    return BagReport(str(path), (bag.end_ns - bag.start_ns) * 1e-9, reports, tuple(problems))


def _judge(topic: Topic, found: Measured, span: Span, optional: bool) -> TopicReport:
    period_s = 1.0 / topic.hz if topic.hz else 0.0
    gaps_s = found.largest_gap_s
    problems = _presence(topic, found, optional)
    if found.count and topic.hz:
        problems += _rate(topic, found) + _gaps(topic, found, span, period_s)
    lost = 0 if topic.kind == "latched" else found.lost  # of what is latched only the newest matters
    if lost:
        problems.append(f"{topic.name}: {lost} messages are missing, by their numbers.")
    return TopicReport(
        name=topic.name,
        type=found.type or topic.type,
        count=found.count,
        hz=found.hz,
        expected_hz=topic.hz,
        largest_gap_periods=gaps_s / period_s if period_s else 0.0,
        lost=lost,
        problems=tuple(problems),
    )


def _presence(topic: Topic, found: Measured, optional: bool) -> list[str]:
    if found.type and found.type != topic.type:
        return [f"{topic.name}: is a {found.type}, the contract says {topic.type}."]
    if found.count or optional:
        return []
    return [f"{topic.name}: no message." if found.type else f"{topic.name}: is not in the bag."]


def _rate(topic: Topic, found: Measured) -> list[str]:
    if abs(found.hz - topic.hz) <= RATE_TOLERANCE * topic.hz:
        return []
    return [f"{topic.name}: {found.hz:.2f} Hz instead of {topic.hz:g} Hz."]


def _gaps(topic: Topic, found: Measured, span: Span, period_s: float) -> list[str]:
    problems = []
    allowed_s = span.allowed_gap_s(period_s, GAP_PERIODS)
    if found.largest_gap_s > allowed_s:
        at_s = (found.largest_gap_at_ns - span.start_ns) * 1e-9
        periods = found.largest_gap_s / period_s
        problems.append(f"{topic.name}: a gap of {periods:.1f} periods at {at_s:.2f} s.")
    if found.backwards:
        problems.append(f"{topic.name}: time goes backwards {found.backwards} times.")
    if topic.kind == "command":  # starts when someone takes the lease
        return problems
    edge_s = EDGE_PERIODS * period_s + (0.0 if span.tick_s else EDGE_S)
    for word, missing_s in (("starts", span.before_s(found)), ("ends", span.after_s(found))):
        if missing_s > edge_s:
            side = "after the first" if word == "starts" else "before the last"
            problems.append(f"{topic.name}: {word} {missing_s:.2f} s {side} message of the bag.")
    return problems
