"""Make a bag whole again after a crash, a power cut or a full disk: index, metadata, nothing else.

    recover(path)                 a bag's folder, or a single .mcap file
    recover(path, dry_run=True)   says what would be done

What is behind the last good record of a file cannot be read in order, and is cut off. Nothing that could still be
read is thrown away: unless it is zeros, half a record or half an index, it is saved first, as `<file>.cut`. The
facts are those of metadata.yaml if there is one, else those that the files carry; the outcome stays as it was.
Every step can be repeated: a recovery that was broken off is simply started again. A whole bag is not touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcap.writer import MCAP0_MAGIC

from vla_mbpo_ros.data.bags import salvage
from vla_mbpo_ros.data.bags.mcap_file import NewMcapFile
from vla_mbpo_ros.data.bags.metadata import (
    FILE_NAME,
    BagFile,
    BagTopic,
    Metadata,
    in_file,
    read_metadata,
    write_metadata,
)
from vla_mbpo_ros.data.bags.qos import read_qos
from vla_mbpo_ros.data.bags.sink import RESERVE_FILE, is_being_written
from vla_mbpo_ros.data.bags.tails import CUT, is_empty, may_hold_records, save_tail, unused_name
from vla_mbpo_ros.errors import BagError

_NUMBER = re.compile(r"_(\d+)\.mcap$")


@dataclass(frozen=True)
class Recovery:
    """What was found, and what was done about it (or would be)."""

    path: Path
    was_whole: bool
    files: tuple[str, ...]  # that had no index
    messages: int  # in the whole bag, now
    dropped_bytes: int  # behind the good records, without those that were saved as `.cut`
    duration_s: float  # of the whole bag, now
    custom_data: Mapping[str, str]
    sentence: str  # for people
    saved: tuple[str, ...] = ()  # files `.cut`


@dataclass(frozen=True)
class _Looked:
    """One file, before anything is done to it."""

    path: Path
    scan: salvage.Scan
    whole: bool
    tail_bytes: int = 0  # behind the good records
    worth: bool = False  # whether they may hold something

    @property
    def described(self) -> BagFile:
        return BagFile(self.path.name, self.scan.start_ns, self.scan.end_ns, self.scan.topic_counts())


@dataclass(frozen=True)
class _Bag:
    """All files of a bag, in the order of time, and what metadata.yaml says."""

    path: Path
    files: tuple[_Looked, ...]
    said: Mapping[str, Any] | None = None  # everything in metadata.yaml; None without a good one
    alone: bool = False  # a single file, without a folder of its own
    leftovers: tuple[Path, ...] = field(default=())  # of the recorder

    @property
    def is_whole(self) -> bool:
        listed = self.alone or (self.said is not None and len(self.said["relative_file_paths"]) == len(self.files))
        return listed and not self.leftovers and all(file.whole for file in self.files)

    def metadata(self) -> Metadata:
        said = self.said or {}
        facts = next((file.scan.custom_data for file in reversed(self.files) if file.scan.custom_data), {})
        custom = {str(name): str(value) for name, value in (said.get("custom_data") or facts).items()}
        topics = {topic.name: topic for file in self.files for topic in _topics(file.scan)}
        distro = str(said.get("ros_distro") or os.environ.get("ROS_DISTRO", "unknown"))
        return Metadata(tuple(file.described for file in self.files), tuple(topics.values()), custom, distro)


def recover(path: Path, *, dry_run: bool = False) -> Recovery:
    """Repair the bag at `path`; BagError for what is no bag, or not ours to repair."""
    try:
        bag = _look(path)
        saved: tuple[str, ...] = ()
        if not bag.is_whole and not dry_run:
            saved = tuple(_mend(file, bag.metadata()) for file in bag.files if not file.whole)
            _complete(bag)
    except OSError as error:
        cause = f"Cannot recover {path}: {error.strerror or error}."
        raise BagError(cause, "Free some disk space or get the right to write there, then try again.") from error
    return _told(bag, tuple(name for name in saved if name), dry_run)


def _look(path: Path) -> _Bag:
    """Everything that can be wrong is found before anything is changed."""
    if path.is_file():
        return _Bag(path, (_look_at_file(path),), alone=True)
    if not path.is_dir():
        raise BagError(f"{path} does not exist.", "Give the folder of a bag.")
    files = sorted(path.glob("*.mcap"), key=_number)
    if not files:
        raise _not_ours(path)
    said = _said(path, {file.name for file in files})
    leftovers = tuple(file for file in (path / RESERVE_FILE, path / f"{FILE_NAME}.tmp") if file.exists())
    return _Bag(path, tuple(map(_look_at_file, files)), said, leftovers=leftovers)


def _look_at_file(path: Path) -> _Looked:
    if is_being_written(path):
        raise BagError(f"{path} is being recorded now.", "Stop the recorder first.")
    found = salvage.read_index(path)
    if found is not None:
        return _Looked(path, found, whole=True)
    if is_empty(path):
        return _Looked(path, salvage.Scan(), whole=False, tail_bytes=path.stat().st_size)
    found = salvage.scan(path)
    if found.loose:
        raise BagError(f"{path} has messages outside chunks.", "Repair it with the `mcap` tool: `mcap recover`.")
    worth = may_hold_records(path, found.end)
    return _Looked(path, found, False, path.stat().st_size - found.end, worth)


def _said(path: Path, present: set[str]) -> dict[str, Any] | None:
    """What metadata.yaml says; None if there is none, or a broken one."""
    try:
        said = read_metadata(path)
        listed = [Path(name).name for name in said["relative_file_paths"]]
    except (BagError, TypeError):
        return None
    missing = [name for name in listed if name not in present]
    if missing:
        cause = f"{path} lacks {', '.join(missing)}, which its {FILE_NAME} lists."
        raise BagError(cause, f"Copy it again; or remove {FILE_NAME} and recover what is there.")
    return said


def _mend(file: _Looked, metadata: Metadata) -> str:
    """Give a file its index; the name of what was saved of it, if anything."""
    saved = save_tail(file.path, file.scan.end) if file.worth else ""
    if file.scan.end <= len(MCAP0_MAGIC):  # nothing at all is in it, not even a header
        file.path.unlink()
        begun = NewMcapFile(file.path)
        begun.sink.close()
        file.scan.end = begun.sink.size
    own = Metadata((file.described,), metadata.topics, metadata.custom_data, metadata.ros_distro)
    salvage.append_summary(file.path, file.scan, in_file(own))
    return saved


def _complete(bag: _Bag) -> None:
    """metadata.yaml, and an end to what the recorder left."""
    if bag.alone:
        return
    for leftover in bag.leftovers:  # first: its space may be what metadata.yaml needs
        leftover.unlink()
    old = bag.path / FILE_NAME
    if bag.said is None and old.exists() and old.stat().st_size:
        old.replace(unused_name(old))
    write_metadata(bag.path, bag.metadata().as_dict())


def _number(path: Path) -> tuple[int, str]:
    """Files of a split bag count up: …_9 comes before …_10."""
    match = _NUMBER.search(path.name)
    return (int(match[1]) if match else 0, path.name)


def _topics(scan: salvage.Scan) -> list[BagTopic]:
    return [
        BagTopic(
            channel.topic,
            scan.schemas[channel.schema_id].name,
            channel.metadata.get("topic_type_hash", ""),
            read_qos(channel.metadata.get("offered_qos_profiles", "")),
        )
        for channel in scan.channels.values()
    ]


def _not_ours(path: Path) -> BagError:
    names = [file.name for file in path.iterdir()]
    if any(name.endswith(".db3") for name in names):
        return BagError(f"{path} is an sqlite3 bag.", "Repair it with `ros2 bag reindex -s sqlite3`.")
    if any(".mcap." in name for name in names):
        return BagError(f"{path} has compressed files.", "Unpack them, then try again.")
    return BagError(f"{path} is not a bag: it has no .mcap file.", "Give the folder of a bag.")


def _told(bag: _Bag, saved: tuple[str, ...], dry_run: bool) -> Recovery:
    metadata = bag.metadata()
    broken = [file for file in bag.files if not file.whole]
    dropped = sum(file.tail_bytes for file in broken if not file.worth)
    duration_s = (metadata.end_ns - metadata.start_ns) * 1e-9
    return Recovery(
        path=bag.path,
        was_whole=bag.is_whole,
        files=tuple(file.path.name for file in broken),
        messages=metadata.count,
        dropped_bytes=dropped,
        duration_s=duration_s,
        custom_data=metadata.custom_data,
        sentence=_sentence(bag, saved, metadata, dropped, dry_run),
        saved=saved,
    )


def _sentence(bag: _Bag, saved: tuple[str, ...], metadata: Metadata, dropped: int, dry_run: bool) -> str:
    holds = f"{metadata.count} messages, {(metadata.end_ns - metadata.start_ns) * 1e-9:.1f} s"
    if bag.is_whole:
        return f"{bag.path} is whole: {holds}."
    told = [f"{bag.path} {'would be' if dry_run else 'is'} readable again: {holds}."]
    if dropped:
        told.append(
            f"{dropped} bytes at the end {'would be' if dry_run else 'were'} cut off: half a record or an index."
        )
    worth = [file for file in bag.files if file.worth]
    if worth:
        verb = "would be" if dry_run else "were"
        names = ", ".join(saved or [f"{file.path.name}{CUT}" for file in worth])
        told.append(f"{sum(file.tail_bytes for file in worth)} bytes behind damage {verb} saved as {names}.")
    return " ".join(told)
