"""`vla-mbpo policy NAME`: look at policies."""

from __future__ import annotations

import importlib
from typing import Any

NAMES = ("inspect",)


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser("policy", help="Look at policies.", description="Look at policies.")
    names = parser.add_subparsers(title="what to do", required=True, metavar="NAME")
    for name in NAMES:
        importlib.import_module(f"vla_mbpo_ros.cli.policy_{name}").add(names)
