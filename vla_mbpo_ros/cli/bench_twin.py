"""`vla-mbpo bench twin`: control steps a second of the simulated robot, with a picture of every camera at each step."""

from __future__ import annotations

import argparse
from typing import Any

from vla_mbpo_ros.bringup.options import Options
from vla_mbpo_ros.cli.bench import add_out, conclude
from vla_mbpo_ros.cli.common import new_command

_DOC = "Control steps a second of the simulated robot, with a picture of every camera at each step."


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "twin", _DOC, run)
    parser.add_argument("robot_name", metavar="ROBOT", nargs="?", default="arx_x5")
    parser.add_argument("--steps", type=int, default=300, help="control steps to measure")
    parser.add_argument("--width", type=int, default=64, help="pixels")
    parser.add_argument("--height", type=int, default=64, help="pixels")
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.bringup.settings import settings_for
    from vla_mbpo_ros.config_io import update
    from vla_mbpo_ros.sim.benchmark import measure

    cfg = settings_for(Options(args.robot_name, sim=True))
    size = {"width": args.width, "height": args.height}
    changes = {f"cameras.{name}.{side}": pixels for name in cfg.cameras for side, pixels in size.items()}
    return conclude(args, "twin", measure(update(cfg, changes, "the options"), args.steps))
