"""The launch file makes the same graph. Needs ROS launch, which no wheel brings: skipped where it is absent."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from vla_mbpo_ros.bringup.graph import graph_for
from vla_mbpo_ros.bringup.launch_description import import_launch, launch_description
from vla_mbpo_ros.bringup.options import ARGUMENTS, Options
from vla_mbpo_ros.errors import MissingDependency
from vla_mbpo_ros.robots import robot_names
from vla_mbpo_ros.share import share_dir

HAS_LAUNCH = importlib.util.find_spec("launch_ros") is not None
needs_launch = pytest.mark.skipif(not HAS_LAUNCH, reason="launch_ros is not installed: it comes with a ROS install")


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import launch

    monkeypatch.setenv("VLA_MBPO_RUNS", str(tmp_path))
    return launch.LaunchContext()


def load(name: str) -> Any:
    file = share_dir() / "launch" / f"{name}.launch.py"
    spec = importlib.util.spec_from_file_location("launch_file", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", robot_names())
def test_every_robot_has_a_launch_file(name: str) -> None:
    assert callable(load(name).generate_launch_description)


@pytest.mark.skipif(HAS_LAUNCH, reason="launch_ros is installed")
def test_without_launch_the_cure_is_named() -> None:
    with pytest.raises(MissingDependency, match="vla-mbpo up"):
        launch_description("arx_x5")


@needs_launch
def test_the_launch_arguments_are_the_options() -> None:
    launch, _ = import_launch()
    declared = launch_description("arx_x5").get_launch_arguments()
    assert [item.name for item in declared] == [argument.name for argument in ARGUMENTS]
    for item, argument in zip(declared, ARGUMENTS, strict=True):
        default = launch.utilities.perform_substitutions(launch.LaunchContext(), item.default_value)
        assert default == argument.text_default


@needs_launch
def test_the_launch_file_starts_the_nodes_of_the_graph(context: Any) -> None:
    _, launch_ros = import_launch()
    context.launch_configurations.update({argument.name: argument.text_default for argument in ARGUMENTS})
    context.launch_configurations["sim"] = "true"
    actions = load("arx_x5").generate_launch_description().entities[-1].execute(context)
    nodes = [action for action in actions if isinstance(action, launch_ros.actions.Node)]
    assert len(nodes) == len(graph_for(Options("arx_x5", sim=True)).nodes)
