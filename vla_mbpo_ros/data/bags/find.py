"""Which bags are in a folder, and in the folders below it?

bags/
├── arx_x5-…-b836/          metadata.yaml, arx_x5-…-b836_0.mcap     a bag
├── arx_x5-…-bfa1/          arx_x5-…-bfa1_0.mcap                    a bag that was not closed
├── lab/2026/…              folders of bags, as deep as you like
├── lab/demo.mcap                                                   a file that is a bag by itself
└── notes.txt, empty/                                               named as skipped
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from vla_mbpo_ros.data.bags.metadata import FILE_NAME
from vla_mbpo_ros.errors import BagError

SUFFIXES = (".mcap", ".db3", ".bag")  # the last is of ROS 1: listed, so that it is missed by nobody
_NUMBERED = re.compile(r"(.*)_\d+")  # the files of one bag, as rosbag2 names them

Signature = tuple[tuple[str, int, int], ...]  # (name, size [bytes], mtime [ns]) of all that a bag is made of


@dataclass(frozen=True)
class BagPlace:
    """A bag that was found, not yet read."""

    path: str  # relative to the folder, with "/"; "" if the folder is the bag itself
    signature: Signature  # changes when the bag does

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass
class Search:
    """What is in a folder."""

    bags: list[BagPlace] = field(default_factory=list)  # sorted by path
    skipped: list[str] = field(default_factory=list)  # sentences


def find_bags(folder: Path) -> Search:
    """Never fails for what is below `folder`; BagError if there is no such folder."""
    if not folder.is_dir():
        raise BagError(f"{folder} is not a folder.", "Give the folder where bags are.")
    search = Search()
    _walk(folder, "", search, set())
    search.bags.sort(key=lambda place: place.path)
    search.skipped.sort()
    return search


def find_below(path: Path) -> list[Path]:
    """The bags of `path`, which may be a bag, a file or a folder of bags. BagError if there is none."""
    if not path.is_dir():
        return [path]  # what is wrong with it is for its reader to tell
    found = [path / place.path if place.path else path for place in find_bags(path).bags]
    if not found:
        raise BagError(f"No bag is in {path} or below.", "Give a bag, or a folder of bags.")
    return found


def _walk(folder: Path, below: str, search: Search, seen: set[tuple[int, int]]) -> None:
    """`below` is the path of `folder` relative to where the search began."""
    try:
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not entry.name.startswith(".")]
        facts = os.stat(folder)
    except OSError as error:
        search.skipped.append(f"{below} cannot be read: {error.strerror}.")
        return
    if (facts.st_dev, facts.st_ino) in seen:  # a link to a folder above, or to one that was seen already
        return
    seen.add((facts.st_dev, facts.st_ino))
    files = [entry for entry in entries if not _is_folder(entry)]
    parts = [entry for entry in files if entry.name == FILE_NAME or entry.name.endswith(SUFFIXES)]
    name = folder.name if below else folder.resolve().name
    if _is_one_bag(name, parts, below):
        search.bags.append(BagPlace(below, _signature(parts)))
        return
    search.bags += [BagPlace(_join(below, part.name), _signature([part])) for part in parts]
    search.skipped += [f"{_join(below, entry.name)} is not a bag." for entry in files if entry not in parts]
    if not entries and below:
        search.skipped.append(f"{below} is empty.")
    for entry in entries:
        if entry not in files:
            _walk(Path(entry.path), _join(below, entry.name), search, seen)


def _is_one_bag(name: str, parts: list[os.DirEntry[str]], below: str) -> bool:
    """Or a folder of single files? Without metadata.yaml only the names of the files can tell."""
    if any(part.name == FILE_NAME for part in parts):
        return True
    stems = {match[1] for part in parts if (match := _NUMBERED.fullmatch(os.path.splitext(part.name)[0]))}
    if stems == {name}:
        return True
    return len(parts) == len(stems) == 1 and bool(below) and "_0." in parts[0].name  # its folder was renamed


def _signature(parts: list[os.DirEntry[str]]) -> Signature:
    return tuple(sorted(_facts(part) for part in parts))


def _facts(part: os.DirEntry[str]) -> tuple[str, int, int]:
    try:
        facts = part.stat()
    except OSError:  # a broken link; its reader will say so
        return part.name, -1, -1
    return part.name, facts.st_size, facts.st_mtime_ns


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _join(below: str, name: str) -> str:
    return f"{below}/{name}" if below else name
