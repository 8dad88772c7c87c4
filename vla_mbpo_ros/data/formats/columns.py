"""Whose joints and cameras the columns of a foreign data set are.

A robot that has a description here gets its own names and order, so that policies and checks know it. Any other
keeps the names of its data set; they go into the facts of each bag (`state_names`, `action_names`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName, VlaMbpoError
from vla_mbpo_ros.robots import RobotSpec, get_robot, robot_names

_SUFFIXES = (".pos", ".position", "_pos")  # what LeRobot's robots add to a joint's name


@dataclass(frozen=True)
class Columns:
    """Of one vector: take `order` of the source's columns, call them `names`."""

    names: tuple[str, ...]
    order: tuple[int, ...]


@dataclass(frozen=True)
class Mapped:
    """A data set's columns and cameras as a bag has them."""

    robot: str  # for the facts; empty if the name would promise too much
    robot_id: str
    state: Columns
    action: Columns
    cameras: Mapping[str, str]  # ours -> the data set's
    known: bool  # the robot has a description, and the columns are its joints


@dataclass(frozen=True)
class Source:
    """What a data set says of itself. Names may be empty where it names no columns."""

    robot: str
    state_names: Sequence[str]
    state_width: int
    action_names: Sequence[str]
    action_width: int
    cameras: Sequence[str]
    renamed: Mapping[str, str] = field(default_factory=dict)  # ours -> the data set's, as the user asked


def map_source(source: Source, robot: str = "") -> Mapped:
    """With `robot` it must fit that description; without, the data set's own robot is tried first."""
    if robot:
        return _as_robot(source, get_robot(robot))
    if source.robot in robot_names():
        try:
            return _as_robot(source, get_robot(source.robot))
        except VlaMbpoError:
            return _as_foreign(source, "")
    return _as_foreign(source, source.robot)


def map_cameras(theirs: Sequence[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """Ours -> the data set's: those asked for, or all, under names that topics may have."""
    for name in renamed.values():
        if name not in theirs:
            raise UnknownName("camera", name, theirs, "the data set")
    cameras = dict(renamed) if renamed else {topic_name(name): name for name in theirs}
    if not renamed and len(cameras) != len(theirs):
        raise ConfigError("Two cameras would get one name.", "Name them: --cameras head=…,left_wrist=…")
    return cameras


def topic_name(text: str) -> str:
    """A name that a topic may have: `cam-1` becomes `cam_1`, `0` becomes `_0`."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "camera"
    return f"camera_{name}" if name[0].isdigit() else name


def read_pairs(text: str) -> dict[str, str]:
    """`head=agentview,left_wrist` -> {"head": "agentview", "left_wrist": "left_wrist"}."""
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        ours, _, theirs = (word.strip() for word in part.partition("="))
        if not ours or ours in pairs or topic_name(ours) != ours:
            raise ConfigError(f"'{part}' in --cameras is no pair of names.", "Write OURS=THEIRS, each of ours once.")
        pairs[ours] = theirs or ours
    if len(set(pairs.values())) != len(pairs):
        raise ConfigError("--cameras gives two of ours the same camera.", "Name each once.")
    return pairs


def _as_robot(source: Source, robot: RobotSpec) -> Mapped:
    cameras = map_cameras(source.cameras, source.renamed)
    for name in cameras:
        if name not in robot.camera_names:
            theirs = cameras[name]
            raise ConfigError(
                f"{robot.name} has no camera '{name}', its cameras are {', '.join(robot.camera_names)}.",
                f"Say which it is: --cameras {robot.camera_names[0]}={theirs}; cameras that are not named stay out.",
            )
    return Mapped(
        robot.name,
        robot.id,
        _match(source.state_names, source.state_width, robot, "state"),
        _match(source.action_names, source.action_width, robot, "action"),
        {name: cameras[name] for name in robot.camera_names if name in cameras},
        known=True,
    )


def _match(names: Sequence[str], width: int, robot: RobotSpec, what: str) -> Columns:
    if width != robot.dof:
        raise ContractError(
            f"The {what} has {width} columns, {robot.name} has {robot.dof} joints.",
            "Leave --robot away to import it under its own names.",
        )
    if not names:  # nothing said: they can only be meant in the robot's order
        return Columns(robot.names, tuple(range(width)))
    plain = [_plain(name) for name in names]
    for name in plain:
        if name not in robot.names:
            raise UnknownName(f"joint of {robot.name}", name, robot.names, f"the {what}")
    return Columns(robot.names, tuple(robot.order(plain)))


def _plain(name: str) -> str:
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _as_foreign(source: Source, robot: str) -> Mapped:
    """Under a known robot's name it would be taken for what it is not: then only the id says whose it is."""
    return Mapped(
        robot,
        source.robot,
        _own(source.state_names, source.state_width, "state"),
        _own(source.action_names, source.action_width, "action"),
        map_cameras(source.cameras, source.renamed),
        known=False,
    )


def _own(names: Sequence[str], width: int, what: str) -> Columns:
    if len(names) != width or len(set(names)) != width or not all(names):
        names = [f"{what}_{index}" for index in range(width)]
    return Columns(tuple(names), tuple(range(width)))
