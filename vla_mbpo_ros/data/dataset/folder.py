"""Where the bags are, and whether they are still what they were."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.bags.find import find_bags
from vla_mbpo_ros.data.bags.metadata import FILE_NAME
from vla_mbpo_ros.errors import BagError

CACHE = ".cache"
_STORAGES = (".mcap", ".db3", ".zstd")  # what the files of a bag end in
_BLOCK = 1 << 20


def resolve(source: Path | str | Sequence[Path | str]) -> tuple[Path, list[Path]]:
    """(folder that all lie below, bags)."""
    if isinstance(source, str | Path):
        root = Path(source)
        return root, [root / place.path for place in find_bags(root).bags]
    bags = sorted({Path(path) for path in source})
    if not bags:
        raise BagError("No bag was given.", "Name a folder of bags, or bags.")
    return Path(os.path.commonpath([path.absolute().parent for path in bags])), bags


def identity(bag: Path) -> dict[str, Any]:
    """Size and time of change of each file: cheap to ask, and it changes with any file of the bag."""
    try:
        return {path.name: _state(path) for path in sorted(_files(bag))}
    except OSError as error:
        raise BagError(f"Cannot read {bag}: {error.strerror}.", "Check that the bag is whole.") from error


def content(bag: Path) -> str:
    """Hash of its messages, for when the times of change say nothing, as after a copy."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(path for path in _files(bag) if path.suffix in _STORAGES):
        digest.update(path.name.encode())
        with path.open("rb") as stream:
            for block in iter(lambda: stream.read(_BLOCK), b""):
                digest.update(block)
    return digest.hexdigest()


def same_files(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether only what is said of the episode may differ."""
    return _without_words(one) == _without_words(other)


def _without_words(found: dict[str, Any]) -> dict[str, Any]:
    return {name: list(state) for name, state in found.items() if name != FILE_NAME}


def _files(bag: Path) -> Iterable[Path]:
    if bag.is_file():
        return [bag]
    return [path for path in bag.iterdir() if path.suffix in _STORAGES or path.name == FILE_NAME]


def _state(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]
