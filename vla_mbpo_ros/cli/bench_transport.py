"""`vla-mbpo bench transport`: images between two processes, with our Fast DDS profiles and without.

Three cameras publish at the same moment, as the paper's robots do; all transports are measured in one run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from vla_mbpo_ros.cli.bench import add_out, conclude
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import say
from vla_mbpo_ros.errors import GraphError

_ENDS = "vla_mbpo_ros.cli.transport_ends"
_PATIENCE_S = 30.0  # for start and end of the two processes, beside the measurement
_DOC = "Camera images between two processes: losses and latency, by shared memory, by sockets, and by default."


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "transport", _DOC, run)
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--width", type=int, default=640, help="pixels")
    parser.add_argument("--height", type=int, default=480, help="pixels")
    parser.add_argument("--hz", type=float, default=30.0, help="images a second of each camera")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    parser.add_argument("--reliable", action="store_true", help="reliable delivery instead of best effort")
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.bringup.environment import environment_for, kept_here
    from vla_mbpo_ros.bringup.transport import PROFILE_NAMES
    from vla_mbpo_ros.config import SHARED_MEMORY, SOCKETS

    bare = kept_here({name: value for name, value in os.environ.items() if name not in PROFILE_NAMES})
    ours = _measure(args, "shared-memory", environment_for(True, bare, SHARED_MEMORY).over(bare))
    sockets = _measure(args, "sockets", environment_for(True, bare, SOCKETS).over(bare))
    default = _measure(args, "default", bare)
    others = {f"sockets_{key}": value for key, value in sockets.items()}
    others |= {f"default_{key}": value for key, value in default.items()}
    return conclude(args, "transport", {**ours, **others})


def _measure(args: argparse.Namespace, label: str, environment: Mapping[str, str]) -> dict[str, Any]:
    say(f"measuring with the {label} transport for {args.seconds:g} s")
    task = json.dumps(
        {
            "prefix": f"bench_{os.getpid()}_{label.replace('-', '_')}",
            "cameras": args.cameras,
            "width": args.width,
            "height": args.height,
            "hz": args.hz,
            "frames": round(args.hz * args.seconds),
            "reliable": args.reliable,
        }
    )
    receiver = _start("receive", task, environment)
    publisher = _start("publish", task, environment)
    try:
        sent = _answer(publisher, "publisher", args.seconds)
        received = _answer(receiver, "receiver", args.seconds)
    finally:
        receiver.kill()
        publisher.kill()
    return {
        "sent": sent["sent"],
        "lost": sent["sent"] - received["received"],
        "p50_ms": received["p50_ms"],
        "p95_ms": received["p95_ms"],
    }


def _start(end: str, task: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", _ENDS, end, task]
    return subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, text=True)


def _answer(process: subprocess.Popen[str], name: str, seconds: float) -> dict[str, Any]:
    try:
        out, _ = process.communicate(timeout=seconds + _PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise GraphError(f"The {name} did not end.", "Is another run using this ROS_DOMAIN_ID?") from error
    if process.returncode != 0:
        raise GraphError(f"The {name} ended with exit code {process.returncode}.", "See what it wrote above.")
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    return answer
