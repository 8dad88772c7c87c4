"""`vla-mbpo bench policy`: from an observation to a chunk, with random weights of any size."""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

from vla_mbpo_ros.cli.bench import add_out, conclude
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.errors import ConfigError

TINY = "tiny"
_DOC = "Time from an observation to a chunk: of the policy alone and, for the small one, through a real policy_node."
_MORE = """Weights are random. The presets of pi0 and pi0.5 measure their network alone, with the observation encoded
once and with it encoded at every step; on a CUDA device they run in bfloat16, on a CPU in float32."""
_PAUSE_S = 0.05  # before each chunk of the small one, as on a robot: nothing is hot from the last one
_WARM = 5  # measurements that do not count


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "policy", _DOC, run, _MORE)
    parser.add_argument("--preset", default=TINY, help="tiny, or a size of pi0 or pi0.5 (default: tiny)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: cpu")
    parser.add_argument("--steps", type=int, default=3, help="denoising steps (default: 3)")
    parser.add_argument("--views", type=int, default=2, help="cameras (default: 2)")
    parser.add_argument("--horizon", type=int, default=0, help="steps in a chunk (default: the preset's)")
    parser.add_argument("--repeats", type=int, default=50, help="measurements (default: 50)")
    parser.add_argument(
        "--compile", action="store_true", help="pi: compile the expert's step; the first runs take long"
    )
    parser.add_argument("--without-node", action="store_true", help="tiny: the policy alone; needs no ROS 2")
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.models.need import need

    if args.preset != TINY:
        return conclude(args, "policy", {"preset": args.preset, **_pi(args)})
    need("torch")
    return conclude(args, "policy", {"preset": args.preset, **_tiny(args)})


def _pi(args: argparse.Namespace) -> dict[str, Any]:
    from vla_mbpo_ros.models.need import need
    from vla_mbpo_ros.policy.pi.config import preset

    cfg = preset(args.preset, args.horizon)
    need("torch")
    from vla_mbpo_ros.policy.pi.benchmark import Run, measure

    return measure(Run(cfg, args.device, args.steps, args.views, args.repeats, args.compile))


def _tiny(args: argparse.Namespace) -> dict[str, Any]:
    import numpy as np
    import torch

    from vla_mbpo_ros.policy.factory import device_of
    from vla_mbpo_ros.policy.tiny.benchmark import blank, facts_of, random_policy, timed_ms
    from vla_mbpo_ros.robots import get_robot

    if args.repeats < 1:
        raise ConfigError(f"Cannot measure repeats {args.repeats}.", "Give 1 or more.")
    torch.set_num_threads(1)  # as in the node, whose graph gives each process one
    robot = get_robot("arx_x5")
    policy = random_policy(robot, args.steps, args.views, args.horizon).to(device_of(args.device)[0])
    seen, alone = blank(policy, robot), []

    def bare(turn: int) -> None:
        time.sleep(_PAUSE_S)
        alone.append(timed_ms(policy, seen, turn))

    if args.without_node:
        for turn in range(_WARM + args.repeats):
            bare(turn)
        through: dict[str, Any] = {"node_overhead_ms": None}
    else:
        from vla_mbpo_ros.cli.bench_policy_node import measure_node

        # Turn by turn: what else the machine does meanwhile is the same for both.
        whole_ms, model_ms = np.array(measure_node(policy, seen, args.device, _WARM + args.repeats, bare))[_WARM:].T
        through = {
            "node_overhead_ms": float(np.median(whole_ms) - np.median(alone[_WARM:])),
            "node_median_ms": float(np.median(whole_ms)),
            "node_p99_ms": float(np.percentile(whole_ms, 99)),
            "node_without_its_model_ms": float(np.median(whole_ms - model_ms)),
        }
    times = {"median_ms": float(np.median(alone[_WARM:])), "p99_ms": float(np.percentile(alone[_WARM:], 99))}
    load = {"n": args.repeats, "machine_load": round(os.getloadavg()[0], 2)}
    return {**facts_of(policy), **times, **through, **load}
