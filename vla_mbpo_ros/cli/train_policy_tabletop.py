"""`vla-mbpo train policy` on the tabletop: demonstrations of its experts, or trial; measured at the end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.output import say
from vla_mbpo_ros.cli.train_policy import BRANCHED_PPO, ONLINE_PPO, POLICY, SFT, changed, load_parent, show_cost
from vla_mbpo_ros.cli.train_view import Bar
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.evaluation.tabletop_eval import Result
    from vla_mbpo_ros.policy.flow.policy import FlowPolicy
    from vla_mbpo_ros.sim.tabletop import Demonstrations, Pool

_DEMO_SEEDS = 10_000  # between the demonstrations of two seeds
_STRIDE = 5  # control steps between two rows of a demonstration
_DEMOS, _PAID = "demonstrations.npz", "demonstrations.json"


def train(args: argparse.Namespace) -> dict[str, Any]:
    from vla_mbpo_ros.algorithms.grounds.tabletop import resolve_tasks
    from vla_mbpo_ros.evaluation.instruction_check import check_instructions, to_json
    from vla_mbpo_ros.evaluation.tabletop_eval import compare, evaluate
    from vla_mbpo_ros.policy.checkpoint import Lineage, save_policy
    from vla_mbpo_ros.sim.tabletop import Pool

    tasks = resolve_tasks(args.task)
    learn = {SFT: _sft, ONLINE_PPO: _online_ppo, BRANCHED_PPO: _branched_ppo}[args.algorithm]
    with Pool(args.workers) as pool:
        policy, before, told, cost = learn(args, pool, tasks)
        after = evaluate(policy, pool, tasks, args.evaluate)
        listens = to_json(check_instructions(policy, pool, after))
    parent = before.version if before else ""
    written = save_policy(policy, args.out / POLICY, Lineage(parent=parent, config=told))
    gain = compare(before.result, after) if before and before.result else None
    return {
        "policy": str(args.out / POLICY),
        "version": written.version,
        "algorithm": args.algorithm,
        "success": after.to_json(),
        "instructions": listens,
        "gain": vars(gain) if gain else None,
        "cost": cost,
    }


class _Before:
    """Where the learning began; a result only where it was measured."""

    def __init__(self, version: str, result: Result | None = None) -> None:
        self.version, self.result = version, result


_Learnt = tuple["FlowPolicy", "_Before | None", dict[str, Any], dict[str, Any]]


def _sft(args: argparse.Namespace, pool: Pool, tasks: Sequence[str]) -> _Learnt:
    from vla_mbpo_ros.algorithms.grounds.tabletop import make_policy_for
    from vla_mbpo_ros.algorithms.imitation.bc import lineage_config, train_bc
    from vla_mbpo_ros.algorithms.imitation.bc_config import BcConfig
    from vla_mbpo_ros.algorithms.imitation.chunks import DemonstrationChunks
    from vla_mbpo_ros.robots.tabletop import TABLETOP

    cfg = changed(BcConfig(seed=args.seed), args)
    demos, steps = _demonstrations(args, pool, tasks)
    trunk = load_parent(args.trunk) if args.trunk else None
    policy = load_parent(args.parent) if args.parent else make_policy_for(demos, seed=args.seed, trunk=trunk)
    began = trunk.version if trunk else policy.version
    before = _Before(began) if args.parent or trunk else None
    data = DemonstrationChunks(demos, policy, TABLETOP)
    with Bar("sft", cfg.steps, "step", ("loss",), quiet=args.json) as bar:
        train_bc(policy, data, cfg, args.out, bar.see)
    cost = {"demonstrations": len(demos.tasks), "rows": len(data), "control_steps": steps}
    told = lineage_config(cfg, {**_ground(tasks), "demos": args.demos, "noise": args.noise})
    return policy, before, told, cost


def _demonstrations(args: argparse.Namespace, pool: Pool, tasks: Sequence[str]) -> tuple[Demonstrations, int]:
    """Those of an interrupted training, or new ones; and the control steps that they took."""
    from vla_mbpo_ros.data.replace_text import replace_text
    from vla_mbpo_ros.sim.tabletop import Demonstrations, collect

    recipe = {"tasks": list(tasks), "seed": args.seed, "demos": args.demos, "noise": args.noise, "stride": _STRIDE}
    _check_starts(args)
    kept, paid = args.out / _DEMOS, args.out / _PAID
    if kept.exists() and paid.exists():
        return Demonstrations.load(kept, recipe), int(json.loads(paid.read_text(encoding="utf-8"))["control_steps"])
    first = args.seed * _DEMO_SEEDS
    made = collect(tasks, range(first, first + args.demos), args.noise, pool=pool, stride=_STRIDE).successful()
    made.save(kept, recipe)
    replace_text(paid, json.dumps({"control_steps": pool.ledger.steps}) + "\n")
    return made, pool.ledger.steps


def _check_starts(args: argparse.Namespace) -> None:
    """A policy must not be shown the starts that it will be judged by."""
    from vla_mbpo_ros.evaluation.tabletop_eval import FIRST_SEED

    most = FIRST_SEED // _DEMO_SEEDS - 1
    if args.demos > _DEMO_SEEDS or args.seed > most:
        cause = f"{args.demos} demonstrations a task with seed {args.seed} would reach the starts of others."
        raise ConfigError(cause, f"Give at most {_DEMO_SEEDS} demonstrations and seeds up to {most}.")


def _online_ppo(args: argparse.Namespace, pool: Pool, tasks: Sequence[str]) -> _Learnt:
    from vla_mbpo_ros.algorithms.descent import CURVE, read_log
    from vla_mbpo_ros.algorithms.grounds.tabletop import FLOW
    from vla_mbpo_ros.algorithms.trial.online_ppo import OnlinePpoConfig, lineage_config, train_online_ppo
    from vla_mbpo_ros.evaluation.tabletop_eval import evaluate
    from vla_mbpo_ros.policy.flow.refit import refit_heads

    cfg = changed(OnlinePpoConfig(seed=args.seed), args)
    policy, notes = refit_heads(load_parent(args.parent), FLOW, args.seed)
    for note in notes:
        say(note)
    before = _Before(policy.version, evaluate(policy, pool, tasks, args.evaluate))
    with Bar("online_ppo", cfg.iterations, "iteration", ("success", "kl"), quiet=args.json) as bar:

        def success(now: FlowPolicy) -> float:
            return evaluate(now, pool, tasks, args.evaluate).overall.share

        train_online_ppo(policy, pool, tasks, cfg, args.out, bar.see, success)
    last = read_log(args.out / CURVE)[-1]
    cost = {name: float(last[name]) for name in ("control_steps", "episodes", "seconds")}
    return policy, before, lineage_config(cfg, {**_ground(tasks), "notes": notes}), cost


def _branched_ppo(args: argparse.Namespace, pool: Pool, tasks: Sequence[str]) -> _Learnt:
    from vla_mbpo_ros.cli.train_policy_branched import learn

    policy, result, told, cost = learn(args, pool, tasks)
    return policy, _Before(policy.version, result), {**told, **_ground(tasks)}, cost


def _ground(tasks: Sequence[str]) -> dict[str, Any]:
    """Where it has learnt, for whoever wants to use the policy."""
    from vla_mbpo_ros.robots.tabletop import TABLETOP

    return {"robot": TABLETOP.name, "control_hz": TABLETOP.control_hz, "tasks": list(tasks)}


def show(result: Mapping[str, Any]) -> None:
    print(f"{result['version']} in {result['policy']}")
    for name, found in result["success"].items():
        print(
            f"  {name:<12} {found['success']:>6.1%}  ({found['low']:.1%} to {found['high']:.1%}, {found['episodes']})"
        )
    for scene, found in result["instructions"].items():
        print(f"  {scene:<12} {found['right']:>6.1%}  told the other task's sentence: {found['wrong']:.1%}")
    if result["gain"]:
        gain = result["gain"]
        print(
            f"  gain {gain['mean']:+.1%} (standard error {gain['error']:.1%}, {gain['won']} won, {gain['lost']} lost)"
        )
    show_cost(result["cost"])
