"""`vla-mbpo train policy`: by imitation of bags or of experts, by trial in the simulator, or on branches."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit
from vla_mbpo_ros.errors import ConfigError

SFT, ONLINE_PPO, BRANCHED_PPO = "sft", "online_ppo", "branched_ppo"
POLICY = "policy"
_DOC = (
    "Train a policy: by imitation (sft) of recorded bags (--data) or of the tabletop's experts, by trial on the "
    "tabletop (online_ppo), or on short branches from its own episodes, in a dream or in the simulator (branched_ppo)."
)
_MORE = "OUT gets the policy, the curve as CSV, and what is needed to go on where an interrupted training was."


def add(names: Any) -> None:
    parser = new_command(names, "policy", _DOC, run, _MORE)
    parser.add_argument("--algorithm", choices=(SFT, ONLINE_PPO, BRANCHED_PPO), default=SFT, help=f"default: {SFT}")
    parser.add_argument("--parent", type=Path, metavar="FOLDER", help="policy to begin with (default: a new one)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder of the training")
    text = "change settings, such as lr=0.0005"
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=text)
    bags = parser.add_argument_group("from bags")
    bags.add_argument("--data", nargs="+", type=Path, default=[], metavar="FOLDER", help="folders of bags")
    bags.add_argument("--policy", choices=("tiny",), default="tiny", help="kind of a new policy (default: tiny)")
    bags.add_argument("--horizon", type=int, help="steps in a chunk of a new policy (default: 16)")
    bags.add_argument("--image-size", type=int, help="side of a new policy's images (default: 64)")
    bags.add_argument("--held-out", type=float, default=0.1, help="share of episodes to test with (default: 0.1)")
    bags.add_argument("--outcomes", nargs="+", default=["success"], help="which episodes (default: success)")
    bags.add_argument("--stride", type=int, default=1, help="learn from every so many-th row (default: 1)")
    bags.add_argument("--cache", type=Path, metavar="FOLDER", help="where decoded images go (default: FOLDER/.cache)")
    bags.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where it learns (default: cpu)")
    table = parser.add_argument_group("on the tabletop")
    table.add_argument("--task", nargs="+", default=["all"], metavar="TASK", help="tasks (default: all)")
    table.add_argument("--demos", type=int, default=20, help="demonstrations a task (default: 20)")
    text = "what sees and reads, from `train trunk` or another policy; the rest is learnt anew"
    table.add_argument("--trunk", type=Path, metavar="FOLDER", help=text)
    text = "branched_ppo: folder of a world model, or oracle_sim, which is the simulator itself"
    table.add_argument("--world-model", default="", metavar="FOLDER", help=text)
    text = "branched_ppo: episodes a task to branch from (default: 600)"
    table.add_argument("--starts", type=int, default=600, help=text)
    table.add_argument("--noise", type=float, default=0.3, help="how much they are disturbed (default: 0.3)")
    table.add_argument("--evaluate", type=int, default=304, metavar="N", help="episodes at the end (default: 304)")
    table.add_argument("--workers", type=int, default=2, help="simulator processes (default: 2)")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.models.need import need

    need("torch")
    _check(args)
    if args.data:
        from vla_mbpo_ros.cli.train_policy_bags import show, train
    else:
        from vla_mbpo_ros.cli.train_policy_tabletop import show, train
    result = train(args)
    if result is not None:  # of several processes one speaks
        emit(args, {"ok": True, **result}, lambda: show(result))
    return 0


def changed(cfg: Any, args: argparse.Namespace) -> Any:
    """With what --set says."""
    from vla_mbpo_ros.config_io import update

    return update(cfg, parse_changes(args.set), "--set")


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE each."""
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set got '{text}'.", "Write KEY=VALUE.")
        changes[name] = _value(value)
    return changes


def check_device(name: str) -> None:
    from vla_mbpo_ros.models.need import need

    if name == "cuda" and not need("torch").cuda.is_available():
        raise ConfigError("--device is cuda, and this machine has no CUDA device.", "Give --device cpu.")


def load_parent(path: Path, device: str = "cpu", dtype: str = "") -> Any:
    """A policy to begin with; ConfigError if it is none of ours."""
    from vla_mbpo_ros.policy.checkpoint import is_ours, load_policy

    if not is_ours(path):
        cause = f"{path} is no policy of this package."
        raise ConfigError(cause, "Bring a checkpoint of openpi or lerobot in first: `vla-mbpo policy import`.")
    return load_policy(path, device, dtype)


def _check(args: argparse.Namespace) -> None:
    if (args.out / POLICY).exists():
        raise ConfigError(f"{args.out / POLICY} exists already, not overwriting.", "Give another folder.")
    if args.seed < 0:
        raise ConfigError(f"The seed is {args.seed}.", "Give a whole number from 0 on.")
    if args.trunk is not None and (args.parent is not None or args.data or args.algorithm != SFT):
        cause = "--trunk is for a new policy that learns from the tabletop's demonstrations."
        raise ConfigError(cause, "Leave --parent, --data or --algorithm out, or --trunk.")
    if args.algorithm != SFT and args.data:
        raise ConfigError(
            f"{args.algorithm} plays on the tabletop, and --data gives bags.", "Leave one of the two out."
        )
    if args.algorithm != SFT and args.parent is None:
        cure = "Train one with --algorithm sft first, and give its folder as --parent."
        raise ConfigError(f"{args.algorithm} begins with a policy, and none was given.", cure)
    if (args.algorithm == BRANCHED_PPO) != bool(args.world_model):
        cause = "branched_ppo needs a world model, and nothing else does."
        raise ConfigError(cause, "Give --algorithm branched_ppo together with --world-model.")
    if not args.data and int(os.environ.get("WORLD_SIZE", "1")) > 1:  # torchrun sets it
        raise ConfigError("Several processes learn from bags only.", "Give --data, or start it without torchrun.")
    if not args.data and args.demos < 1:
        raise ConfigError(f"{args.demos} demonstrations were asked for.", "Give a number from 1 on.")


def _value(text: str) -> Any:
    import yaml

    try:
        return float(text) if "e" in text.lower() and text[:1].isdigit() else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"--set cannot read the value '{text}'.", "Give a number, true, false or a word.") from error


def show_cost(cost: Mapping[str, float]) -> None:
    print("  cost " + ", ".join(f"{value:,.0f} {name.replace('_', ' ')}" for name, value in cost.items()))
