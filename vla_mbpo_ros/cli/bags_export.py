"""`vla-mbpo bags export FORMAT BAGS... --to DIR`: recordings as a LeRobot data set or as HDF5 demonstrations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.bags_common import gather
from vla_mbpo_ros.cli.bags_transfer import add_common, conclude, progress_bar
from vla_mbpo_ros.cli.common import new_command

if TYPE_CHECKING:
    from vla_mbpo_ros.data.formats.exporting import MakeWriter

_DOC = "Write recordings as a data set of another format."
_EXAMPLES = {
    "lerobot": """examples:
  vla-mbpo bags export lerobot bags --to cube_lerobot
  vla-mbpo bags export lerobot bags --to cube_lerobot --outcome success --fps 10 --codec av1 --crf 30
  vla-mbpo bags export lerobot bags/ep_0001 bags/ep_0002 --to exact --codec png""",
    "hdf5": """examples:
  vla-mbpo bags export hdf5 bags --to cube_hdf5
  vla-mbpo bags export hdf5 bags --to cube_libero --cameras head=agentview,left_wrist=eye_in_hand \\
      --image-convention opengl""",
}


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser("export", help=_DOC, description=_DOC)
    formats = parser.add_subparsers(title="formats", required=True, metavar="FORMAT")
    lerobot = _format(formats, "lerobot", "A LeRobot v3.0 data set: parquet and mp4.", _run_lerobot)
    lerobot.add_argument("--codec", default="h264", help="h264, av1, or png: files in the parquet, nothing lost")
    lerobot.add_argument("--crf", type=int, default=20, help="quality of the video: lower is better and larger")
    hdf5 = _format(formats, "hdf5", "HDF5 demonstrations as robomimic and LIBERO read them.", _run_hdf5)
    hdf5.add_argument(
        "--image-convention",
        default="opencv",
        help="opencv: the first row on top; opengl: upside down, as LIBERO's own files are",
    )


def _format(formats: Any, name: str, doc: str, run: Any) -> argparse.ArgumentParser:
    parser = new_command(formats, name, doc, run)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES[name]
    parser.add_argument("bags", metavar="BAG", nargs="+", type=Path, help="bags, or folders of bags")
    parser.add_argument("--fps", type=int, help="rows a second; the control rate of the first episode if not given")
    parser.add_argument(
        "--gaps", default="split", help="split: a piece between any two gaps; skip: leave such episodes"
    )
    parser.add_argument("--outcome", default="", help="only episodes of this outcome, as success")
    add_common(parser, "folder to make; it must not exist")
    return parser


def _run_lerobot(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.data.formats.columns import read_pairs
    from vla_mbpo_ros.data.formats.lerobot.write import LeRobotWriter, check_options

    check_options(args.codec, args.crf)
    cameras = read_pairs(args.cameras)
    return _run(args, "lerobot", lambda folder, fps: LeRobotWriter(folder, fps, args.codec, args.crf, cameras))


def _run_hdf5(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.data.formats.columns import read_pairs
    from vla_mbpo_ros.data.formats.hdf5.write import Hdf5Writer, check_options

    check_options(args.image_convention)
    cameras = read_pairs(args.cameras)
    return _run(args, "hdf5", lambda folder, fps: Hdf5Writer(folder, fps, cameras, args.image_convention))


def _run(args: argparse.Namespace, name: str, make: MakeWriter) -> int:
    from vla_mbpo_ros.data.episodes.reader import read_episode
    from vla_mbpo_ros.data.formats.columns import read_pairs
    from vla_mbpo_ros.data.formats.exporting import Choice, export

    bags = gather(args.bags)
    choice = Choice(args.fps, args.gaps, args.outcome, read_pairs(args.cameras))
    with progress_bar(f"exporting {len(bags)} bags", len(bags), args.json) as on_progress:
        report = export(name, bags, args.to, make, read_episode, choice, on_progress)
    return conclude(args, report)
