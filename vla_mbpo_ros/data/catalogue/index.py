"""The episode index: what is in a folder of bags, without opening every bag each time.

    index = open_index(Path("bags"))
    for entry in index.entries:
        print(entry.id, entry.outcome, entry.length_s)

A bag is read again only when the size or the time of one of its files has changed. All paths are relative, so
the folder may be moved, with its index. A bag that cannot be read is an entry with its problem.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vla_mbpo_ros.data.bags.find import BagPlace, find_bags
from vla_mbpo_ros.data.catalogue import index_file
from vla_mbpo_ros.data.catalogue.entry import Entry, read_entry
from vla_mbpo_ros.errors import BagError, UnknownName

FRESH_NS = 2_000_000_000  # a file that is younger may change again without a change of its time

Watch = Callable[[int, int], None]  # told how many bags were read, of how many


@dataclass(frozen=True)
class EpisodeIndex:
    """A folder of bags."""

    folder: Path
    entries: tuple[Entry, ...]  # by path
    skipped: tuple[str, ...]  # what is no bag, in sentences
    warnings: tuple[str, ...]  # two bags with one id; what befell the index itself
    read: int  # bags that had to be read this time

    def path(self, entry: Entry) -> Path:
        return self.folder / entry.path if entry.path else self.folder

    def find(self, name: str) -> Entry:
        """By id, or by path below the folder. UnknownName suggests the nearest id."""
        found = [entry for entry in self.entries if entry.path == name.rstrip("/")]
        found = found or [entry for entry in self.entries if entry.id == name]
        if not found:
            raise UnknownName("episode", name, {entry.id for entry in self.entries}, str(self.folder))
        if len(found) > 1:
            paths = ", ".join(str(self.path(entry)) for entry in found)
            raise BagError(f"{len(found)} bags have the id '{name}': {paths}.", "Give the path of the one you mean.")
        return found[0]


def open_index(folder: Path, watch: Watch = lambda done, total: None) -> EpisodeIndex:
    """The index of `folder`, brought up to date and kept there."""
    known, trouble = index_file.load(folder)
    search = find_bags(folder)
    stale = [place for place in search.bags if not _is_known(place, known)]
    now_ns = time.time_ns()
    fresh = {}
    for done, place in enumerate(stale):
        watch(done, len(stale))
        fresh[place.path] = read_entry(folder, place)
    watch(len(stale), len(stale))
    entries = tuple(fresh.get(place.path) or known[place.path] for place in search.bags)
    warnings = [trouble] if trouble else []
    kept = [_settled(entry, now_ns) for entry in entries]
    if {entry.path: entry for entry in kept} != known and "" not in fresh:  # a bag keeps no index inside itself
        warnings += filter(None, [index_file.save(folder, kept)])
    return EpisodeIndex(folder, entries, tuple(search.skipped), (*warnings, *_twins(entries)), len(stale))


def _is_known(place: BagPlace, known: Mapping[str, Entry]) -> bool:
    return place.path in known and known[place.path].signature == place.signature


def _settled(entry: Entry, now_ns: int) -> Entry:
    """As it is kept: without a signature, and so to be read again, if its files are too young to be trusted."""
    newest_ns = max((mtime_ns for _, _, mtime_ns in entry.signature), default=0)
    return entry if abs(now_ns - newest_ns) > FRESH_NS else Entry(**{**vars(entry), "signature": ()})


def _twins(entries: tuple[Entry, ...]) -> list[str]:
    """One warning for each id that several bags claim."""
    by_id: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        if entry.says_id:
            by_id[entry.id].append(entry.path or ".")
    several = {name: paths for name, paths in by_id.items() if len(paths) > 1}
    return [f"{len(paths)} bags have the id '{name}': {', '.join(paths)}." for name, paths in several.items()]
