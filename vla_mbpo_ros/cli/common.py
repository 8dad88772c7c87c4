"""Options that every command has."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def new_command(
    subparsers: Any, name: str, doc: str, run: Callable[[argparse.Namespace], int], more: str = ""
) -> argparse.ArgumentParser:
    """A command with --json and --debug. `doc` is one line, `more` follows it in the command's own help."""
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=doc, description=f"{doc} {more}".strip())
    parser.add_argument("--json", action="store_true", help="print one JSON object; logs go to standard error")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=run)
    return parser
