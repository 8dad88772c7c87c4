"""metadata.yaml of a rosbag2 directory, version 9: what `ros2 bag` reads first.

    rosbag2_bagfile_information:
      version, storage_identifier, duration, starting_time, message_count,
      topics_with_message_count, compression_format, compression_mode,
      relative_file_paths, files, custom_data, ros_distro

Custom data is text by name; what an episode is about lives there (`data/facts.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from vla_mbpo_ros.data.bags.qos import Qos
from vla_mbpo_ros.data.bags.yaml_text import from_yaml
from vla_mbpo_ros.data.replace_text import replace_text
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


@dataclass(frozen=True)
class BagFile:
    """One file of a bag."""

    name: str  # relative to the bag
    start_ns: int = 0  # log times; both 0 without messages
    end_ns: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)  # topic -> messages

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.name, **_span(self.start_ns, self.end_ns, self.count)}


@dataclass(frozen=True)
class Metadata:
    """What a writer knows of its bag."""

    files: tuple[BagFile, ...]  # in the order of time
    topics: tuple[BagTopic, ...]
    custom_data: Mapping[str, str] = field(default_factory=dict)
    ros_distro: str = ""

    @property
    def count(self) -> int:
        return sum(file.count for file in self.files)

    @property
    def start_ns(self) -> int:
        return min((file.start_ns for file in self.files if file.count), default=0)

    @property
    def end_ns(self) -> int:
        return max((file.end_ns for file in self.files), default=0)

    def topic_count(self, name: str) -> int:
        return sum(file.counts.get(name, 0) for file in self.files)

    def as_dict(self) -> dict[str, Any]:
        """Everything below the root key."""
        names = [file.name for file in self.files]
        return {
            "version": VERSION,
            "storage_identifier": "mcap",
            **_span(self.start_ns, self.end_ns, self.count),
            "topics_with_message_count": [_topic(topic, self.topic_count(topic.name)) for topic in self.topics],
            "compression_format": "",  # chunks are compressed inside the file, not the file or its messages
            "compression_mode": "",
            "relative_file_paths": names,
            "files": [file.as_dict() for file in self.files],
            "custom_data": dict(self.custom_data) or None,
            "ros_distro": self.ros_distro,
        }


def to_yaml(values: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=10_000)


def in_file(metadata: Metadata) -> dict[str, str]:
    """The record by which an .mcap file tells rosbag2 the same as metadata.yaml, of itself."""
    return {"serialized_metadata": to_yaml(metadata.as_dict())}


def write_metadata(bag: Path, values: Mapping[str, Any]) -> None:
    """Replace metadata.yaml in one step; OSError if that is not possible."""
    replace_text(bag / FILE_NAME, to_yaml({_ROOT: dict(values)}))


def read_metadata(bag: Path) -> dict[str, Any]:
    """Everything below the root key."""
    path = bag / FILE_NAME
    try:
        values = from_yaml(path.read_text(encoding="utf-8"))
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


def _span(start_ns: int, end_ns: int, count: int) -> dict[str, Any]:
    return {
        "duration": {"nanoseconds": end_ns - start_ns},
        "starting_time": {"nanoseconds_since_epoch": start_ns},
        "message_count": count,
    }


def _topic(topic: BagTopic, count: int) -> dict[str, Any]:
    return {
        "topic_metadata": {
            "name": topic.name,
            "type": topic.type,
            "serialization_format": "cdr",
            "offered_qos_profiles": [profile.as_dict() for profile in topic.qos],
            "type_description_hash": topic.hash,
        },
        "message_count": count,
    }
