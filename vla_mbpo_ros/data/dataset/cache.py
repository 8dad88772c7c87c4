"""The cache beside the bags: entries that are made once, kept while the bag is the same, and shared by processes.

    entry there, files of the bag unchanged          taken as it is: two stats a file
    only metadata.yaml changed: a new label          the facts are read again, the arrays stay
    times changed, as after a copy                   the messages are hashed; arrays stay if they are the same
    anything else                                    made anew beside the old one, then put into its place

A build that was interrupted leaves only a folder that the next one removes. One process builds an entry, the
others wait for it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.bags.foreign import open_bag
from vla_mbpo_ros.data.dataset.build import build_entry, estimate_bytes
from vla_mbpo_ros.data.dataset.cached_episode import FACTS_FILE, FORMAT, CachedEpisode
from vla_mbpo_ros.data.dataset.folder import CACHE, content, identity, same_files
from vla_mbpo_ros.data.dataset.settings import DatasetSettings
from vla_mbpo_ros.data.replace_text import replace_text
from vla_mbpo_ros.errors import BagError, VlaMbpoError

_NAME = "dataset"  # below the hidden folder
_RESERVE_BYTES = 200 << 20  # a disk is never filled to the brim
_GB = 1e9


class Cache:
    """Entries of the bags below `root`, for one way to make images. `folder` is where they are."""

    def __init__(self, root: Path, settings: DatasetSettings, folder: Path | None = None) -> None:
        self.root, self.settings = root.absolute(), settings
        self.folder = (folder or root / CACHE / _NAME).absolute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            cause = f"The cache {self.folder} cannot be made: {error.strerror}."
            raise BagError(cause, "Give another folder for it.") from error

    def entry(self, bag: Path) -> Path:
        """Named by the place of the bag below the root and by how images are made, so that both may move."""
        place = os.path.relpath(bag.absolute(), self.root)
        said = json.dumps([place, self.settings.size, self.settings.cameras, FORMAT])
        return self.folder / f"{bag.name}-{hashlib.sha256(said.encode()).hexdigest()[:12]}"

    def is_ready(self, bag: Path) -> bool:
        """Whether `open` has next to nothing to do."""
        try:
            return same_files(CachedEpisode.load(self.entry(bag), bag).about["identity"], identity(bag))
        except VlaMbpoError:
            return False

    def open(self, bag: Path) -> CachedEpisode:
        """The entry of a bag, made if need be. Raises what is wrong with the bag."""
        ready = self._current(bag)
        if ready is not None:
            return ready
        with self._lock(self.entry(bag)):
            return self._current(bag) or self._make(bag)

    def check_disk(self, bags: list[Path]) -> None:
        """BagError if what is still to be made does not fit on the disk."""
        needed = sum(self._estimate(bag) for bag in bags)
        free = shutil.disk_usage(self.folder).free
        if needed and needed + _RESERVE_BYTES > free:
            raise BagError(
                f"The images of {len(bags)} bags need {needed / _GB:.1f} GB, {self.folder} has {free / _GB:.1f} GB.",
                "Give a smaller size, a cache on another disk, or fewer bags.",
            )

    def _estimate(self, bag: Path) -> int:
        try:
            return estimate_bytes(bag, self.settings)
        except Exception:  # whatever is wrong with it is said when the bag is read
            return 0

    # -- one entry -------------------------------------------------------------------------------------------------

    def _current(self, bag: Path) -> CachedEpisode | None:
        """The entry if the bag is what it was; its facts are brought up to date."""
        try:
            entry = CachedEpisode.load(self.entry(bag), bag)
        except BagError:
            return None
        now = identity(bag)
        if entry.about["identity"] == now:
            return entry
        if not same_files(entry.about["identity"], now) and entry.about["content"] != content(bag):
            return None
        return self._relabel(entry, now)

    def _relabel(self, entry: CachedEpisode, now: dict[str, Any]) -> CachedEpisode:
        about = {**entry.about, "identity": now, "facts": open_bag(entry.bag).custom_data}
        with suppress(OSError):  # a cache that is read-only serves as well; it is asked again next time
            replace_text(entry.path / FACTS_FILE, json.dumps(about), mark=str(os.getpid()))
        return CachedEpisode(entry.path, entry.bag, about)

    def _make(self, bag: Path) -> CachedEpisode:
        """Under the lock of the entry."""
        entry = self.entry(bag)
        made, old = entry.with_name(f".{entry.name}.new"), entry.with_name(f".{entry.name}.old")
        for leftover in (made, old):
            shutil.rmtree(leftover, ignore_errors=True)
        about = {"identity": identity(bag), "content": content(bag), "facts": open_bag(bag).custom_data}
        try:
            made.mkdir()
            build_entry(bag, made, self.settings, about)
            if entry.exists():
                entry.rename(old)  # who has mapped it keeps it until it lets go
            made.rename(entry)
        except OSError as error:
            raise self._failed(error) from error
        finally:
            for leftover in (made, old):
                shutil.rmtree(leftover, ignore_errors=True)
        return CachedEpisode.load(entry, bag)

    def _failed(self, error: OSError) -> CacheFull | BagError:
        cause = f"The cache {self.folder} cannot be written: {error.strerror}."
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            return CacheFull(cause, "Free disk space or give another folder for it; what was made is kept.")
        return BagError(cause, "Leave this bag out.")

    @contextmanager
    def _lock(self, entry: Path) -> Iterator[None]:
        """Let go of by the system when its holder dies."""
        try:
            handle = os.open(entry.with_name(f".{entry.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise self._failed(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class CacheFull(BagError):
    """Nothing more can be written: not the fault of a bag, so it is not skipped."""
