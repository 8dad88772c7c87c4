"""What commands print: one JSON object or text on standard output, everything else on standard error."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from vla_mbpo_ros.errors import VlaMbpoError


@contextmanager
def own_stdout(args: argparse.Namespace) -> Iterator[None]:
    """With --json nothing but `emit` reaches standard output, whatever a library prints."""
    args.stdout = sys.stdout
    if not args.json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def emit(args: argparse.Namespace, result: Mapping[str, Any], show: Callable[[], None]) -> None:
    """The result of a command: as JSON if asked for, else `show()` prints it for people."""
    if args.json:
        _write_json(args.stdout, result)
    else:
        show()


def emit_error(args: argparse.Namespace, error: VlaMbpoError) -> None:
    """A sentence on standard error; with --json the same facts as the one object."""
    say(f"error: {error}")
    if args.json:
        _write_json(args.stdout, {"ok": False, "error": error.cause, "cure": error.cure})


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _write_json(stream: TextIO, result: Mapping[str, Any]) -> None:
    print(json.dumps(plain(result), allow_nan=False), file=stream, flush=True)


def plain(value: Any) -> Any:
    """JSON knows neither NaN nor tuples; what is unknown is null."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value
