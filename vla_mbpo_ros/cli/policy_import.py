"""`vla-mbpo policy import PATH OUT`: a checkpoint of openpi or lerobot becomes a policy of ours, to train from."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.policy.flow.normalisation import Normalisation
    from vla_mbpo_ros.robots import RobotSpec

_DOC = "Make a checkpoint of openpi or lerobot (pi0, pi0.5) a policy of ours."
_MORE = "Nothing is fetched: the tokenizer is a file of your own, PaliGemma's sentencepiece model."


def add(names: Any) -> None:
    parser = new_command(names, "import", _DOC, run, _MORE)
    parser.add_argument("path", metavar="PATH", type=Path, help="folder of the checkpoint")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    parser.add_argument(
        "--robot", required=True, help="whose joints its columns are, and whose cameras it sees through"
    )
    parser.add_argument("--tokenizer", required=True, metavar="FILE", help="sentencepiece model; bytes: none")
    parser.add_argument("--camera", nargs="+", default=[], metavar="SLOT=CAMERA", help="SLOT= leaves one empty")
    parser.add_argument("--horizon", type=int, default=0, help="steps of a chunk, where the checkpoint does not say")
    parser.add_argument("--prompt", choices=("plain", "state"), default="", help="where it is not the usual one")
    parser.add_argument("--relative", nargs="+", default=[], metavar="JOINT", help="actions relative to the state")
    parser.add_argument("--assets", default="", metavar="NAME", help="openpi: whose statistics, if there are several")
    parser.add_argument("--stats", type=Path, metavar="FILE", help="of `dataset stats`, instead of the checkpoint's")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps (default: 10)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="", help="default: as it is")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.models.need import need

    need("torch")
    if args.out.exists():
        raise ConfigError(f"{args.out} exists already, not overwriting.", "Give another folder.")
    from vla_mbpo_ros.config_io import update
    from vla_mbpo_ros.policy.checkpoint import Lineage, save_policy
    from vla_mbpo_ros.policy.flow.config import FlowConfig
    from vla_mbpo_ros.policy.pi.foreign import Foreign, load_foreign, look, slots_of
    from vla_mbpo_ros.robots import get_robot

    robot, found = get_robot(args.robot), look(args.path, args.horizon)
    told = Foreign(
        tokenizer=args.tokenizer,
        cameras=_cameras(args, robot, slots_of(found)),
        state_names=robot.names,
        action_names=robot.names,
        horizon=args.horizon,
        prompt=args.prompt,
        relative=tuple(args.relative),
        assets=args.assets,
        normalisation=_normalisation(args, robot, found.network.kind),
        flow=update(FlowConfig(), {"steps": args.steps}, "--steps"),
    )
    policy = load_foreign(args.path, told, dtype=args.dtype)
    source = f"imported from {args.path.name}, {found.layout}, {policy.version}"
    written = save_policy(policy, args.out, Lineage(notes=(source,)))
    cameras = dict(policy.maker.cfg.cameras)
    result = {"policy": str(args.out), "version": written.version, "layout": found.layout, "cameras": cameras}
    emit(args, {"ok": True, **result}, lambda: _show(result))
    return 0


def _cameras(args: argparse.Namespace, robot: RobotSpec, slots: Sequence[str]) -> dict[str, str]:
    """The usual ones that the robot has, and what --camera says."""
    from vla_mbpo_ros.policy.pi.foreign import CAMERAS

    usual = {slot: CAMERAS.get(slot, slot) for slot in slots}
    told = {slot: camera if camera in robot.camera_names else "" for slot, camera in usual.items()}
    for text in args.camera:
        slot, equals, camera = text.partition("=")
        if not equals or camera not in ("", *robot.camera_names):
            cure = f"Write SLOT=CAMERA; {robot.name} has {', '.join(robot.camera_names)}."
            raise ConfigError(f"--camera got '{text}'.", cure)
        told[slot] = camera
    return told


def _normalisation(args: argparse.Namespace, robot: RobotSpec, kind: str) -> Normalisation | None:
    if args.stats is None:
        return None
    from vla_mbpo_ros.data.dataset import load_statistics
    from vla_mbpo_ros.policy.flow.normalisation import from_statistics
    from vla_mbpo_ros.policy.pi.config import STATISTICS

    return from_statistics(load_statistics(args.stats, robot.names, robot.names), STATISTICS[kind])


def _show(result: dict[str, Any]) -> None:
    print(f"{result['version']} in {result['policy']}, from {result['layout']}")
    for slot, camera in result["cameras"].items():
        print(f"  {slot} sees {camera or 'nothing'}")
