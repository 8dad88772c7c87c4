"""Real nodes in real processes over the real middleware. Where ROS 2 is missing, these tests are skipped by name."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent))  # for live_graph.py, which the tests of this folder share

if TYPE_CHECKING:
    from live_graph import LiveGraph

    from vla_mbpo_ros.bringup.graph import GraphSpec

NEEDED = ("rclpy", "vla_mbpo_ros.msg")
SMALL = tuple(
    f"cameras.{name}.{side}=64" for name in ("head", "left_wrist", "right_wrist") for side in ("width", "height")
)
QUICK = ("runtime.diagnostics_s=0.2", "runtime.heartbeat_s=0.2")  # so that no test waits for a report


def _missing() -> str:
    return ", ".join(name for name in NEEDED if not importlib.util.find_spec(name))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the nodes said last stands beside a failure: on another machine the logs are gone."""
    report = yield
    for graph in getattr(item, "funcargs", {}).values():
        if report.failed and hasattr(graph, "last_words"):
            report.sections += [(f"the last words of {node}", words) for node, words in graph.last_words().items()]
    return report


class WithoutRos(pytest.Module):
    """A test file that cannot even be imported here."""

    def collect(self) -> Iterable[Any]:
        pytest.skip(f"needs ROS 2: {_missing()} is not installed (see `vla-mbpo doctor`)", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> pytest.Module | None:
    if _missing() and "pytest.mark.ros" in module_path.read_text(encoding="utf-8"):
        return WithoutRos.from_parent(parent, path=module_path)  # type: ignore[no-any-return]
    return None


@pytest.fixture(scope="module")
def enter_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LiveGraph]]:
    """Start a graph, which ends with the test file or when the next one starts; `make(settings)` gives it."""
    from live_graph import LiveGraph

    from vla_mbpo_ros.errors import GraphError

    environment = dict(os.environ)
    with ExitStack() as stack:

        def enter(make: Callable[[tuple[str, ...]], GraphSpec], settings: tuple[str, ...] = ()) -> LiveGraph:
            # One at a time: Fast DDS may lock up with two participants in a process (its issue 6193).
            stack.pop_all().close()
            # Strangers on this machine must neither hear nor disturb us.
            os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
            folder = tmp_path_factory.mktemp("graph")
            graph = make((*SMALL, *QUICK, f"recorder.folder={folder / 'bags'}", *settings))
            while True:
                os.environ["ROS_DOMAIN_ID"] = str(random.randint(1, 100))
                try:
                    return stack.enter_context(LiveGraph(graph, folder))
                except GraphError as error:
                    if "Another graph runs in ROS domain" not in str(error):
                        raise

        yield enter
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Once this file is there, the slow model is loaded."""
    return tmp_path_factory.mktemp("slow") / "ready"


@pytest.fixture(scope="module")
def start_graph(enter_graph: Callable[..., LiveGraph]) -> Callable[..., LiveGraph]:
    """`start_graph(sim=True, set=("policy.horizon=8",), only=("robot_node",))`: see `live_graph.make_graph`."""
    from live_graph import make_graph

    def start(*, set: tuple[str, ...] = (), **options: Any) -> LiveGraph:  # noqa: A002
        return enter_graph(lambda settings: make_graph(settings, **options), set)

    return start
