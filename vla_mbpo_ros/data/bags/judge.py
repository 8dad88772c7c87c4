"""One topic of the contract: is it there, of its type, at its rate, without a gap, to the end?"""

from __future__ import annotations

from dataclasses import dataclass

from vla_mbpo_ros.data.bags.measure import Measured, Span
from vla_mbpo_ros.robots.contract import Topic

RATE_TOLERANCE = 0.05  # of the expected rate
GAP_PERIODS = 1.5  # one message lost leaves two periods
EDGE_PERIODS = 2.5  # sources do not start at the same moment
EDGE_S = 0.25  # outside lock-step a camera's newest frame is older than the newest joint state


@dataclass(frozen=True)
class TopicReport:
    """One topic as it is in the bag."""

    name: str  # of the contract; as in the bag for a topic that no contract promises
    type: str
    count: int
    hz: float  # 0 if it has fewer than two stamps
    expected_hz: float  # 0: on change
    largest_gap_periods: float  # between neighbours; 0 where no rate is expected
    lost: int  # by frame number or sequence number; 0 for what is latched
    problems: tuple[str, ...]


def judge(topic: Topic, found: Measured, span: Span, start_ns: int, optional: bool) -> TopicReport:
    """`start_ns` is the start of the bag."""
    period_s = 1.0 / topic.hz if topic.hz else 0.0
    problems = _presence(topic, found, optional)
    if found.count and topic.hz:
        problems += _rate(topic, found) + _gap(topic, found, span, start_ns) + _edges(topic, found, span)
    lost = 0 if topic.kind == "latched" else found.lost  # of what is latched only the newest matters
    return TopicReport(
        name=topic.name,
        type=found.type or topic.type,
        count=found.count,
        hz=found.hz,
        expected_hz=topic.hz,
        largest_gap_periods=found.largest_gap_s / period_s if period_s else 0.0,
        lost=lost,
        problems=tuple(problems + (_lost(topic.name, found, lost, start_ns) if lost else [])),
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


def _gap(topic: Topic, found: Measured, span: Span, start_ns: int) -> list[str]:
    period_s = 1.0 / topic.hz
    if found.largest_gap_s <= span.allowed_gap_s(period_s, GAP_PERIODS):
        return []
    at_s = (found.largest_gap_at_ns - start_ns) * 1e-9
    return [f"{topic.name}: a gap of {found.largest_gap_s / period_s:.1f} periods at {at_s:.2f} s."]


def _edges(topic: Topic, found: Measured, span: Span) -> list[str]:
    if topic.kind == "command":  # starts when someone takes the lease
        return []
    edge_s = EDGE_PERIODS / topic.hz + (0.0 if span.tick_s else EDGE_S)
    before_s, after_s = span.before_s(found), span.after_s(found)
    problems = []
    if before_s > edge_s:
        problems.append(f"{topic.name}: starts {before_s:.2f} s after the first message of the bag.")
    if after_s > edge_s:
        problems.append(f"{topic.name}: ends {after_s:.2f} s before the last message of the bag.")
    return problems


def _lost(name: str, found: Measured, lost: int, start_ns: int) -> list[str]:
    first_ns = found.lost_at_ns
    place = "" if first_ns is None else f", the first after {(first_ns - start_ns) * 1e-9:.2f} s"
    return [f"{name}: {lost} messages are missing, by their numbers{place}."]
