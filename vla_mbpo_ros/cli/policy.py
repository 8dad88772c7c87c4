"""`vla-mbpo policy NAME`: look at policies, measure them, bring them in, give them away."""

from __future__ import annotations

import importlib
from typing import Any

NAMES = ("inspect", "evaluate", "import", "export")


def add(subparsers: Any) -> None:
    text = "Look at policies, measure them, bring them in, give them away."
    parser = subparsers.add_parser("policy", help=text, description=text)
    names = parser.add_subparsers(title="what to do", required=True, metavar="NAME")
    for name in NAMES:
        importlib.import_module(f"vla_mbpo_ros.cli.policy_{name}").add(names)
