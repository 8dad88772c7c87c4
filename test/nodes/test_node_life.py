"""Each node by itself: its lifecycle, its diagnostics, and its end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState
from live_graph import LiveGraph

from vla_mbpo_ros.bringup.graph import GraphSpec, graph_for
from vla_mbpo_ros.bringup.node_spec import NodeSpec
from vla_mbpo_ros.bringup.options import Options

pytestmark = pytest.mark.ros
END_S = 3.0  # a node has ended so long after it was asked to
SIM = ("sim_node", "robot_node", "recorder_node", "policy_node", "chunk_executor_node", "supervisor_node")
NODES = (*SIM, "head_camera")
CYCLE = (
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_ACTIVATE,
)


def alone(settings: tuple[str, ...]) -> GraphSpec:
    """Every node, each in a namespace of its own, where it meets no other; none is started again."""

    def graph(**options: Any) -> GraphSpec:
        return graph_for(Options("arx_x5", set=settings, respawn=False, **options))

    sim = graph(sim=True)
    nodes = [sim.node(name) for name in SIM] + [graph(cameras="synthetic", robot="sink").node("head_camera")]
    return replace(sim, nodes=tuple(_alone(node) for node in nodes))


def _alone(node: NodeSpec) -> NodeSpec:
    parameters = {**node.parameters, "runtime.autostart": True}
    if "nodes" in parameters:
        parameters["nodes"] = ("nobody",)  # the supervisor has nobody to look after
    return replace(node, namespace=f"alone_{node.name}", required=False, lifecycle=True, parameters=parameters)


@pytest.fixture(scope="module")
def live(enter_graph: Callable[..., LiveGraph]) -> LiveGraph:
    return enter_graph(alone)


def endpoints(live: LiveGraph, name: str) -> list[tuple[str, str]]:
    """Every publisher, subscription, service and client of a node, in order."""
    node, namespace = live.node, f"/alone_{name}"
    publishers = [topic for topic, _ in node.get_publisher_names_and_types_by_node(name, namespace)]
    subscriptions = [topic for topic, _ in node.get_subscriber_names_and_types_by_node(name, namespace)]
    found = [("service", each) for each, _ in node.get_service_names_and_types_by_node(name, namespace)]
    found += [("client", each) for each, _ in node.get_client_names_and_types_by_node(name, namespace)]
    for kind, topics, infos_of in (
        ("publisher", publishers, node.get_publishers_info_by_topic),
        ("subscription", subscriptions, node.get_subscriptions_info_by_topic),
    ):
        infos = [(topic, info) for topic in topics for info in infos_of(topic)]
        found += [(kind, topic) for topic, info in infos if (info.node_name, info.node_namespace) == (name, namespace)]
    return sorted(found)


@pytest.mark.parametrize("name", NODES)
def test_a_node_goes_through_its_lifecycle_again_and_again_without_leaving_anything(live: LiveGraph, name: str) -> None:
    full = f"/alone_{name}/{name}"
    before = live.until(lambda: endpoints(live, name), "the node's endpoints")
    live.spin(0.3)
    before = endpoints(live, name)
    for _ in range(2):
        assert not live.transition(full, Transition.TRANSITION_CONFIGURE)  # impossible, and survived
        for transition in CYCLE:
            assert live.transition(full, transition), live.log(name)
    live.until(lambda: endpoints(live, name) == before, f"the same endpoints as before: {before}")
    state = live.call(GetState, f"{full}/get_state", GetState.Request()).current_state.label
    assert state == "active"
    assert "is not possible while active" in live.log(name)
    assert "Traceback" not in live.log(name)


def test_diagnostics_have_the_form_of_diagnostic_updater(live: LiveGraph) -> None:
    live.until(lambda: {f"{name}: {task}" for name in NODES for task in ("state", "inputs")} <= seen(live), "all")
    for status in live.statuses:
        assert isinstance(status.level, bytes)
        assert status.message
        assert status.hardware_id in ("arx_x5", "arx_x5-sim")


def seen(live: LiveGraph) -> set[str]:
    return {status.name for status in live.statuses}


def test_diagnostics_tell_rate_age_losses_and_latency_of_every_input(live: LiveGraph) -> None:
    def newest(name: str) -> DiagnosticStatus:
        return next(status for status in reversed(live.statuses) if status.name == name)

    keys = {pair.key for pair in newest("policy_node: inputs").values}
    facts = ("rate [Hz]", "expected [Hz]", "age [s]", "latency [s]", "received", "lost")
    sources = ("head", "left_wrist", "right_wrist", "joint_states")
    assert keys == {f"{source} {fact}" for source in sources for fact in facts}

    def camera() -> dict[str, str]:
        return {pair.key: pair.value for pair in newest("head_camera: inputs").values}

    live.until(lambda: 10.0 < float(camera().get("head device rate [Hz]", "nan")) < 16.0, "the camera's rate")
    assert camera()["head device lost"].isdigit()
    assert float(camera()["head device latency [s]"]) < 1.0
    # Nobody sends anything to this policy: that is said, with what to do.
    assert newest("policy_node: inputs").level == DiagnosticStatus.WARN
    assert "Is its publisher up?" in newest("policy_node: inputs").message


@pytest.mark.parametrize("name", NODES)
def test_a_node_ends_in_order_when_it_is_interrupted(live: LiveGraph, name: str) -> None:
    assert_ends(live, name, signal.SIGINT)


@pytest.fixture(scope="module")
def again(enter_graph: Callable[..., LiveGraph]) -> LiveGraph:
    return enter_graph(alone)


@pytest.mark.parametrize("name", NODES)
def test_a_node_ends_in_order_when_it_is_terminated(again: LiveGraph, name: str) -> None:
    assert_ends(again, name, signal.SIGTERM)


def assert_ends(live: LiveGraph, name: str, number: signal.Signals) -> None:
    processes = live.session.processes
    child = processes._running[name]
    child.signal(number)
    asked_s = time.monotonic()

    def gone() -> bool:
        if name in processes.pids:
            child.signal(number)  # a launcher passes on what the terminal has sent already; no harm must come of it
        return name not in processes.pids

    live.until(gone, f"the end of {name}")
    assert time.monotonic() - asked_s < END_S
    assert processes.errors[-1] == f"{name} ended with exit code 0."
    assert "Traceback" not in live.log(name)
