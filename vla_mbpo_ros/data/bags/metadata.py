"""metadata.yaml of a rosbag2 directory, version 9: what `ros2 bag` reads first.

    rosbag2_bagfile_information:
      version, storage_identifier, duration, starting_time, message_count,
      topics_with_message_count, compression_format, compression_mode,
      relative_file_paths, files, custom_data, ros_distro

Custom data is text by name; what an episode is about lives there (`data/facts.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from vla_mbpo_ros.data.bags.qos import Qos
from vla_mbpo_ros.errors import BagError

VERSION = 9
FILE_NAME = "metadata.yaml"
_ROOT = "rosbag2_bagfile_information"


@dataclass(frozen=True)
class BagTopic:
    """One recorded topic."""

    name: str  # fully qualified
    type: str
    hash: str
    qos: tuple[Qos, ...]
    count: int = 0


@dataclass(frozen=True)
class Metadata:
    """What a writer knows of the one file of its bag."""

    file: str  # relative to the bag
    topics: tuple[BagTopic, ...]
    start_ns: int = 0
    end_ns: int = 0
    custom_data: Mapping[str, str] = field(default_factory=dict)
    ros_distro: str = ""

    @property
    def count(self) -> int:
        return sum(topic.count for topic in self.topics)

    def with_counts(self, counts: Mapping[str, int], start_ns: int, end_ns: int) -> Metadata:
        topics = tuple(replace(topic, count=counts.get(topic.name, 0)) for topic in self.topics)
        return replace(self, topics=topics, start_ns=start_ns, end_ns=end_ns)

    def as_dict(self) -> dict[str, Any]:
        """Everything below the root key."""
        return {
            "version": VERSION,
            "storage_identifier": "mcap",
            **self._span(),
            "topics_with_message_count": [_topic(topic) for topic in self.topics],
            "compression_format": "",  # chunks are compressed inside the file, not the file or its messages
            "compression_mode": "",
            "relative_file_paths": [self.file],
            "files": [{"path": self.file, **self._span()}],
            "custom_data": dict(self.custom_data) or None,
            "ros_distro": self.ros_distro,
        }

    def _span(self) -> dict[str, Any]:
        return {
            "duration": {"nanoseconds": self.end_ns - self.start_ns},
            "starting_time": {"nanoseconds_since_epoch": self.start_ns},
            "message_count": self.count,
        }


def to_yaml(values: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=10_000)


def write_metadata(bag: Path, values: Mapping[str, Any]) -> None:
    """Replace metadata.yaml in one step: a crash leaves the old one or the new one."""
    target = bag / FILE_NAME
    draft = target.with_suffix(".yaml.tmp")
    try:
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(to_yaml({_ROOT: dict(values)}))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read_metadata(bag: Path) -> dict[str, Any]:
    """Everything below the root key."""
    path = bag / FILE_NAME
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        root = {**values[_ROOT]}
        _ = root["relative_file_paths"]
    except (OSError, UnicodeDecodeError) as error:
        raise BagError(f"Cannot read {path}: {error}.", "Check that the folder is a bag.") from error
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise BagError(f"{path} is not the metadata of a bag.", "Read the .mcap file beside it.") from error
    return root


def update_custom_data(bag: Path, changes: Mapping[str, str]) -> None:
    """Change what is said of a closed bag. Only metadata.yaml is touched, never the messages."""
    values = read_metadata(bag)
    values["custom_data"] = {**(values.get("custom_data") or {}), **changes}
    try:
        write_metadata(bag, values)
    except OSError as error:
        raise BagError(f"Cannot change {bag / FILE_NAME}: {error.strerror}.", "It is as it was.") from error


def _topic(topic: BagTopic) -> dict[str, Any]:
    return {
        "topic_metadata": {
            "name": topic.name,
            "type": topic.type,
            "serialization_format": "cdr",
            "offered_qos_profiles": [profile.as_dict() for profile in topic.qos],
            "type_description_hash": topic.hash,
        },
        "message_count": topic.count,
    }
