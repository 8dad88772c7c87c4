"""Quality of service as a bag keeps it, so that playing a bag can offer what was offered.

rosbag2 writes policies by their rmw names ("keep_last", "best_effort", …) and durations as {sec, nsec}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

FOREVER_NS = 2**63 - 1  # RMW_DURATION_INFINITE


@dataclass(frozen=True)
class Qos:
    """One offered profile. The defaults are those of ROS 2: reliable, volatile, the last ten."""

    history: str = "keep_last"
    depth: int = 10
    reliability: str = "reliable"
    durability: str = "volatile"
    deadline_ns: int = FOREVER_NS
    lifespan_ns: int = FOREVER_NS
    liveliness: str = "automatic"
    liveliness_lease_ns: int = FOREVER_NS
    avoid_ros_namespace_conventions: bool = False

    @classmethod
    def of(cls, profile: Any) -> Qos:
        """From anything with the attributes of rclpy's QoSProfile."""
        return cls(
            history=_policy(profile.history),
            depth=int(profile.depth),
            reliability=_policy(profile.reliability),
            durability=_policy(profile.durability),
            deadline_ns=int(profile.deadline.nanoseconds),
            lifespan_ns=int(profile.lifespan.nanoseconds),
            liveliness=_policy(profile.liveliness),
            liveliness_lease_ns=int(profile.liveliness_lease_duration.nanoseconds),
            avoid_ros_namespace_conventions=bool(profile.avoid_ros_namespace_conventions),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Qos:
        """From one entry of metadata version 9."""
        return cls(
            history=str(values["history"]),
            depth=int(values["depth"]),
            reliability=str(values["reliability"]),
            durability=str(values["durability"]),
            deadline_ns=_nanoseconds(values["deadline"]),
            lifespan_ns=_nanoseconds(values["lifespan"]),
            liveliness=str(values["liveliness"]),
            liveliness_lease_ns=_nanoseconds(values["liveliness_lease_duration"]),
            avoid_ros_namespace_conventions=bool(values["avoid_ros_namespace_conventions"]),
        )

    def as_dict(self) -> dict[str, Any]:
        """As in metadata version 9."""
        return {
            "history": self.history,
            "depth": self.depth,
            "reliability": self.reliability,
            "durability": self.durability,
            "deadline": _duration(self.deadline_ns),
            "lifespan": _duration(self.lifespan_ns),
            "liveliness": self.liveliness,
            "liveliness_lease_duration": _duration(self.liveliness_lease_ns),
            "avoid_ros_namespace_conventions": self.avoid_ros_namespace_conventions,
        }


def qos_yaml(profiles: Sequence[Qos]) -> str:
    """As in the metadata of an MCAP channel."""
    return yaml.safe_dump([profile.as_dict() for profile in profiles], sort_keys=False).strip()


def read_qos(text: str) -> tuple[Qos, ...]:
    """What `qos_yaml` wrote; nothing where it is not understood, as in bags of older versions."""
    try:
        return tuple(Qos.from_dict(entry) for entry in yaml.safe_load(text) or ())
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        return ()


def _policy(value: Any) -> str:
    return str(value.name).lower()


def _duration(nanoseconds: int) -> dict[str, int]:
    return {"sec": nanoseconds // 10**9, "nsec": nanoseconds % 10**9}


def _nanoseconds(duration: Mapping[str, Any]) -> int:
    return int(duration["sec"]) * 10**9 + int(duration["nsec"])
