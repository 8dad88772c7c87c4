"""What is said of one episode. It lives in the bag itself, as custom data, never in file names.

Text stays text; everything else is JSON, so that any reader of metadata.yaml understands it:

    instruction: put the cube into the bowl
    outcome: success
    success_time_s: '6.4'
    camera_hz: '{"head": 15.0, "left_wrist": 15.0, "right_wrist": 15.0}'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from vla_mbpo_ros.errors import BagError, UnknownName
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.robots.contract import Topic, robot_topics

OUTCOMES = ("unknown", "success", "failure", "discarded")  # in the order of EpisodeStatus.msg


@dataclass(frozen=True)
class EpisodeFacts:
    """One episode. Times are in the graph's own time."""

    episode_id: str = ""
    robot: str = ""  # name of a robot description
    robot_id: str = ""  # of this very robot
    namespace: str = ""  # the topics of the contract are below it
    instruction: str = ""
    outcome: str = "unknown"
    success_time_s: float | None = None  # since the start of the bag
    policy_version: str = ""
    note: str = ""  # by a person
    seed: int | None = None  # of the layout; simulator only
    simulated: bool = False
    control_hz: float = 0.0
    camera_hz: dict[str, float] = field(default_factory=dict)  # camera name -> promised rate
    names: dict[str, str] = field(default_factory=dict)  # contract's topic name -> the robot's own
    without: list[str] = field(default_factory=list)  # topics of the contract that this graph did not have
    received: dict[str, int] = field(default_factory=dict)  # topic in the bag -> messages
    lost: dict[str, int] = field(default_factory=dict)  # the same; gaps in the publication sequence numbers
    recorded_at: str = ""  # wall time, ISO 8601 with zone
    software: str = ""  # version of this package

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise UnknownName("outcome", self.outcome, OUTCOMES)

    def to_custom_data(self) -> dict[str, str]:
        return {item.name: _write(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_custom_data(cls, data: Mapping[str, str], where: str = "the bag") -> EpisodeFacts:
        """What is not said keeps its default; what others have written beside it is left alone."""
        defaults = {item.name: getattr(cls(), item.name) for item in fields(cls)}
        said = {name: default for name, default in defaults.items() if name in data}
        return cls(**{name: _read(name, data[name], default, where) for name, default in said.items()})

    def expected_topics(self) -> tuple[Topic, ...]:
        """The contract that this episode was recorded under."""
        topics = robot_topics(get_robot(self.robot), self.control_hz, self.camera_hz)
        return tuple(
            topic for topic in topics if topic.name not in self.without and (self.simulated or not topic.sim_only)
        )


def _write(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _read(name: str, text: str, default: Any, where: str) -> Any:
    if isinstance(default, str):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        cause = f"'{name}' of {where} is {text!r}, which is not JSON."
        raise BagError(cause, "Label the episode again.") from error
