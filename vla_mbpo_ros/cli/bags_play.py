"""`vla-mbpo bags play BAG`: a recording as live topics, in place of cameras and a robot's joints."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.bags_common import add_folder, locate
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit, say

if TYPE_CHECKING:
    from vla_mbpo_ros.bringup.playback import Played, Progress
    from vla_mbpo_ros.data.player import Item, Plan

_DOC = "Play a bag as live topics, on this machine only."
_MORE = (
    "Commands are held back, and nothing is published on a topic that somebody else publishes. "
    "/clock follows the bag, for nodes with use_sim_time; with --restamp stamps are those of now instead."
)
_REDRAW_S = 0.1


def add(verbs: Any) -> None:
    parser = new_command(verbs, "play", _DOC, run, _MORE)
    parser.add_argument("bag", metavar="BAG", help="its path, or the id of its episode")
    add_folder(parser)
    parser.add_argument("--rate", type=float, default=1.0, help="how many times as fast as recorded (default: 1)")
    parser.add_argument("--loop", action="store_true", help="again and again until Ctrl-C; time goes on meanwhile")
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="seconds of the bag to leave out")
    parser.add_argument("--duration", type=float, default=math.inf, metavar="S", help="seconds of the bag to play")
    parser.add_argument("--topics", nargs="+", default=[], metavar="TOPIC", help="only these, as the bag names them")
    parser.add_argument("--no-clock", action="store_true", help="do not publish /clock")
    parser.add_argument("--restamp", action="store_true", help="move all stamps to now; publishes no /clock")
    parser.add_argument("--namespace", default="", metavar="NS", help="play all topics below this name")
    parser.add_argument("--commands", action="store_true", help="play commands too; refused while a robot_node runs")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.bringup.playback import Playback
    from vla_mbpo_ros.data.bags.foreign import open_bag
    from vla_mbpo_ros.data.player import plan_playing

    bag = open_bag(locate(args.bag, args.folder) if not Path(args.bag).exists() else Path(args.bag))
    with Playback(plan_playing(bag, _choice(args)), args.namespace) as playback:
        plan = playback.plan
        _announce(plan)
        with _progress(plan, args.json) as progress:
            played = playback.run(progress)
    emit(args, _result(plan, played), lambda: _show(played))
    return 0


def _choice(args: argparse.Namespace) -> Any:
    from vla_mbpo_ros.data.player import Choice

    return Choice(
        rate=args.rate,
        loop=args.loop,
        start_s=args.start,
        duration_s=args.duration,
        topics=tuple(args.topics),
        commands=args.commands,
        clock=not args.no_clock,
        restamp=args.restamp,
    )


def _announce(plan: Plan) -> None:
    say(f"Playing {len(plan.topics)} topics of {plan.bag.path}.")
    if plan.held_back:
        say(f"Held back: {', '.join(plan.held_back)}.")
    for name, reason in plan.skipped.items():
        say(f"Skipped: {name}: {reason}")


@contextmanager
def _progress(plan: Plan, quiet: bool) -> Iterator[Progress]:
    """A bar over one round of the bag, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda played, item: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.completed:.1f} of {task.total:.1f} s"), BarColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True)) as bar:
        yield _drawer(plan, bar)


def _drawer(plan: Plan, bar: Any) -> Progress:
    length_s = (plan.end_ns - plan.start_ns) * 1e-9
    task, next_s = bar.add_task("", total=length_s), 0.0

    def draw(played: Played, item: Item) -> None:
        nonlocal next_s
        now_s = time.monotonic()
        if now_s >= next_s:
            next_s = now_s + _REDRAW_S
            at_s = (item.bag_ns - plan.start_ns) * 1e-9
            said = f"{played.counts.total()} messages, {played.late} late"
            bar.update(task, completed=at_s % length_s if length_s > 0.0 else 0.0, description=said)

    return draw


def _result(plan: Plan, played: Played) -> dict[str, Any]:
    return {
        "ok": True,
        "bag": str(plan.bag.path),
        "messages": played.counts.total(),
        "late": played.late,
        "max_late_ms": played.max_late_s * 1e3,
        "duration_s": played.duration_s,
        "interrupted": played.interrupted,
        "topics": {name: played.counts[name] for name in plan.topics},
        "held_back": list(plan.held_back),
        "skipped": dict(plan.skipped),
    }


def _show(played: Played) -> None:
    from vla_mbpo_ros.bringup.playback import LATE_S

    late = f"{played.late} more than {LATE_S * 1e3:.0f} ms late, at most {played.max_late_s * 1e3:.0f} ms"
    end = " Ended by Ctrl-C." if played.interrupted else ""
    print(f"{played.counts.total()} messages in {played.duration_s:.1f} s, {late}.{end}")
