"""`vla-mbpo train policy --algorithm branched_ppo`: by trial on short branches, in a dream or in the simulator."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.train_policy import changed, load_parent
from vla_mbpo_ros.cli.train_view import Bar

if TYPE_CHECKING:
    from vla_mbpo_ros.algorithms.trial.branched_ppo import BranchedPpoConfig
    from vla_mbpo_ros.evaluation.tabletop_eval import Result
    from vla_mbpo_ros.policy.flow.policy import FlowPolicy
    from vla_mbpo_ros.sim.tabletop import Journeys, Pool
    from vla_mbpo_ros.world_model.protocol import WorldModel

ORACLE = "oracle_sim"
_FIRST_SEED, _SEEDS = 40_000_000, 100_000  # of the episodes; far from those of demonstrations and evaluations
_STARTS = "starts"  # folder of what was played


def learn(
    args: argparse.Namespace, pool: Pool, tasks: Sequence[str]
) -> tuple[FlowPolicy, Result, dict[str, Any], dict[str, Any]]:
    """The policy, its success before, what its lineage says, what it cost."""
    from vla_mbpo_ros.algorithms.descent import CURVE, read_log
    from vla_mbpo_ros.algorithms.grounds.tabletop import FLOW
    from vla_mbpo_ros.algorithms.trial.branched_ppo import BranchedPpoConfig, train_branched_ppo
    from vla_mbpo_ros.config_io import nested
    from vla_mbpo_ros.evaluation.tabletop_eval import evaluate
    from vla_mbpo_ros.policy.flow.refit import refit_heads

    cfg = changed(BranchedPpoConfig(seed=args.seed), args)
    policy, notes = refit_heads(load_parent(args.parent), FLOW, args.seed)
    before, parent = evaluate(policy, pool, tasks, args.evaluate), policy.version
    with _model(args, cfg) as model, _bar(args, cfg) as bar:

        def play(now: FlowPolicy, turn: int) -> Journeys:
            return _played(args, now, parent, pool, tasks, turn)

        def success(now: FlowPolicy) -> float:
            return evaluate(now, pool, tasks, args.evaluate).overall.share

        train_branched_ppo(policy, model, play, cfg, args.out, bar.see, success)
        version = model.version
    last = read_log(args.out / CURVE)[-1]
    every = [play(policy, turn) for turn in range(int(last["plays"]))]
    steps = sum(_steps(journeys) for journeys in every)
    episodes = sum(len(journeys.tasks) for journeys in every)
    cost = {"episodes": episodes, "control_steps": steps, "dreamt_chunks": float(last["chunks"])}
    known = {name: float(last[name]) for name in ("value_real", "value_dreamt") if last[name] != "nan"}
    facts = {"world_model": version, "value_explained": known, "notes": notes}
    return policy, before, {"algorithm": "branched_ppo", **nested(cfg), **facts}, cost


def _bar(args: argparse.Namespace, cfg: BranchedPpoConfig) -> Bar:
    return Bar("branched_ppo", cfg.iterations, "iteration", ("success", "drift", "kl"), quiet=args.json)


def _played(
    args: argparse.Namespace, policy: FlowPolicy, parent: str, pool: Pool, tasks: Sequence[str], turn: int
) -> Journeys:
    """Episodes of the policy as it is, new or of an interrupted training."""
    from vla_mbpo_ros.algorithms.grounds.tabletop import acting
    from vla_mbpo_ros.policy.protocol import NOISE
    from vla_mbpo_ros.sim.tabletop import Journeys, travel

    recipe = {"tasks": list(tasks), "seed": args.seed, "starts": args.starts, "turn": turn, "policy": parent}
    kept = args.out / _STARTS / f"{turn}.npz"
    if not kept.exists():
        first = _FIRST_SEED + args.seed * _SEEDS + turn * args.starts
        names = [task for task in tasks for _ in range(args.starts)]
        seeds = [first + index for _ in tasks for index in range(args.starts)]
        travel(pool, names, seeds, acting(policy, pool, args.seed, NOISE)).save(kept, recipe)
    return Journeys.load(kept, recipe)


def _steps(journeys: Journeys) -> int:
    """Control steps that the episodes took."""
    return sum(int(journeys.tick[journeys.episode == index].max()) for index in range(len(journeys.tasks)))


@contextmanager
def _model(args: argparse.Namespace, cfg: BranchedPpoConfig) -> Iterator[WorldModel]:
    """The simulator itself, or a learnt model from its folder."""
    from vla_mbpo_ros.algorithms.grounds.tabletop import HORIZON
    from vla_mbpo_ros.config_io import nested
    from vla_mbpo_ros.robots.tabletop import TABLETOP
    from vla_mbpo_ros.world_model.rivals.oracle import OracleWorld
    from vla_mbpo_ros.world_model.umm.checkpoint import load_world

    if args.world_model == ORACLE:
        with OracleWorld(HORIZON, args.workers) as oracle:
            yield oracle
    else:
        world = load_world(Path(args.world_model), TABLETOP)
        world.sample_by(**nested(cfg.dream))
        yield world
