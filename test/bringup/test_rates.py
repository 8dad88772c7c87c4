"""Rates in the graph's own time, losses by sequence numbers, and the report made of them."""

from __future__ import annotations

import pytest

from vla_mbpo_ros.bringup.graph import GraphSpec, graph_for
from vla_mbpo_ros.bringup.options import Options
from vla_mbpo_ros.bringup.rates import TopicCount
from vla_mbpo_ros.bringup.report import Report, make_report

SECOND = 1_000_000_000


def counted(hz: float, seconds: float, lose: range = range(0)) -> TopicCount:
    count = TopicCount()
    for index in range(round(hz * seconds) + 1):
        if index not in lose:
            count.add(round(index * SECOND / hz), index + 1)
    return count


def test_the_rate_is_that_of_the_stamps() -> None:
    assert counted(15.0, 10.0).hz(10 * SECOND) == pytest.approx(15.0)


def test_what_the_observer_missed_is_counted_and_does_not_change_the_rate() -> None:
    count = counted(15.0, 10.0, lose=range(20, 50))
    assert count.lost == 30
    assert count.hz(10 * SECOND) == pytest.approx(15.0)


def test_a_topic_that_falls_silent_becomes_slower() -> None:
    assert counted(15.0, 5.0).hz(10 * SECOND) == pytest.approx(7.5)


def test_a_publisher_that_begins_anew_loses_nothing() -> None:
    count = counted(15.0, 1.0)
    count.add(2 * SECOND, 1)
    assert count.lost == 0


def test_one_message_or_none_has_no_rate() -> None:
    count = TopicCount()
    assert count.hz(SECOND) == 0.0
    count.add(0, 1)
    assert count.hz(SECOND) == 0.0


def spec(**options: bool) -> GraphSpec:
    return graph_for(Options("arx_x5", **{"sim": True, **options}), {})  # type: ignore[arg-type]


def report(graph: GraphSpec, restarts: int = 0, errors: tuple[str, ...] = (), **counts: TopicCount) -> Report:
    good = {topic.name: counted(topic.hz or 1.0, 10.0) for topic in graph.topics}
    return make_report(graph, {**good, **counts}, 10 * SECOND, restarts, errors)


def test_a_graph_that_keeps_its_promises_is_ok() -> None:
    result = report(spec())
    assert result.ok
    assert result.as_dict()["topics"]["joint_states"]["expected_hz"] == 15.0


@pytest.mark.parametrize(("hz", "ok"), [(14.0, True), (16.0, True), (13.0, False), (17.0, False)])
def test_a_rate_may_differ_by_a_tenth(hz: float, ok: bool) -> None:
    assert report(spec(), joint_states=counted(hz, 10.0)).ok is ok


def test_a_topic_that_was_never_heard_is_named() -> None:
    result = report(spec(), joint_command=TopicCount())
    assert result.problems == ["joint_command was never heard."]


def test_nobody_needs_to_press_the_emergency_stop() -> None:
    assert report(spec(), estop=TopicCount()).ok


def test_a_graph_that_waits_for_a_person_needs_no_commands() -> None:
    assert report(spec(act=False), joint_command=TopicCount()).ok


def test_a_restart_or_an_error_is_not_ok() -> None:
    assert report(spec(), restarts=1).problems == ["1 restarts."]
    assert report(spec(), errors=("policy_node ended.",)).problems == ["policy_node ended."]
