"""A small file that is replaced in one step: a crash, or a full disk, leaves the old one or the new one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def replace_text(path: Path, text: str, mark: str = "tmp") -> None:
    """OSError if that is not possible. `mark` ends the name of the draft beside it: where several processes may write
    at once, each needs its own."""
    draft = path.with_name(f"{path.name}.{mark}")
    try:
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):  # on a disk that is read-only even this is refused
            draft.unlink()
        raise
