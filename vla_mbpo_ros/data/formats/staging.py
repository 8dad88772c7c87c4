"""A folder that appears whole or not at all: work goes on beside it, and one rename ends it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vla_mbpo_ros.errors import BagError, ConfigError


class BrokenOutput(BagError):
    """What is being written cannot be continued: the whole transfer ends."""


@contextmanager
def staged(target: Path, worth_keeping: Callable[[], bool] = lambda: True) -> Iterator[Path]:
    """A new folder to fill. It becomes `target` when the block ends, and is gone when the block fails, or when it
    is not `worth_keeping` then."""
    target = target.absolute()
    _refuse_existing(target)
    work = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work.mkdir()
    except OSError as error:
        cause = f"Cannot write to {target.parent}: {error.strerror or error}."
        raise ConfigError(cause, "Choose another folder.") from error
    try:
        yield work
        if worth_keeping():
            _refuse_existing(target)  # somebody else may have made it meanwhile
            work.rename(target)
    except OSError as error:
        cause = f"Writing {target} failed: {error.strerror or error}."
        raise BrokenOutput(cause, "Nothing of it is kept; free disk space and begin again.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _refuse_existing(target: Path) -> None:
    if target.exists():
        raise ConfigError(f"{target} exists already, not overwriting.", "Choose another name for --to.")
