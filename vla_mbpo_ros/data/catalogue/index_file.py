"""The file that keeps an episode index: JSON, one line for what it is, then one line a bag.

    {"index": "vla_mbpo_ros", "version": 1}
    {"path": "arx_x5-…-b836", "id": "arx_x5-…-b836", "signature": [["metadata.yaml", 9021, …], …], …}

It is only a memory: everything in it can be read from the bags again, so a damaged or foreign one is left aside.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.catalogue.entry import Entry
from vla_mbpo_ros.data.replace_text import replace_text

NAME = ".episodes.jsonl"
VERSION = 1
_HEAD = {"index": "vla_mbpo_ros", "version": VERSION}


def load(folder: Path) -> tuple[dict[str, Entry], str]:
    """Path -> entry, and a sentence where the file was there but of no use."""
    file = folder / NAME
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}, ""
    except (OSError, UnicodeDecodeError) as error:
        return {}, f"The index {file} cannot be read ({error}): all bags are read again."
    try:
        head = json.loads(lines[0])
        if head != _HEAD:
            return {}, f"The index {file} is of another version: all bags are read again."
        entries = [Entry.of_row(json.loads(line)) for line in lines[1:]]
    except (ValueError, KeyError, TypeError, IndexError):
        return {}, f"The index {file} is damaged: all bags are read again."
    return {entry.path: entry for entry in entries}, ""


def save(folder: Path, entries: Iterable[Entry]) -> str:
    """Replace the file in one step. A sentence where that is not possible."""
    text = "".join(f"{json.dumps(row)}\n" for row in _rows(entries))
    try:
        replace_text(folder / NAME, text, mark=str(os.getpid()))
    except OSError as error:
        return f"The index cannot be kept in {folder} ({error.strerror}): it is made anew each time."
    return ""


def _rows(entries: Iterable[Entry]) -> Iterable[dict[str, Any]]:
    yield _HEAD
    for entry in entries:
        yield vars(entry)
