"""`vla-mbpo reproduce NAME`: a table of the paper, made here."""

from __future__ import annotations

import importlib
from typing import Any

NAMES = ("table1",)


def add(subparsers: Any) -> None:
    doc = "Make a table of the paper from models of your own."
    parser = subparsers.add_parser("reproduce", help=doc, description=doc)
    names = parser.add_subparsers(title="tables", required=True, metavar="NAME")
    for name in NAMES:
        importlib.import_module(f"vla_mbpo_ros.cli.reproduce_{name}").add(names)
