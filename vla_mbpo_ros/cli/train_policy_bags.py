"""`vla-mbpo train policy --data`: imitation of recorded episodes, in one process or in torchrun's."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.output import say
from vla_mbpo_ros.cli.train_policy import POLICY, changed, check_device, load_parent, show_cost
from vla_mbpo_ros.cli.train_view import Bar
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.algorithms.grounds.bag_set import BagSet
    from vla_mbpo_ros.algorithms.imitation.bc_config import BcConfig
    from vla_mbpo_ros.models.distributed import Team
    from vla_mbpo_ros.policy.flow.policy import FlowPolicy

_HORIZON, _IMAGE_SIZE = 16, 64  # of a new policy


def train(args: argparse.Namespace) -> dict[str, Any] | None:
    """What came of it; None in a process that only helped."""
    from vla_mbpo_ros.algorithms.imitation.bc_config import BcConfig
    from vla_mbpo_ros.models.distributed import join

    _check(args)
    cfg = changed(BcConfig(seed=args.seed), args)
    with join(args.device) as team:
        result = _learn(args, cfg, team)
    return result if team.leads else None


def _learn(args: argparse.Namespace, cfg: BcConfig, team: Team) -> dict[str, Any]:
    from vla_mbpo_ros.algorithms.descent import CURVE, read_log
    from vla_mbpo_ros.algorithms.imitation.bag_chunks import BagChunks
    from vla_mbpo_ros.algorithms.imitation.bc import lineage_config, train_bc
    from vla_mbpo_ros.policy.checkpoint import Lineage, save_policy

    policy, found = _begin(args, cfg, team)
    data, tested = (BagChunks(some, policy, args.stride) for some in (found.train, found.held_out))
    _say_what_is_learnt(found, len(data), team)
    parent = policy.version if args.parent else ""
    quiet = args.json or not team.leads
    with Bar("sft", cfg.steps, "step", ("loss", "held_out"), quiet=quiet) as bar:
        train_bc(policy, data, cfg, args.out, bar.see, held_out=tested if len(tested) else None, team=team)
    if not team.leads:
        return {}
    last = {name: float(value) for name, value in read_log(args.out / CURVE)[-1].items()}
    facts = {"robot": found.robot.name, "control_hz": found.control_hz, "outcomes": args.outcomes}
    episodes = tuple(episode.id for episode in found.train)
    told = lineage_config(cfg, {**facts, "processes": team.size})
    written = save_policy(policy, args.out / POLICY, Lineage(parent, episodes, told))
    return {
        "policy": str(args.out / POLICY),
        "version": written.version,
        "algorithm": args.algorithm,
        "robot": found.robot.name,
        "held_out": {"episodes": len(found.held_out), "rows": len(tested), "loss": last.get("held_out")},
        "cost": {"episodes": len(episodes), "rows": len(data), "steps": cfg.steps, "seconds": last["seconds"]},
        "skipped": found.report.skipped,
        "notes": list(found.notes),
    }


def _begin(args: argparse.Namespace, cfg: BcConfig, team: Team) -> tuple[FlowPolicy, BagSet]:
    """The policy as it is before it learns. Alone it is on its device; shards go there by themselves."""
    from vla_mbpo_ros.algorithms.grounds.bag_set import make_policy_for_bags, open_bags

    # What is to learn is float32: small steps are lost in bfloat16. Beside adapters the rest may stay as it was saved.
    parent = load_parent(args.parent, dtype="" if cfg.lora_rank else "float32") if args.parent else None
    size, antialias = args.image_size or _IMAGE_SIZE, True
    if parent is not None:
        size, antialias = parent.maker.cfg.image_size, parent.maker.cfg.antialias
    progress = team.leads and not args.json
    found = open_bags(args.data, size, antialias, args.held_out, args.outcomes, args.cache, progress)
    policy = parent if parent is not None else make_policy_for_bags(found, size, args.horizon or _HORIZON, args.seed)
    return (policy.to(args.device) if team.mesh is None else policy), found


def _check(args: argparse.Namespace) -> None:
    if not 0.0 <= args.held_out < 1.0:
        raise ConfigError(f"--held-out is {args.held_out}.", "Give a share from 0 to below 1.")
    for name in ("horizon", "image_size", "stride"):
        number = getattr(args, name)
        if number is not None and number < 1:
            raise ConfigError(f"--{name.replace('_', '-')} is {number}.", "Give a whole number from 1 on.")
    if args.parent is not None and (args.horizon or args.image_size):
        raise ConfigError("A parent has its own horizon and image size.", "Leave --horizon and --image-size out.")
    check_device(args.device)


def _say_what_is_learnt(found: BagSet, rows: int, team: Team) -> None:
    if not team.leads:
        return
    say(f"{found.robot.title}: {len(found.train)} episodes ({rows} rows), {len(found.held_out)} held out.")
    for bag, reason in found.report.skipped.items():
        say(f"left out: {bag}: {reason}")
    for note in found.notes:
        say(note)


def show(result: Mapping[str, Any]) -> None:
    print(f"{result['version']} in {result['policy']}, for {result['robot']}")
    held = result["held_out"]
    if held["loss"] is not None:
        print(f"  held out: loss {held['loss']:.4f} ({held['episodes']} episodes, {held['rows']} rows)")
    show_cost(result["cost"])
