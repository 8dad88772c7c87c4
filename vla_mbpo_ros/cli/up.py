"""`vla-mbpo up ROBOT`: start a robot's whole graph without ROS launch, watch it, stop it together."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.bringup.options import add_options, options_from_args
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit, say
from vla_mbpo_ros.errors import ConfigError, GraphError

if TYPE_CHECKING:
    from vla_mbpo_ros.bringup.report import Report
    from vla_mbpo_ros.bringup.session import Session

_DOC = "Start a robot's whole graph, watch it, and stop it together."
_MORE = (
    "Ends after --duration or on Ctrl-C; the exit code is 0 when every topic kept its rate, nothing was "
    "restarted and nothing complained."
)


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "up", _DOC, run, _MORE)
    parser.add_argument("robot_name", metavar="ROBOT", help="which robot, for example arx_x5")
    parser.add_argument(
        "--duration",
        type=float,
        default=math.inf,
        metavar="S",
        help="seconds to run once the graph is active",
    )
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    if not args.duration > 0.0:
        raise ConfigError(f"--duration is {args.duration}.", "Give a number of seconds above 0.")
    report = _run_graph(args)
    from vla_mbpo_ros.cli.up_view import show_report

    emit(args, report.as_dict(), lambda: show_report(report))
    if report.ok:
        return 0
    say(f"error: The graph did not do as promised: {' '.join(report.problems)}")
    return GraphError.exit_code


def _run_graph(args: argparse.Namespace) -> Report:
    from vla_mbpo_ros.bringup.graph import graph_for
    from vla_mbpo_ros.bringup.run_folder import make_run_folder
    from vla_mbpo_ros.bringup.session import Session
    from vla_mbpo_ros.cli.up_view import make_view

    graph = graph_for(options_from_args(args.robot_name, args))
    run_folder = make_run_folder(graph)
    for note in graph.notes:
        say(f"note: {note}")
    say(f"Logs and settings of this run: {run_folder.path}")
    with make_view(plain=args.json) as view, Session(graph, run_folder, echo=view.echo) as session:
        return _watch(session, view, args.duration)


def _watch(session: Session, view: Any, duration_s: float) -> Report:
    try:
        session.wait_until_active(tick=view.tick)
        session.measure(duration_s, tick=view.tick)
    except KeyboardInterrupt:
        if session.phase != "active":
            raise
    return session.report()
