"""`vla-mbpo bench executor`: how evenly commands leave the chunk executor on the steady clock.

Real nodes in real processes: the executor, three synthetic cameras beside it as load, and a sink behind the gate.
This process stands for the policy. Periods are taken between the moments at which the executor published.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.bringup.node_spec import CONTROL_PRIORITY, PRIORITY, NodeSpec
from vla_mbpo_ros.bringup.options import Options
from vla_mbpo_ros.cli.bench import add_out, conclude
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.errors import ConfigError, GraphError

if TYPE_CHECKING:
    from vla_mbpo_ros.bringup.graph import GraphSpec
    from vla_mbpo_ros.bringup.processes import Processes

_DOC = "How evenly commands leave the chunk executor, with cameras as load and a sink as robot."
_START_S = 30.0  # longest wait for the nodes
_SETTLE_S = 1.0  # after the first command, before measuring


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "executor", _DOC, run)
    parser.add_argument("robot_name", metavar="ROBOT", nargs="?", default="arx_x5")
    parser.add_argument("--hz", type=float, default=100.0, help="control rate")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the measurement")
    parser.add_argument(
        "--priority", type=int, default=CONTROL_PRIORITY, help="SCHED_FIFO priority of executor and robot; 0: none"
    )
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.bringup.processes import Processes, children_of
    from vla_mbpo_ros.bringup.run_folder import make_run_folder

    if args.seconds <= 0.0:
        raise ConfigError(f"--seconds is {args.seconds}.", "Give a number above 0.")
    graph = _graph(args)
    with TemporaryDirectory() as folder:
        run_folder = make_run_folder(graph, Path(folder))
        with Processes(children_of(graph, run_folder), run_folder.logs) as processes:
            graph.environment.adopt()
            written_ns = _measure(graph, processes, args.seconds)
    return conclude(args, "executor", {"hz": args.hz, "priority": args.priority, **jitter(written_ns, 1e3 / args.hz)})


def jitter(written_ns: list[int], wanted_ms: float) -> dict[str, Any]:
    """Median period, and how far periods are from the wanted one."""
    import numpy as np

    if len(written_ns) < 3:
        raise GraphError("The executor sent no commands.", "Its log above says why.")
    moments = np.array(written_ns, dtype=np.int64)
    periods_ms = (moments[1:] - moments[:-1]).astype(np.float64) / 1e6
    off_ms = np.abs(periods_ms - wanted_ms)
    return {
        "period_ms": float(np.median(periods_ms)),
        "jitter_p50_ms": float(np.percentile(off_ms, 50)),
        "jitter_p99_ms": float(np.percentile(off_ms, 99)),
        "jitter_max_ms": float(off_ms.max()),
        "n": len(periods_ms),
    }


def _camera_settings(robot_name: str) -> list[str]:
    """As on a robot: each camera 640x480 at 30 Hz, whatever the control rate."""
    from vla_mbpo_ros.robots import get_robot

    wanted = {"width": 640, "height": 480, "hz": 30.0}
    names = get_robot(robot_name).camera_names
    return [f"cameras.{name}.{key}={value}" for name in names for key, value in wanted.items()]


def _graph(args: argparse.Namespace) -> GraphSpec:
    from vla_mbpo_ros.bringup.environment import kept_here
    from vla_mbpo_ros.bringup.graph import graph_for

    options = Options(
        args.robot_name,
        cameras="synthetic",
        robot="sink",
        record=False,
        supervise=False,
        namespace=f"bench_{os.getpid()}",
        set=(f"control_hz={args.hz}", *_camera_settings(args.robot_name)),
    )
    graph = graph_for(options, kept_here(os.environ))
    return replace(
        graph, nodes=tuple(_prioritised(node, args.priority) for node in graph.nodes if node.name != "policy_node")
    )


def _prioritised(node: NodeSpec, priority: int) -> NodeSpec:
    if PRIORITY not in node.parameters:
        return node
    return replace(node, parameters={**node.parameters, PRIORITY: priority})


def _measure(graph: GraphSpec, processes: Processes, seconds: float) -> list[int]:
    """Moments (ns) at which commands were written, after the first second of commanding."""
    import rclpy

    from vla_mbpo_ros.cli.chunk_source import ChunkSource

    rclpy.init()
    source = ChunkSource(graph)

    def spin_until(done: Callable[[], bool], limit_s: float, what: str) -> None:
        end = time.monotonic() + limit_s
        while not done():
            if time.monotonic() > end:
                raise GraphError(f"No sign of {what} for {limit_s:.0f} s.", "See the nodes' logs above.")
            processes.check()
            source.spin(0.05)

    try:
        spin_until(source.ready, _START_S, "the executor and the robot")
        source.enable()
        spin_until(lambda: len(source.written_ns) > 0, _START_S, "commands")
        begin_s = time.monotonic() + _SETTLE_S
        spin_until(lambda: time.monotonic() > begin_s, _START_S, "time")
        source.written_ns.clear()
        end_s = time.monotonic() + seconds
        spin_until(lambda: time.monotonic() > end_s, seconds + _START_S, "time")
        return list(source.written_ns)
    finally:
        source.node.destroy_node()
        rclpy.try_shutdown()
