"""Two graphs in one ROS domain would take each other's messages for their own: the second one is not started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def running(start_graph: Callable[..., Any]) -> Any:
    return start_graph(sim=True, record=False, only=("sim_node",))


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy with other things may hear of its neighbours late."""
    monkeypatch.setattr("vla_mbpo_ros.bringup.session._DISCOVERY_S", 30.0)


def refusal(settings: tuple[str, ...], folder: Path, **options: Any) -> str:
    from live_graph import make_graph

    from vla_mbpo_ros.bringup.run_folder import make_run_folder
    from vla_mbpo_ros.bringup.session import Session
    from vla_mbpo_ros.errors import GraphError

    graph = make_graph(settings, only=("sim_node",), sim=True, record=False, **options)
    with pytest.raises(GraphError) as caught, Session(graph, make_run_folder(graph, folder)):
        pytest.fail("a second graph was started")
    return str(caught.value)


def test_the_same_graph_is_not_started_twice(running: Any, tmp_path: Path) -> None:
    told = refusal((), tmp_path)
    assert "/sim_node" in told
    assert "ROS_DOMAIN_ID" in told


def test_a_second_clock_is_not_started_under_another_namespace(running: Any, tmp_path: Path) -> None:
    assert "a clock by sim_node" in refusal((), tmp_path, namespace="second")
