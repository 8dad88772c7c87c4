"""`vla-mbpo`: finds the command, runs it, and turns every error into one sentence and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from vla_mbpo_ros import __version__
from vla_mbpo_ros.cli.output import emit_error, own_stdout
from vla_mbpo_ros.errors import VlaMbpoError

COMMANDS = (
    "demo",
    "up",
    "doctor",
    "config",
    "record",
    "bags",
    "dataset",
    "bench",
    "policy",
    "train",
    "reproduce",
)
_INTERRUPTED = 130  # as shells say it: 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    with _ending_in_order(), own_stdout(args):
        try:
            return int(args.run(args))
        except VlaMbpoError as error:
            if args.debug:
                raise
            emit_error(args, error)
            return error.exit_code
        except KeyboardInterrupt:
            emit_error(args, VlaMbpoError("Interrupted."))
            return _INTERRUPTED
        except BrokenPipeError:  # the reader of our output has gone, as in `vla-mbpo config | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python complains at exit
            return VlaMbpoError.exit_code
        except Exception as error:
            if args.debug:
                raise
            emit_error(args, _unexpected(error))
            return VlaMbpoError.exit_code


def make_parser() -> argparse.ArgumentParser:
    """All commands; each module adds itself."""
    parser = argparse.ArgumentParser(
        prog="vla-mbpo",
        description="Improve a robot's policy inside a world model learnt from its own recordings.",
    )
    parser.add_argument("--version", action="version", version=f"vla-mbpo {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"vla_mbpo_ros.cli.{name}").add(subparsers)
    return parser


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """`kill` ends a command as Ctrl-C does, so that no process of a graph is left behind. Afterwards all is as before:
    what another program forks must not inherit it, or `kill` may be lost on it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # whoever called us has the signals
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unexpected(error: Exception) -> VlaMbpoError:
    return VlaMbpoError(f"Unexpected {type(error).__name__}: {error}.", "Run it again with --debug and report it.")


if __name__ == "__main__":
    sys.exit(main())
