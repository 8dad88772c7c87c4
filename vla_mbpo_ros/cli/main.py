"""`vla-mbpo`: finds the command, runs it, and turns every error into one sentence and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
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
)
_INTERRUPTED = 130  # as shells say it: 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    _end_in_order_on_sigterm()
    with own_stdout(args):
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


def _end_in_order_on_sigterm() -> None:
    """`kill` ends a command as Ctrl-C does, so that no process of a graph is left behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
    except ValueError:  # not the main thread: whoever called us has the signals
        return


def _unexpected(error: Exception) -> VlaMbpoError:
    return VlaMbpoError(f"Unexpected {type(error).__name__}: {error}.", "Run it again with --debug and report it.")


if __name__ == "__main__":
    sys.exit(main())
