"""`vla-mbpo train world-model`: what a chunk leads to, learnt from bags or on the tabletop."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit
from vla_mbpo_ros.cli.train_policy import check_device
from vla_mbpo_ros.errors import ConfigError

WORLD = "world_model"
UMM, VIDEO = "umm", "video"
_DOC = "Train a world model: on recorded bags (--data), or on the tabletop's own episodes."
_MORE = (
    "OUT gets the world model, its autoencoder, the curve as CSV, pictures of held-out dreams, and what is needed to "
    "go on where an interrupted training was."
)


def add(names: Any) -> None:
    parser = new_command(names, "world-model", _DOC, run, _MORE)
    text = "umm: UMM-World; video: its rival that predicts every frame, on the tabletop only (default: umm)"
    parser.add_argument("--model", choices=(UMM, VIDEO), default=UMM, help=text)
    parser.add_argument("--preset", choices=("tiny", "small"), default="tiny", help="sizes (default: tiny)")
    parser.add_argument("--no-ivd", action="store_true", help="without interleaved view decoding")
    text = "one that is trained already, of this size (default: a new one, first of all)"
    parser.add_argument("--autoencoder", type=Path, metavar="FOLDER", help=text)
    text = "a world model of the same kind to begin with: its network and autoencoder (default: a random start)"
    parser.add_argument("--parent", type=Path, metavar="FOLDER", help=text)
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder of the training")
    text = "change settings: steps=4000, autoencoder.steps=2000, network.sampler.euler_steps=4"
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=text)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where it learns (default: cpu)")
    bags = parser.add_argument_group("from bags")
    bags.add_argument("--data", nargs="+", type=Path, default=[], metavar="FOLDER", help="folders of bags")
    bags.add_argument("--horizon", type=int, default=10, help="control steps of a chunk (default: 10)")
    bags.add_argument("--held-out", type=float, default=0.1, help="share of episodes to test with (default: 0.1)")
    bags.add_argument("--stride", type=int, default=1, help="learn from every so many-th row (default: 1)")
    bags.add_argument(
        "--cache", type=Path, metavar="FOLDER", help="where images and latents go (default: FOLDER/.cache)"
    )
    table = parser.add_argument_group("on the tabletop")
    table.add_argument("--task", nargs="+", default=["all"], metavar="TASK", help="tasks (default: all)")
    table.add_argument("--episodes", type=int, default=300, help="episodes a task (default: 300)")
    text = "policies whose own episodes are learnt from too, as many as of the clumsy experts in all"
    table.add_argument("--policy", nargs="+", type=Path, default=[], metavar="FOLDER", help=text)
    table.add_argument("--workers", type=int, default=2, help="simulator processes (default: 2)")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.models.need import need

    need("torch")
    _check(args)
    if args.model == VIDEO:
        from vla_mbpo_ros.cli.train_world_model_video import show, train
    else:
        from vla_mbpo_ros.cli.train_world_model_umm import show, train
    result = train(args)
    if result is not None:  # of several processes one speaks
        emit(args, {"ok": True, **result}, lambda: show(result))
    return 0


def _check(args: argparse.Namespace) -> None:
    if (args.out / WORLD).exists():
        raise ConfigError(f"{args.out / WORLD} exists already, not overwriting.", "Give another folder.")
    if args.seed < 0 or args.episodes < 1 or args.horizon < 1 or args.stride < 1:
        cause = f"seed {args.seed}, episodes {args.episodes}, horizon {args.horizon}, stride {args.stride}."
        raise ConfigError(cause, "Give a seed from 0 on, the others from 1 on.")
    if not 0.0 <= args.held_out < 1.0:
        raise ConfigError(f"--held-out is {args.held_out}.", "Give a share from 0 to below 1.")
    if args.data and (args.policy or args.task != ["all"]):
        raise ConfigError("--data gives bags, --task and --policy play on the tabletop.", "Leave one of the two out.")
    if args.parent is not None and (args.autoencoder or args.no_ivd or args.preset != "tiny"):
        cause = "--parent brings its own autoencoder and network, with or without interleaving."
        raise ConfigError(cause, "Leave --autoencoder, --no-ivd and --preset out.")
    given = args.data or args.no_ivd or args.preset != "tiny" or args.device != "cpu"
    if args.model == VIDEO and given:
        cause = "video has one preset, and learns on the tabletop, on the CPU."
        raise ConfigError(cause, "Leave --data, --no-ivd, --preset and --device out.")
    check_device(args.device)
    if not args.data and int(os.environ.get("WORLD_SIZE", "1")) > 1:  # torchrun sets it
        raise ConfigError("Several processes learn from bags only.", "Give --data, or start it without torchrun.")
