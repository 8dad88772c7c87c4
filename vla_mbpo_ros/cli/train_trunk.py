"""`vla-mbpo train trunk`: what a small policy sees and reads, before it learns to act."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit
from vla_mbpo_ros.cli.train_policy import POLICY, changed, show_cost
from vla_mbpo_ros.cli.train_view import Bar
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.sim.tabletop import Demonstrations, Pool

_DOC = "Let the trunk of a small policy learn to see and read: where is what the sentence names?"
_MORE = (
    "It learns on the tabletop, from pictures of disturbed episodes and the simulator's places; no action is learnt. "
    "Give it to `train policy --trunk`."
)
_FIRST_SEED, _SEEDS = 2_000_000, 10_000  # of the episodes; far from those of demonstrations and evaluations
_MOST_SEED = 100
_NOISE = 0.8  # of the experts: most episodes fail, and much is seen
_STRIDE = 4  # control steps between two pictures
_SCENES = "scenes.npz"


def add(names: Any) -> None:
    parser = new_command(names, "trunk", _DOC, run, _MORE)
    parser.add_argument("--task", nargs="+", default=["all"], metavar="TASK", help="tasks (default: all)")
    parser.add_argument("--episodes", type=int, default=200, help="episodes a task (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder of the training")
    text = "change settings, such as steps=2000"
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=text)
    parser.add_argument("--workers", type=int, default=2, help="simulator processes (default: 2)")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.models.need import need

    need("torch")
    _check(args)
    result = _train(args)
    emit(args, {"ok": True, **result}, lambda: _show(result))
    return 0


def _train(args: argparse.Namespace) -> dict[str, Any]:
    from vla_mbpo_ros.algorithms.descent import CURVE, read_log
    from vla_mbpo_ros.algorithms.grounds.tabletop import make_policy_for, resolve_tasks
    from vla_mbpo_ros.algorithms.imitation.trunk import TrunkTraining, lineage_config, train_trunk
    from vla_mbpo_ros.policy.checkpoint import Lineage, save_policy
    from vla_mbpo_ros.sim.tabletop import Pool

    cfg = changed(TrunkTraining(seed=args.seed), args)
    with Pool(args.workers) as pool:
        scenes = _scenes(args, pool, resolve_tasks(args.task))
    policy = make_policy_for(scenes, seed=args.seed)
    with Bar("trunk", cfg.steps, "step", ("loss", "touched_mm", "target_mm"), quiet=args.json) as bar:
        train_trunk(policy, scenes, cfg, args.out, bar.see)
    facts = {"tasks": list(resolve_tasks(args.task)), "episodes": args.episodes}
    written = save_policy(policy, args.out / POLICY, Lineage(config=lineage_config(cfg, facts)))
    last = read_log(args.out / CURVE)[-1]
    return {
        "policy": str(args.out / POLICY),
        "version": written.version,
        "held_out": {name: float(last[name]) for name in ("touched_mm", "target_mm") if name in last},
        "cost": {"episodes": len(scenes.tasks), "pictures": scenes.images.shape[0] * scenes.images.shape[1]},
    }


def _scenes(args: argparse.Namespace, pool: Pool, tasks: tuple[str, ...]) -> Demonstrations:
    """Those of an interrupted training, or new ones. Nobody asks the experts what they would do: no chunk is kept."""
    from vla_mbpo_ros.sim.tabletop import Demonstrations, collect

    recipe = {"tasks": list(tasks), "seed": args.seed, "episodes": args.episodes}
    kept = args.out / _SCENES
    if kept.exists():
        return Demonstrations.load(kept, recipe)
    first = _FIRST_SEED + args.seed * _SEEDS
    with Bar("scenes", 1, "done", (), quiet=args.json) as bar:
        made = collect(tasks, range(first, first + args.episodes), _NOISE, pool=pool, horizon=0, stride=_STRIDE)
        bar.see({"done": 1})
    made.save(kept, recipe)
    return made


def _check(args: argparse.Namespace) -> None:
    if (args.out / POLICY).exists():
        raise ConfigError(f"{args.out / POLICY} exists already, not overwriting.", "Give another folder.")
    if not 0 <= args.seed <= _MOST_SEED:
        raise ConfigError(f"The seed is {args.seed}.", f"Give a whole number from 0 to {_MOST_SEED}.")
    if not 1 <= args.episodes <= _SEEDS:
        raise ConfigError(f"{args.episodes} episodes a task were asked for.", f"Give 1 to {_SEEDS}.")


def _show(result: Mapping[str, Any]) -> None:
    print(f"{result['version']} in {result['policy']}")
    if off := result["held_out"]:
        touched, target = off["touched_mm"], off["target_mm"]
        print(f"  off by {touched:.1f} mm (what to touch), {target:.1f} mm (target): medians, held out")
    show_cost(result["cost"])
