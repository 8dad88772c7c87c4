"""`vla-mbpo bench policy`: from images to a chunk, with random weights of any size."""

from __future__ import annotations

import argparse
from typing import Any

from vla_mbpo_ros.cli.bench import add_out, conclude
from vla_mbpo_ros.cli.common import new_command

_DOC = "Time from images to a chunk, with the observation encoded once and with it encoded at every step."
_MORE = "Weights are random. On a CUDA device the network runs in bfloat16, on a CPU in float32."


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "policy", _DOC, run, _MORE)
    parser.add_argument("--preset", default="tiny_random", help="size of the network (default: tiny_random)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: cpu")
    parser.add_argument("--steps", type=int, default=3, help="denoising steps (default: 3)")
    parser.add_argument("--views", type=int, default=2, help="cameras (default: 2)")
    parser.add_argument("--horizon", type=int, default=0, help="steps in a chunk (default: the preset's)")
    parser.add_argument("--repeats", type=int, default=20, help="measurements (default: 20)")
    parser.add_argument("--compile", action="store_true", help="compile the expert's step; the first runs take long")
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.models.need import need
    from vla_mbpo_ros.policy.pi.config import preset

    cfg = preset(args.preset, args.horizon)
    need("torch")
    from vla_mbpo_ros.policy.pi.benchmark import Run, measure

    result = measure(Run(cfg, args.device, args.steps, args.views, args.repeats, args.compile))
    return conclude(args, "policy", {"preset": args.preset, **result})
