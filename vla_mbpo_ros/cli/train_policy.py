"""`vla-mbpo train policy`: a policy for the tabletop, by imitation or by trial in the simulator."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit
from vla_mbpo_ros.cli.train_view import Bar
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.evaluation.tabletop_eval import Result
    from vla_mbpo_ros.policy.flow.policy import FlowPolicy
    from vla_mbpo_ros.sim.tabletop import Pool

SFT, ONLINE_PPO = "sft", "online_ppo"
POLICY = "policy"
_DEMO_SEEDS = 10_000  # between the demonstrations of two seeds
_DOC = "Train a policy on the tabletop: by imitation (sft), or by trial in the simulator from there (online_ppo)."
_MORE = "OUT gets the policy, the curve as CSV, and what is needed to go on. An interrupted sft goes on where it was."


def add(names: Any) -> None:
    parser = new_command(names, "policy", _DOC, run, _MORE)
    parser.add_argument("--algorithm", choices=(SFT, ONLINE_PPO), default=SFT, help=f"default: {SFT}")
    parser.add_argument("--task", nargs="+", default=["all"], metavar="TASK", help="tasks (default: all)")
    parser.add_argument("--demos", type=int, default=20, help="demonstrations a task (default: 20)")
    parser.add_argument("--noise", type=float, default=0.3, help="how much they are disturbed (default: 0.3)")
    parser.add_argument("--parent", type=Path, metavar="FOLDER", help="policy to begin with (default: a new one)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder of the training")
    parser.add_argument("--evaluate", type=int, default=304, metavar="N", help="episodes at the end (default: 304)")
    parser.add_argument("--workers", type=int, default=2, help="simulator processes (default: 2)")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="change settings, such as lr=0.0005")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.models.need import need

    need("torch")
    _check(args)
    result = _train(args)
    emit(args, {"ok": True, **result}, lambda: _show(result))
    return 0


def _check(args: argparse.Namespace) -> None:
    if (args.out / POLICY).exists():
        raise ConfigError(f"{args.out / POLICY} exists already, not overwriting.", "Give another folder.")
    if args.demos < 1 or args.seed < 0:
        raise ConfigError(
            f"{args.demos} demonstrations, seed {args.seed}.", "Give demonstrations from 1, seeds from 0."
        )
    if args.algorithm == ONLINE_PPO and args.parent is None:
        cure = "Train one with --algorithm sft first, and give its folder as --parent."
        raise ConfigError("online_ppo begins with a policy, and none was given.", cure)


def _train(args: argparse.Namespace) -> dict[str, Any]:
    from vla_mbpo_ros.algorithms.tabletop import resolve_tasks
    from vla_mbpo_ros.evaluation.tabletop_eval import compare, evaluate
    from vla_mbpo_ros.policy.checkpoint import Lineage, save_policy
    from vla_mbpo_ros.sim.tabletop import Pool

    tasks = resolve_tasks(args.task)
    learn = _sft if args.algorithm == SFT else _online_ppo
    with Pool(args.workers) as pool:
        policy, before, told, cost = learn(args, pool, tasks)
        after = evaluate(policy, pool, tasks, args.evaluate)
    parent = before.version if before else ""
    written = save_policy(policy, args.out / POLICY, Lineage(parent=parent, config=told))
    gain = compare(before.result, after) if before else None
    return {
        "policy": str(args.out / POLICY),
        "version": written.version,
        "algorithm": args.algorithm,
        "success": after.to_json(),
        "gain": vars(gain) if gain else None,
        "cost": cost,
    }


class _Before:
    """Where online learning began."""

    def __init__(self, version: str, result: Result) -> None:
        self.version, self.result = version, result


_Learnt = tuple["FlowPolicy", "_Before | None", dict[str, Any], dict[str, Any]]


def _sft(args: argparse.Namespace, pool: Pool, tasks: Sequence[str]) -> _Learnt:
    from vla_mbpo_ros.algorithms.bc import BcConfig, lineage_config, train_bc
    from vla_mbpo_ros.algorithms.chunks import DemonstrationChunks
    from vla_mbpo_ros.algorithms.tabletop import make_policy_for
    from vla_mbpo_ros.policy.checkpoint import load_policy
    from vla_mbpo_ros.robots.tabletop import TABLETOP
    from vla_mbpo_ros.sim.tabletop import collect

    cfg = _changed(BcConfig(seed=args.seed), args)
    first = args.seed * _DEMO_SEEDS
    demos = collect(tasks, range(first, first + args.demos), args.noise, pool=pool, stride=5).successful()
    policy = load_policy(args.parent) if args.parent else make_policy_for(demos, seed=args.seed)
    data = DemonstrationChunks(demos, policy, TABLETOP)
    with Bar("sft", cfg.steps, "step", ("loss",), quiet=args.json) as bar:
        train_bc(policy, data, cfg, args.out, bar.see)
    cost = {"demonstrations": len(demos.tasks), "rows": len(data), "control_steps": pool.ledger.steps}
    told = lineage_config(cfg, {"tasks": list(tasks), "demos": args.demos, "noise": args.noise})
    return policy, None, told, cost


def _online_ppo(args: argparse.Namespace, pool: Pool, tasks: Sequence[str]) -> _Learnt:
    from vla_mbpo_ros.algorithms.online_ppo import OnlinePpoConfig, lineage_config, train_online_ppo
    from vla_mbpo_ros.evaluation.tabletop_eval import evaluate
    from vla_mbpo_ros.policy.checkpoint import load_policy

    cfg = _changed(OnlinePpoConfig(seed=args.seed), args)
    policy = load_policy(args.parent)
    before = _Before(policy.version, evaluate(policy, pool, tasks, args.evaluate))
    last: dict[str, float] = {}
    with Bar("online_ppo", cfg.iterations, "iteration", ("success", "kl"), quiet=args.json) as bar:

        def watch(row: Mapping[str, float]) -> None:
            last.update(row)
            bar.see(row)

        def success(now: FlowPolicy) -> float:
            return evaluate(now, pool, tasks, args.evaluate).overall.share

        train_online_ppo(policy, pool, tasks, cfg, args.out, watch, success)
    cost = {name: last[name] for name in ("control_steps", "episodes", "seconds")}
    return policy, before, lineage_config(cfg, {"tasks": list(tasks)}), cost


def _changed(cfg: Any, args: argparse.Namespace) -> Any:
    """With what --set says."""
    from vla_mbpo_ros.config_io import update

    changes: dict[str, Any] = {}
    for text in args.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set got '{text}'.", "Write KEY=VALUE.")
        changes[name] = _value(value)
    return update(cfg, changes, "--set")


def _value(text: str) -> Any:
    import yaml

    try:
        return float(text) if "e" in text.lower() and text[:1].isdigit() else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"--set cannot read the value '{text}'.", "Give a number, true, false or a word.") from error


def _show(result: Mapping[str, Any]) -> None:
    print(f"{result['version']} in {result['policy']}")
    for name, found in result["success"].items():
        print(
            f"  {name:<12} {found['success']:>6.1%}  ({found['low']:.1%} to {found['high']:.1%}, {found['episodes']})"
        )
    if result["gain"]:
        gain = result["gain"]
        print(
            f"  gain {gain['mean']:+.1%} (standard error {gain['error']:.1%}, {gain['won']} won, {gain['lost']} lost)"
        )
    print("  cost " + ", ".join(f"{value:,.0f} {name.replace('_', ' ')}" for name, value in result["cost"].items()))
