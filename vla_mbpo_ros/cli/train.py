"""`vla-mbpo train NAME`: learn something."""

from __future__ import annotations

import importlib
from typing import Any

NAMES = ("trunk", "policy", "world-model")


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser("train", help="Learn something.", description="Learn something.")
    names = parser.add_subparsers(title="what to train", required=True, metavar="NAME")
    for name in NAMES:
        importlib.import_module(f"vla_mbpo_ros.cli.train_{name.replace('-', '_')}").add(names)
