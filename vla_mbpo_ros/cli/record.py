"""`vla-mbpo record`: steer the recorder of a running graph from a terminal, by keys or for so many seconds."""

from __future__ import annotations

import argparse
import math
import sys
import time
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit, say
from vla_mbpo_ros.config import OUTCOMES
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.cli.record_client import RecorderClient

_DOC = "Record episodes of a running graph: by keys, or once with --seconds."
_MORE = "On a terminal, without --seconds, keys start and end recordings; they are shown."


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "record", _DOC, run, _MORE)
    parser.add_argument("--seconds", type=float, metavar="S", help="record once, for so long, without asking anything")
    parser.add_argument("--outcome", default="unknown", choices=OUTCOMES[:3], help="how it went; with --seconds")
    parser.add_argument("--note", default="", help="free text that goes into the bags")
    parser.add_argument("--instruction", default="", help="what the robot is asked to do; empty: the graph's own")
    parser.add_argument("--namespace", default="", help="ROS namespace of the graph")
    parser.add_argument(
        "--wait", type=float, default=10.0, metavar="S", help="longest wait for fresh sources (default: 10)"
    )


def run(args: argparse.Namespace) -> int:
    live = args.seconds is None
    if live and (args.json or not (sys.stdin.isatty() and sys.stderr.isatty())):
        raise ConfigError("There is no terminal for keys and a live status.", "Say for how long, as in --seconds 10.")
    for name, value in (("--seconds", args.seconds), ("--wait", args.wait)):
        if value is not None and not (0.0 < value < math.inf):
            raise ConfigError(f"{name} is {value}.", "Give a number of seconds above 0.")
    from vla_mbpo_ros.cli.record_client import RecorderClient

    with RecorderClient(args.namespace) as recorder:
        if live:
            from vla_mbpo_ros.cli.record_live import record_live

            record_live(recorder, args.instruction, args.note, args.wait)
            return 0
        result = record_once(recorder, args)
    emit(args, result, lambda: _show(result))
    return 0


def record_once(recorder: RecorderClient, args: argparse.Namespace) -> dict[str, Any]:
    """One recording from start to closed bag. What goes wrong ends it as well, with outcome unknown."""
    began = recorder.start(args.instruction, args.wait)
    say(f"Recording {began.bag_path}")
    try:
        end_s = time.monotonic() + args.seconds
        while time.monotonic() < end_s and recorder.is_recording:
            recorder.spin(min(0.1, max(end_s - time.monotonic(), 0.001)))
    except BaseException:
        recorder.stop(0, "Interrupted.")
        raise
    ended = recorder.stop(OUTCOMES.index(args.outcome), args.note)
    return _result(ended)


def _result(ended: Any) -> dict[str, Any]:
    status = ended.status
    rows = zip(status.topics, status.received, status.written, status.lost, strict=True)
    return {
        "ok": True,
        "episode_id": ended.episode_id,
        "bag_path": ended.bag_path,
        "outcome": OUTCOMES[status.outcome],
        "duration_s": float(status.duration_s),
        "bytes": int(status.bytes_written),
        "lost": int(sum(status.lost)),
        "topics": {name: {"received": int(r), "written": int(w), "lost": int(lo)} for name, r, w, lo in rows},
    }


def _show(result: dict[str, Any]) -> None:
    written = sum(topic["written"] for topic in result["topics"].values())
    print(
        f"{result['bag_path']}: {result['outcome']}, {result['duration_s']:.1f} s, {written} messages, "
        f"{result['bytes'] / 1e6:.1f} MB, {result['lost']} lost"
    )
