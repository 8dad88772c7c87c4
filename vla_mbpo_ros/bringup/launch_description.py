"""The graph for `ros2 launch`. A launch file is two lines:

def generate_launch_description():
    return launch_description("arx_x5")
"""

from __future__ import annotations

import sys
from typing import Any

from vla_mbpo_ros.bringup.graph import GraphSpec, graph_for
from vla_mbpo_ros.bringup.node_spec import PACKAGE, NodeSpec
from vla_mbpo_ros.bringup.options import ARGUMENTS, Argument, options_from_text
from vla_mbpo_ros.bringup.run_folder import RunFolder, make_run_folder
from vla_mbpo_ros.errors import MissingDependency
from vla_mbpo_ros.share import ros_prefixes

_RESPAWN_DELAY_S = 1.0
_RESPAWN_MOST = 20  # then something is broken, and trying on only hides it


def launch_description(robot_name: str) -> Any:
    """A LaunchDescription with our options as launch arguments; the nodes follow from them when it is started."""
    launch, _ = import_launch()
    start = launch.actions.OpaqueFunction(function=_start, args=[robot_name])
    return launch.LaunchDescription([*(_declare(launch, argument) for argument in ARGUMENTS), start])


def import_launch() -> tuple[Any, Any]:
    try:
        import launch.actions
        import launch.substitutions
        import launch_ros.actions

        import launch
    except ImportError as error:
        raise MissingDependency(
            f"ROS launch is not installed: {error}.",
            "Source a ROS install, or start the same graph by `vla-mbpo up`. PyPI's `launch` is something else.",
        ) from error
    return launch, launch_ros


def _declare(launch: Any, argument: Argument) -> Any:
    return launch.actions.DeclareLaunchArgument(
        argument.name,
        default_value=argument.text_default,
        description=argument.doc,
        choices=list(argument.text_choices) or None,
    )


def _start(context: Any, robot_name: str) -> list[Any]:
    """Everything that is to be done, now that the arguments are known."""
    launch, launch_ros = import_launch()
    configured = launch.substitutions.LaunchConfiguration
    texts = {argument.name: configured(argument.name).perform(context) for argument in ARGUMENTS}
    graph = graph_for(options_from_text(robot_name, texts))
    run = make_run_folder(graph)
    notes = [f"Settings of this run: {run.path}", *graph.notes]
    return [
        *(launch.actions.LogInfo(msg=note) for note in notes),
        *_environment(launch, graph),
        *(_node(launch, launch_ros, node, run) for node in graph.nodes),
    ]


def _environment(launch: Any, graph: GraphSpec) -> list[Any]:
    added, removed = graph.environment.added, graph.environment.removed
    return [
        *(launch.actions.SetEnvironmentVariable(name, value) for name, value in added.items()),
        *(launch.actions.UnsetEnvironmentVariable(name) for name in removed),
    ]


def _node(launch: Any, launch_ros: Any, node: NodeSpec, run: RunFolder) -> Any:
    own = {name: list(value) if isinstance(value, tuple) else value for name, value in node.parameters.items()}
    ends_all = node.required and not node.respawn
    return launch_ros.actions.Node(
        **_program(node),
        name=node.name,
        exec_name=node.name,  # what log lines begin with
        namespace=node.namespace or None,
        parameters=[str(run.parameters), own],
        remappings=list(node.remaps.items()),
        ros_arguments=["--log-level", node.log_level],
        output="screen",
        respawn=node.respawn,
        respawn_delay=_RESPAWN_DELAY_S,
        respawn_max_retries=_RESPAWN_MOST,
        on_exit=[launch.actions.Shutdown(reason=f"{node.name} has ended")] if ends_all else None,
    )


def _program(node: NodeSpec) -> dict[str, Any]:
    """The installed executable, which knows its own Python; a pip install has none, so this Python runs the module."""
    for prefix in ros_prefixes():
        if (prefix / "lib" / PACKAGE / node.executable).is_file():
            return {"package": PACKAGE, "executable": node.executable}
    return {"executable": sys.executable, "arguments": ["-m", node.module]}
