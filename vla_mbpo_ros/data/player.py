"""What is published when while a bag is played. No ROS: `bringup/playback.py` waits and publishes.

    plan = plan_playing(bag, Choice(rate=2.0))
    for item in plan.items():          Item(due_ns, bag_ns, topic, data) in order of due_ns
        ...

What is latched comes first, as it was when the chosen span began. When the bag is looped, time goes on: stamps of
the second round are one round later, so that nobody sees time going backwards.

Commands are held back unless asked for: a recorded command that reaches an arm moves it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from vla_mbpo_ros.data.bags.bag import Bag, TopicInfo
from vla_mbpo_ros.data.bags.qos import Qos, read_qos
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError, ConfigError, ContractError
from vla_mbpo_ros.messages import stamp_of_cdr

CLOCK = "/clock"
CLOCK_TYPE = "rosgraph_msgs/msg/Clock"
# What tells an arm, a node or the simulator to do something, by its name in the contract.
COMMAND_NAMES = (
    "joint_command",
    "robot/executed_command",
    "policy/action_chunk",
    "driver/command",
    "estop",
    "deadman",
    "sim/tick_done",
    "heartbeat",
)
# The same by type, whatever the name: robots of others, joysticks, mobile bases.
COMMAND_TYPES = frozenset(
    {
        "vla_mbpo_ros/msg/JointCommand",
        "vla_mbpo_ros/msg/ActionChunk",
        "vla_mbpo_ros/msg/TickDone",
        "vla_mbpo_ros/msg/Heartbeat",
        "trajectory_msgs/msg/JointTrajectory",
        "trajectory_msgs/msg/MultiDOFJointTrajectory",
        "std_msgs/msg/Float64MultiArray",
        "std_msgs/msg/Float32MultiArray",
        "control_msgs/msg/JointJog",
        "geometry_msgs/msg/Twist",
        "geometry_msgs/msg/TwistStamped",
        "sensor_msgs/msg/Joy",
        CLOCK_TYPE,
    }
)
_COMMAND_WORDS = ("command", "cmd", "goal", "estop", "e_stop")  # in the last part of a name
_NS = 10**9
_STAMPS = {b"\x00\x00": struct.Struct(">iI"), b"\x00\x01": struct.Struct("<iI")}
_LEAST_PERIOD_NS = 10**6  # a loop over one moment must not be a busy one
_STAMP_PLACE = 4  # behind the encapsulation [bytes]


@dataclass(frozen=True)
class Choice:
    """What a person asks for. Times are seconds of the bag, counted from its start."""

    rate: float = 1.0
    loop: bool = False
    start_s: float = 0.0
    duration_s: float = math.inf
    topics: tuple[str, ...] = ()  # empty: all
    commands: bool = False
    clock: bool = True  # /clock from bag time
    restamp: bool = False  # stamps become those of now; needs no clock

    def __post_init__(self) -> None:
        if not (self.rate > 0.0 and math.isfinite(self.rate)):
            raise ConfigError(f"--rate is {self.rate:g}.", "Give a number above 0; 1 is as fast as it was recorded.")
        if not (self.start_s >= 0.0 and math.isfinite(self.start_s)):
            raise ConfigError(f"--start is {self.start_s:g}.", "Give seconds from the start of the bag.")
        if not self.duration_s > 0.0:
            raise ConfigError(f"--duration is {self.duration_s:g}.", "Give a number of seconds above 0.")


@dataclass(frozen=True)
class Item:
    """One message to publish."""

    due_ns: int  # since playing began, in steady time
    bag_ns: int  # what the clock of the bag says then; goes on from round to round
    topic: str  # as in the bag
    data: bytes | memoryview


@dataclass(frozen=True)
class Plan:
    """A bag and what to play of it."""

    bag: Bag
    choice: Choice
    topics: Mapping[str, TopicInfo]
    held_back: tuple[str, ...]  # commands that are not played
    start_ns: int  # of the span, in log time
    end_ns: int
    skipped: Mapping[str, str] = field(default_factory=dict)  # topic -> why it cannot be played

    @property
    def length_ns(self) -> int:
        """Steady time of one round."""
        return round((self.end_ns - self.start_ns) / self.choice.rate)

    @cached_property
    def qos(self) -> dict[str, Qos]:
        """What to offer: everything that any of the recorded publishers offered."""
        return {name: _offered(read_qos(info.qos_yaml)) for name, info in self.topics.items()}

    @cached_property
    def stamped(self) -> frozenset[str]:
        """Topics whose messages begin with a time. One that cannot be decoded has none that is known."""
        return frozenset(name for name in self.topics if self._is_stamped(name))

    def without(self, skipped: Mapping[str, str]) -> Plan:
        """The same without topics that cannot be played here."""
        topics = {name: info for name, info in self.topics.items() if name not in skipped}
        if not topics:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
            raise BagError(f"Nothing of {self.bag.path} can be played: {reasons}", "Install what is missing.")
        return replace(self, topics=topics, skipped={**self.skipped, **skipped})

    def items(self) -> Iterator[Item]:
        """Every message once; without end for a loop."""
        yield from self._latched()
        turn = 0
        while True:
            empty = True
            for item in self._round(turn):
                empty = False
                yield item
            turn += 1
            if empty or not self.choice.loop:
                return

    def _latched(self) -> Iterator[Item]:
        """The last word before the span of every topic that is latched."""
        for name in (name for name in self.topics if self.qos[name].durability == "transient_local"):
            places = self.bag.locate(name)
            before = int(np.searchsorted(places.log_ns, self.start_ns))
            if before:
                yield Item(0, self.start_ns, name, self.bag.read(places.refs[before - 1]).data)

    def _round(self, turn: int) -> Iterator[Item]:
        shift_ns = turn * self._round_ns
        for message in self.bag.messages(list(self.topics), self.start_ns, self.end_ns):
            bag_ns = message.log_ns + shift_ns
            data = message.data
            if shift_ns and message.topic in self.stamped:
                data = restamped(data, stamp_of_cdr(data) + shift_ns)
            yield Item(round((bag_ns - self.start_ns) / self.choice.rate), bag_ns, message.topic, data)

    @cached_property
    def _round_ns(self) -> int:
        """The span and one period of the busiest topic, so that the last and the first do not fall together."""
        count = max(info.count for info in self.topics.values())
        period_ns = (self.bag.end_ns - self.bag.start_ns) // (count - 1) if count > 1 else _NS
        return self.end_ns - self.start_ns + max(period_ns, _LEAST_PERIOD_NS)

    def _is_stamped(self, topic: str) -> bool:
        try:
            return self.bag.decoder(topic).stamped
        except BagError:
            return False


def plan_playing(bag: Bag, choice: Choice) -> Plan:
    """Refuses topics that are not in the bag, and commands by name unless commands are asked for."""
    bag.require(choice.topics)
    names = commands_of(bag)
    asked = [name for name in choice.topics if name in names]
    if asked and not choice.commands:
        cause = f"{', '.join(asked)} would command something."
        raise ConfigError(cause, "Add --commands if that is meant; nothing that moves may be listening.")
    wanted = {name: info for name, info in bag.topics.items() if not choice.topics or name in choice.topics}
    clock = {CLOCK} if choice.clock and not choice.restamp else set()  # two clocks would disagree
    held = {name for name in wanted if name in clock or (name in names and not choice.commands)}
    start_ns = bag.start_ns + round(choice.start_s * _NS)
    length_s = min(choice.duration_s, (bag.end_ns - start_ns) / _NS)
    played = {name: info for name, info in wanted.items() if name not in held and info.count}
    if not played or length_s < 0.0:
        what = "no message there" if played else "nothing but commands" if held else "no message"
        raise BagError(f"{bag.path} has {what} to play.", "See `vla-mbpo bags info` for its topics and its length.")
    end_ns = min(bag.end_ns, start_ns + round(length_s * _NS))
    return Plan(bag, choice, played, tuple(sorted(held)), start_ns, end_ns)


def commands_of(bag: Bag) -> frozenset[str]:
    """The topics of a bag that tell somebody to do something."""
    said = EpisodeFacts.from_custom_data(bag.custom_data, str(bag.path))
    ours = {said.names.get(name, name).strip("/") for name in COMMAND_NAMES} | set(COMMAND_NAMES)
    return frozenset(name for name, info in bag.topics.items() if _commands(name, info.type, ours))


def _commands(name: str, type_name: str, ours: set[str]) -> bool:
    last = name.rsplit("/", 1)[-1].lower()
    return (
        type_name in COMMAND_TYPES
        or any(f"/{name.strip('/')}".endswith(f"/{known}") for known in ours)
        or any(word in last for word in _COMMAND_WORDS)
    )


def restamped(data: bytes | memoryview, stamp_ns: int) -> bytes:
    """A copy of a message that begins with a Header or a Time, with another stamp."""
    layout = _STAMPS.get(bytes(data[:2]))
    if layout is None or len(data) < _STAMP_PLACE + layout.size:
        raise ContractError("A message has no stamp to replace.", "Play this bag without --restamp.")
    copy = bytearray(data)
    try:
        layout.pack_into(copy, _STAMP_PLACE, *divmod(stamp_ns, _NS))
    except struct.error as error:
        raise ContractError(f"{stamp_ns} ns does not fit into a stamp.", "Play this bag without --restamp.") from error
    return bytes(copy)


def _offered(recorded: tuple[Qos, ...]) -> Qos:
    """Who asks for less is served as well. Numbers are those of bags before version 9."""
    if not recorded:
        return Qos()
    latched = any(profile.durability in ("transient_local", "1") for profile in recorded)
    best_effort = all(profile.reliability in ("best_effort", "2") for profile in recorded)
    return Qos(
        depth=max(max(profile.depth for profile in recorded), 1),
        reliability="best_effort" if best_effort and not latched else "reliable",
        durability="transient_local" if latched else "volatile",
        deadline_ns=min(profile.deadline_ns for profile in recorded),
    )
