"""`vla-mbpo bags import FORMAT SOURCE --to FOLDER`: a foreign data set as ordinary bags, one for each episode."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.bags_transfer import add_common, conclude, progress_bar
from vla_mbpo_ros.cli.common import new_command

if TYPE_CHECKING:
    from vla_mbpo_ros.data.formats.importing import Source

_DOC = "Turn a data set of another format into bags."
_EXAMPLES = {
    "lerobot": """examples:
  vla-mbpo bags import lerobot aloha_cube --to bags/aloha
  vla-mbpo bags import lerobot cube_lerobot --to bags/cube --robot arx_x5 \\
      --cameras head=cam_high,left_wrist=cam_left""",
    "hdf5": """examples:
  vla-mbpo bags import hdf5 libero_object --to bags/libero
  vla-mbpo bags import hdf5 demo.hdf5 --to bags/one --state ee_states,gripper_states --orientation rotate-180""",
    "rlds": """examples:
  vla-mbpo bags import rlds bridge/1.0.0 --to bags/bridge --fps 5
  vla-mbpo bags import rlds my_set/1.0.0 --to bags/mine --fps 15 --state state --split val""",
}


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser("import", help=_DOC, description=_DOC)
    formats = parser.add_subparsers(title="formats", required=True, metavar="FORMAT")
    _format(formats, "lerobot", "A LeRobot data set, v3.0 or v2.x.", _run_lerobot)
    hdf5 = _format(formats, "hdf5", "HDF5 demonstrations of LIBERO, of robomimic, or our own.", _run_hdf5)
    hdf5.add_argument("--fps", type=float, help="rows a second; the file's own control_freq if not given")
    hdf5.add_argument("--state", default="", help="what of obs/ is the state: joint_states,gripper_states if not given")
    hdf5.add_argument(
        "--orientation",
        default="auto",
        help="auto: the true view, by the file's own word (LIBERO's images are upside down); stored: as is; flip; "
        "rotate-180: as many LIBERO policies want them, upright but mirrored",
    )
    rlds = _format(formats, "rlds", "A folder of TFRecord files with features.json, as TFDS writes RLDS.", _run_rlds)
    rlds.add_argument("--fps", type=float, required=True, help="rows a second; the format does not say")
    rlds.add_argument("--state", default="", help="what of observation/ is the state, in this order")
    rlds.add_argument("--split", default="", help="only this split; all if not given")


def _format(formats: Any, name: str, doc: str, run: Any) -> argparse.ArgumentParser:
    parser = new_command(formats, name, doc, run)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES[name]
    parser.add_argument("source", type=Path, help="the data set")
    parser.add_argument("--robot", default="", help="its columns are the joints of this robot, as arx_x5")
    add_common(parser, "folder of bags to make; it must not exist")
    return parser


def _run_lerobot(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.data.formats.columns import read_pairs
    from vla_mbpo_ros.data.formats.lerobot.read import LeRobotSource

    return _run(args, "lerobot", LeRobotSource(args.source, args.robot, read_pairs(args.cameras)))


def _run_hdf5(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.data.formats.columns import read_pairs
    from vla_mbpo_ros.data.formats.hdf5.read import Hdf5Source

    cameras, state = read_pairs(args.cameras), [key for key in args.state.split(",") if key]
    return _run(args, "hdf5", Hdf5Source(args.source, args.robot, cameras, state, args.orientation, args.fps))


def _run_rlds(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.data.formats.columns import read_pairs
    from vla_mbpo_ros.data.formats.rlds.read import RldsSource

    cameras, state = read_pairs(args.cameras), [key for key in args.state.split(",") if key]
    return _run(args, "rlds", RldsSource(args.source, args.fps, args.robot, cameras, state, args.split))


def _run(args: argparse.Namespace, name: str, source: Source) -> int:
    from vla_mbpo_ros.data.formats.importing import import_episodes

    try:
        with progress_bar(f"importing {args.source}", source.count, args.json) as on_progress:
            report = import_episodes(name, source, args.source.stem, args.to, on_progress)
    finally:
        source.close()
    return conclude(args, report)
