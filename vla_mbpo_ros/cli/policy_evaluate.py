"""`vla-mbpo policy evaluate FOLDER …`: how often policies succeed on the tabletop, on the same starts."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit
from vla_mbpo_ros.cli.train_policy import load_parent
from vla_mbpo_ros.cli.train_view import Bar
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.evaluation.tabletop_eval import Result

FRESH_SEED = 6_500_000  # no training looks there
_DOC = "How often policies succeed on the tabletop, all from the same starts; the others beside the first."
_MORE = (
    "The starts are none that a training looks at, for what was chosen by those flatters itself there. Report on these "
    "and choose by others: --first-seed."
)


def add(names: Any) -> None:
    parser = new_command(names, "evaluate", _DOC, run, _MORE)
    parser.add_argument("policy", nargs="+", type=Path, metavar="FOLDER", help="policies of this package")
    parser.add_argument("--task", nargs="+", default=["all"], metavar="TASK", help="tasks (default: all)")
    parser.add_argument("--episodes", type=int, default=600, help="in all, shared out over the tasks (default: 600)")
    text = f"of the first start; a task's starts follow each other (default: {FRESH_SEED})"
    parser.add_argument("--first-seed", type=int, default=FRESH_SEED, metavar="N", help=text)
    parser.add_argument("--workers", type=int, default=2, help="simulator processes (default: 2)")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.models.need import need

    need("torch")
    from vla_mbpo_ros.algorithms.grounds.tabletop import resolve_tasks
    from vla_mbpo_ros.evaluation.tabletop_eval import compare, evaluate
    from vla_mbpo_ros.sim.tabletop import Pool

    tasks = resolve_tasks(args.task)
    if args.episodes < len(tasks) or args.first_seed < 0 or args.workers < 1:
        cause = f"{args.episodes} episodes of {len(tasks)} tasks from seed {args.first_seed}, {args.workers} workers."
        raise ConfigError(cause, "Give an episode a task, a seed from 0 on, and a worker.")
    policies = [load_parent(folder) for folder in args.policy]  # what cannot be loaded is said before anybody plays
    rows: list[dict[str, Any]] = []
    with Pool(args.workers) as pool, Bar("policies", len(args.policy), "done", (), quiet=args.json) as bar:
        first: Result | None = None
        for folder, policy in zip(args.policy, policies, strict=True):
            result = evaluate(policy, pool, tasks, args.episodes, args.first_seed)
            gain = vars(compare(first, result)) if first else None
            first = first or result
            rows.append({"policy": str(folder), "version": policy.version, "success": result.to_json(), "gain": gain})
            bar.see({"done": len(rows)})
    facts = {"tasks": list(tasks), "episodes": args.episodes, "first_seed": args.first_seed}
    emit(args, {"ok": True, **facts, "policies": rows}, lambda: _show(rows))
    return 0


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        print(f"{row['version']} in {row['policy']}")
        for name, found in row["success"].items():
            share, low, high = (100.0 * found[key] for key in ("success", "low", "high"))
            print(f"  {name:<14} {share:5.1f} % ({low:.1f} to {high:.1f}) of {found['episodes']}")
        if row["gain"]:
            mean, error, won, lost = (row["gain"][key] for key in ("mean", "error", "won", "lost"))
            print(f"  beside the first {100 * mean:+.1f} points (SE {100 * error:.1f}): {won} won, {lost} lost")
