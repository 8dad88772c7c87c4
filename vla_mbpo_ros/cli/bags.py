"""`vla-mbpo bags VERB`: what is done with recordings. Each verb is a module of its own."""

from __future__ import annotations

import importlib
from typing import Any

VERBS = ("list", "info", "check", "recover", "label", "play", "export", "import")

_DOC = "List, look into, check, repair, label, play, export and import recordings."


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser("bags", help=_DOC, description=_DOC)
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    for name in VERBS:
        importlib.import_module(f"vla_mbpo_ros.cli.bags_{name}").add(verbs)
