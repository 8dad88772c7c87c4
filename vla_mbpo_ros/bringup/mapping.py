"""Names of topics that external drivers use: checked, and turned into remaps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from vla_mbpo_ros.errors import ConfigError, UnknownName

# Of the graph, but not of a bag's contract.
DRIVER_TOPICS = ("driver/joint_states", "driver/command", "deadman", "joy")
_TOPIC = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


def checked_mapping(topics: Mapping[str, str], known: Iterable[str]) -> dict[str, str]:
    """`topics` (our name -> their name), once every name in it makes sense."""
    names = sorted({*known, *DRIVER_TOPICS})
    for ours, theirs in topics.items():
        if ours not in names:
            raise UnknownName("topic", ours, names, "topics")
        if not _TOPIC.fullmatch(theirs):
            raise ConfigError(f"'{theirs}' (topics.{ours}) is no topic name.", "Write it as in `ros2 topic list`.")
    twice = [theirs for theirs, count in Counter(topics.values()).items() if count > 1]
    if twice:
        ours = ", ".join(name for name, theirs in topics.items() if theirs == twice[0])
        raise ConfigError(f"{ours} are all mapped to '{twice[0]}'.", "Give each its own topic.")
    return dict(topics)
