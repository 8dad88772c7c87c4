"""How a graph did: every topic of its contract beside what was promised. Plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vla_mbpo_ros.bringup.graph import GraphSpec
from vla_mbpo_ros.bringup.rates import TopicCount
from vla_mbpo_ros.robots.contract import Topic

TOLERANCE = 0.1  # share of the promised rate
_WHEN_ACTING = ("joint_command", "policy/action_chunk")  # silent until a person enables the executor
_ON_OCCASION = ("estop",)  # nobody may have pressed it


@dataclass(frozen=True)
class TopicReport:
    """One topic. `expected_hz` is None for what is sent on change; rates are in the graph's own time."""

    hz: float
    expected_hz: float | None
    received: int
    lost: int  # missed by the observer, not by the graph
    problem: str = ""


@dataclass(frozen=True)
class Report:
    topics: Mapping[str, TopicReport]
    restarts: int
    errors: tuple[str, ...]

    @property
    def problems(self) -> list[str]:
        """One sentence for everything that is not as promised."""
        slow = [f"{name} {topic.problem}" for name, topic in self.topics.items() if topic.problem]
        restarts = [f"{self.restarts} restarts."] if self.restarts else []
        return [*self.errors, *restarts, *slow]

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        topics = {name: asdict(topic) for name, topic in self.topics.items()}
        return {"ok": self.ok, "topics": topics, "restarts": self.restarts, "errors": list(self.errors)}


def make_report(
    graph: GraphSpec, counts: Mapping[str, TopicCount], now_ns: int, restarts: int, errors: Sequence[str]
) -> Report:
    """`now_ns` is the graph's time at the end of the measurement."""
    topics = {topic.name: _topic_report(graph, topic, counts[topic.name], now_ns) for topic in graph.topics}
    return Report(topics, restarts, tuple(errors))


def _topic_report(graph: GraphSpec, topic: Topic, count: TopicCount, now_ns: int) -> TopicReport:
    hz = count.hz(now_ns)
    optional = topic.name in _ON_OCCASION or (topic.name in _WHEN_ACTING and not graph.acts)
    expected = topic.hz if topic.hz and not optional else None
    return TopicReport(hz, expected, count.received, count.lost, _problem(hz, expected, count.received, optional))


def _problem(hz: float, expected: float | None, received: int, optional: bool) -> str:
    if not received:
        return "" if optional else "was never heard."
    if expected is None or abs(hz - expected) <= TOLERANCE * expected:
        return ""
    return f"runs at {hz:.2f} Hz instead of {expected:.2f} Hz."
