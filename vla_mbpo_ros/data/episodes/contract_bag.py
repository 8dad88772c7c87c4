"""A bag, asked by the names of the contract: the namespace and the robot's own topic names are its own affair.

bag = ContractBag(path)
for message in bag.messages("joint_states"):          # /left_robot/arx/joint_states, say
    state = decode_joint_state(bag.decode(message), bag.state_spec)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.bags import BagMessage
from vla_mbpo_ros.data.bags.foreign import open_bag
from vla_mbpo_ros.data.bags.report import full_name
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.robots import Joint, RobotSpec, get_robot, robot_names


class ContractBag:
    """One episode's bag."""

    def __init__(self, path: Path) -> None:
        self.path, self.bag = path, open_bag(path)
        self.facts = EpisodeFacts.from_custom_data(self.bag.custom_data, str(path))

    # -- topics --------------------------------------------------------------------------------------------------

    def name(self, topic: str) -> str:
        """Fully qualified, as it is in the bag."""
        return full_name(self.facts.names.get(topic, topic), self.facts.namespace)

    def count(self, topic: str) -> int:
        info = self.bag.topics.get(self.name(topic))
        return info.count if info else 0

    def type_of(self, topic: str) -> str:
        """Its type; empty if the bag has no such topic."""
        info = self.bag.topics.get(self.name(topic))
        return info.type if info else ""

    def require(self, topic: str, *types: str) -> str:
        """The topic's type; BagError if it is missing or of none of these types."""
        found = self.type_of(topic)
        if not found:
            cause = f"{self.path} has no topic {self.name(topic)}."
            raise BagError(cause, "Record it with recorder_node, or say in the bag's facts how it is called.")
        if found not in types:
            cause = f"{self.name(topic)} of {self.path} is a {found}, not a {' or '.join(types)}."
            raise BagError(cause, "Leave this bag out, or convert the topic.")
        return found

    def color_topic(self, camera: str) -> str:
        """Where the images of a camera are: raw where there are both."""
        raw = f"{camera}/color/image_raw"
        packed = f"{raw}/compressed"
        return packed if not self.count(raw) and self.count(packed) else raw

    def messages(self, *topics: str) -> Iterator[BagMessage]:
        """In order of recording; nothing for topics that are not in the bag."""
        present = [self.name(topic) for topic in topics if self.type_of(topic)]
        if present:
            yield from self.bag.messages(present)

    def decode(self, message: BagMessage) -> Any:
        return self.bag.decode(message)

    # -- the robot -----------------------------------------------------------------------------------------------

    @cached_property
    def cameras(self) -> tuple[str, ...]:
        """Those that the episode was recorded with, in the robot's order; without word of them, those with images."""
        known = get_robot(self.facts.robot).camera_names if self.facts.robot in robot_names() else ()
        said = [name for name in self.facts.camera_hz if not self._is_without(name)]
        if not self.facts.camera_hz:
            said = [name for name in known if self.type_of(self.color_topic(name))]
        return tuple(sorted(said, key=lambda name: (known.index(name) if name in known else len(known), name)))

    def _is_without(self, camera: str) -> bool:
        """Whether the graph is known not to have had it."""
        return f"{camera}/color/image_raw" in self.facts.without and not self.type_of(self.color_topic(camera))

    @cached_property
    def state_spec(self) -> RobotSpec:
        """Names and order of the measured joints."""
        return self._spec(self.facts.state_names, "joints")

    @cached_property
    def action_spec(self) -> RobotSpec:
        """Names and order of the commands."""
        return self._spec(self.facts.action_names, "commands")

    def _spec(self, names: Sequence[str], what: str) -> RobotSpec:
        facts = self.facts
        if names:
            # An imported bag: nobody here knows limits, and all its columns are positions.
            joints = tuple(Joint(name, -math.inf, math.inf, math.inf) for name in names)
            return RobotSpec(facts.robot, facts.robot, joints, (), facts.control_hz, facts.robot_id)
        if not facts.robot:
            cause = f"{self.path} does not say which robot it is of."
            raise BagError(cause, "Only bags of recorder_node, and imported ones, can be read as episodes.")
        if facts.robot not in robot_names():
            cause = f"{self.path} is of the robot '{facts.robot}', which has no description here."
            raise BagError(cause, f"Write it, or let the facts of the bag name its {what}.")
        return replace(get_robot(facts.robot), robot_id=facts.robot_id)
