"""What is said of one episode. It lives in the bag itself, as custom data, never in file names.

Text stays text; everything else is JSON, so that any reader of metadata.yaml understands it:

    instruction: put the cube into the bowl
    outcome: success
    success_time_s: '6.4'
    camera_hz: '{"head": 15.0, "left_wrist": 15.0, "right_wrist": 15.0}'
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from vla_mbpo_ros.config import OUTCOMES
from vla_mbpo_ros.errors import BagError, UnknownName
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.robots.contract import Topic, robot_topics


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
    truncated: bool = False  # its time ran out before it was decided
    policy_version: str = ""
    note: str = ""  # by a person
    seed: int | None = None  # of the layout; simulator only
    simulated: bool = False
    control_hz: float = 0.0
    camera_hz: dict[str, float] = field(default_factory=dict)  # camera name -> promised rate
    names: dict[str, str] = field(default_factory=dict)  # contract's topic name -> the robot's own
    color: str = "raw"  # which topics of its cameras it has: "raw", "compressed" or "both"
    # Of a robot that has no description here, as an imported bag's may be: the columns of states and commands.
    state_names: list[str] = field(default_factory=list)
    action_names: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)  # topics of the contract that this graph did not have
    # Who held the lease when it was not the policy: [source, from, until], seconds since the start of the bag.
    interventions: list[tuple[str, float, float]] = field(default_factory=list)
    origin: str = ""  # of an imported episode: format, data set and number there
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
        said = [item for item in fields(cls) if item.name in data]
        return cls(**{item.name: _read(item.name, data[item.name], str(item.type), where) for item in said})

    def expected_topics(self) -> tuple[Topic, ...]:
        """The contract that this episode was recorded under."""
        topics = robot_topics(get_robot(self.robot), self.control_hz, self.camera_hz, self.color)
        return tuple(
            topic for topic in topics if topic.name not in self.without and (self.simulated or not topic.sim_only)
        )


def _write(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _read(name: str, text: str, kind: str, where: str) -> Any:
    """`kind` is the field's type as it is written above."""
    if kind == "str":
        return text
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BagError(f"'{name}' of {where} is {text!r}, which is not JSON.", _CURE) from error
    if not _FITS[kind](value):
        raise BagError(f"'{name}' of {where} is {text!r}, which is of another kind.", _CURE)
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    """JSON as Python reads it knows NaN and infinity; larger numbers do not fit into nanoseconds."""
    return (_is_whole(value) or isinstance(value, float)) and math.isfinite(value) and abs(value) <= _LARGEST


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_span(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and _is_text(value[0]) and all(map(_is_number, value[1:]))


def _table_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


_CURE = "Mend it in the bag's metadata.yaml."
_LARGEST = 1e9  # seconds or hertz
_FITS: dict[str, Callable[[Any], bool]] = {  # type of a field -> whether a value from JSON is of it
    "bool": lambda value: isinstance(value, bool),
    "float": _is_number,
    "float | None": lambda value: value is None or _is_number(value),
    "int | None": lambda value: value is None or _is_whole(value),
    "dict[str, float]": _table_of(_is_number),
    "dict[str, int]": _table_of(_is_whole),
    "dict[str, str]": _table_of(_is_text),
    "list[str]": _list_of(_is_text),
    "list[tuple[str, float, float]]": _list_of(_is_span),
}
