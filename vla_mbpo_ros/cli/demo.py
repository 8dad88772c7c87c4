"""`vla-mbpo demo`: the first flow, whole. The twin's graph runs episodes, records them, and shows what came of it."""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit, say
from vla_mbpo_ros.errors import ConfigError, GraphError

if TYPE_CHECKING:
    from vla_mbpo_ros.bringup.run_folder import RunFolder
    from vla_mbpo_ros.cli.demo_view import DemoView
    from vla_mbpo_ros.evaluation.episode_report import EpisodeReport

_DOC = "Run the whole flow on the robot's twin: act, record, check the bags, draw what happened."
_MORE = "Logs and pictures go to a new folder under runs/, bags to bags/. Nothing reaches beyond this machine."
DOMAINS = range(1, 101)  # ROS_DOMAIN_IDs that are safe on every platform


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "demo", _DOC, run, _MORE)
    parser.add_argument("--robot", dest="robot_name", default="arx_x5", help="which robot's twin (default: arx_x5)")
    parser.add_argument("--episodes", type=int, default=3, metavar="N", help="episodes to run (default: 3)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="layout of the first episode (default: 0)")


def run(args: argparse.Namespace) -> int:
    if args.episodes < 1 or args.seed < 0:
        raise ConfigError("--episodes must be 1 or more and --seed 0 or more.", "Leave them out for the defaults.")
    from vla_mbpo_ros.cli.demo_view import make_demo_view, show_summary

    _keep_to_ourselves()
    with make_demo_view(plain=args.json, episodes=args.episodes) as view:
        folder, bags = _act(args, view)
        reports = [_report(bag, folder, view) for bag in bags]
    problems = [problem for report in reports for problem in report.problems]
    result = {
        "ok": not problems,
        "run": str(folder.path),
        "episodes": [report.as_dict() for report in reports],
        "problems": problems,
    }
    emit(args, result, lambda: show_summary(reports, folder.path))
    if problems:
        say(f"error: {' '.join(problems)}")
        return GraphError.exit_code
    return 0


def _act(args: argparse.Namespace, view: DemoView) -> tuple[RunFolder, list[Path]]:
    """Run the episodes; the folder of the run and the bags that are in it."""
    from vla_mbpo_ros.bringup.episodes import run_episode
    from vla_mbpo_ros.bringup.graph import graph_for
    from vla_mbpo_ros.bringup.options import Options
    from vla_mbpo_ros.bringup.run_folder import make_run_folder
    from vla_mbpo_ros.bringup.session import Session

    graph = graph_for(Options(args.robot_name, sim=True, act=False))
    folder = make_run_folder(graph)
    view.began(graph, folder)
    results = []
    with Session(graph, folder, echo=view.echo) as session:
        session.wait_until_active(tick=view.tick)
        for index in range(args.episodes):
            view.episode(index, graph.config.supervisor.max_episode_s)
            result = run_episode(session, seed=args.seed + index, watch=view.feedback)
            view.ended(index, result)
            results.append(result)
            if not result.ok:
                raise GraphError(f"Episode {index + 1} broke off: {result.message}", f"The logs are in {folder.logs}.")
    return folder, [Path(result.bag_path) for result in results]


def _report(bag: Path, folder: RunFolder, view: DemoView) -> EpisodeReport:
    from vla_mbpo_ros.evaluation.episode_report import report_episode

    view.working(f"checking and drawing {bag.name}")
    return report_episode(bag, folder.path)


def _keep_to_ourselves() -> None:
    """A ROS domain of our own, unless the user chose one, so that two demos on one machine do not meet."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.choice(DOMAINS)))
