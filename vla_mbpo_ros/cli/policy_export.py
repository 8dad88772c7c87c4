"""`vla-mbpo policy export CHECKPOINT OUT --layout NAME`: a trained pi0 or pi0.5 for the programs that teams use."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit

_DOC = "Write a pi0 or pi0.5 policy as openpi or lerobot read it: weights, statistics, settings."
_MORE = "Weights keep every bit. What the other program must be told beside it is printed."
_LAYOUTS = ("openpi", "lerobot")


def add(names: Any) -> None:
    parser = new_command(names, "export", _DOC, run, _MORE)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="folder of a policy of ours")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    parser.add_argument("--layout", required=True, choices=_LAYOUTS, help="for which program")
    parser.add_argument("--assets", default="robot", metavar="NAME", help="openpi: name of its statistics")


def run(args: argparse.Namespace) -> int:
    from vla_mbpo_ros.models.need import need

    need("torch")
    from vla_mbpo_ros.policy.checkpoint import load_policy
    from vla_mbpo_ros.policy.pi.export import export

    result = export(load_policy(args.checkpoint), args.out, args.layout, args.assets)
    emit(args, {"ok": True, **result}, lambda: _show(result))
    return 0


def _show(result: dict[str, Any]) -> None:
    print(f"{result['kind']} for {result['layout']} in {result['path']}: {', '.join(result['files'])}")
    for note in result["notes"]:
        print(f"  {note}")
