"""The replay camera: a bag as live topics. `data/player.py` says what is due when; this file waits and publishes.

    with Playback(plan, namespace="", clock=True) as playback:
        result = playback.run()

Raw bytes go out as they were recorded, with the QoS that was recorded. Discovery stays on this machine, as in a
simulation: a replayed joint state must not reach a robot. Nothing is published on a topic that somebody else
publishes, and commands go out only while no robot_node is near.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from vla_mbpo_ros.bringup.environment import environment_for
from vla_mbpo_ros.bringup.shared_memory import free_half_made_ports
from vla_mbpo_ros.config import SHARED_MEMORY
from vla_mbpo_ros.data.bags.qos import FOREVER_NS, Qos
from vla_mbpo_ros.data.player import CLOCK, Item, Plan, restamped
from vla_mbpo_ros.errors import GraphError, MissingDependency
from vla_mbpo_ros.messages import fill_stamp, stamp_of_cdr
from vla_mbpo_ros.messages.types import message_class

CLOCK_S = 0.01  # longest period of /clock
_CLOCK_STEP_S = 0.002  # shortest, before a message: its stamp should not be ahead of the clock
LATE_S = 0.02  # what goes out later than this is counted
ROBOT = "robot_node"
_DISCOVERY_S = 1.5  # after that, whoever is near has been heard of
_MATCH_S = 0.5  # for readers to find the publishers
_LOOK_S = 1.0  # between two looks at who is near
_LAST_WORD_S = 2.0  # for what is still on its way
_NS = 10**9


@dataclass
class Played:
    """What went out so far."""

    counts: Counter[str] = field(default_factory=Counter)  # by topic in the bag
    late: int = 0
    max_late_s: float = 0.0
    duration_s: float = 0.0
    interrupted: bool = False

    def add(self, topic: str, late_s: float) -> None:
        self.counts[topic] += 1
        self.late += late_s > LATE_S
        self.max_late_s = max(self.max_late_s, late_s)


Progress = Callable[[Played, Item], None]


def _nothing(played: Played, item: Item) -> None:
    pass


class Playback:
    """A node that publishes a plan. Topics of types that are not installed here are in `plan.skipped`."""

    def __init__(self, plan: Plan, namespace: str = "") -> None:
        _use_this_machine_only()
        rclpy = _import_rclpy()
        free_half_made_ports()
        classes, missing = _classes(plan)
        self.plan = plan.without(missing) if missing else plan
        self._prefix = f"/{namespace.strip('/')}" if namespace.strip("/") else ""
        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
        try:
            self._node = _make_node(rclpy, self._context)
            time.sleep(_DISCOVERY_S)
            self._refuse_neighbours()
            self._publishers = {name: self._publisher(classes[name], name) for name in self.plan.topics}
            self._clock = self._clock_publisher() if self._has_clock else None
            time.sleep(_MATCH_S)
        except BaseException:
            self.close()
            raise

    def run(self, progress: Progress = _nothing) -> Played:
        """Until the bag ends, for a loop until Ctrl-C. What is late goes out at once; nothing is left out."""
        played, items = Played(), self.plan.items()
        first = next(items)  # to open files and to read the first chunk must not make anything late
        began_s, self._began_wall_ns, self._looked_s = time.monotonic(), time.time_ns(), time.monotonic()
        try:
            for item in chain((first,), items):
                late_s = self._wait(item, began_s)
                played.add(item.topic, late_s)  # first: Ctrl-C may come while others hear it already
                self._publishers[item.topic].publish(self._bytes(item))
                progress(played, item)
        except KeyboardInterrupt:
            played.interrupted = True
        played.duration_s = time.monotonic() - began_s
        self._say_last_words()
        return played

    def close(self) -> None:
        if hasattr(self, "_node"):
            self._node.destroy_node()
        self._context.try_shutdown()

    def __enter__(self) -> Playback:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- time --------------------------------------------------------------------------------------------------------

    @property
    def _has_clock(self) -> bool:
        return self.plan.choice.clock and not self.plan.choice.restamp

    def _wait(self, item: Item, began_s: float) -> float:
        """Until the item is due, the clock going on meanwhile. How late it is [s]."""
        due_s = began_s + item.due_ns / _NS
        while True:
            now_s = time.monotonic()
            due = now_s >= due_s
            self._tick(min(now_s, due_s) - began_s, _CLOCK_STEP_S if due else CLOCK_S)
            if now_s - self._looked_s > _LOOK_S:
                self._looked_s = now_s
                self._refuse_robot()
            if due:
                return now_s - due_s
            time.sleep(min(due_s - now_s, CLOCK_S))

    _ticked_s = -CLOCK_S

    def _tick(self, elapsed_s: float, least_s: float) -> None:
        """Bag time on /clock, unless it was told less than `least_s` ago."""
        if self._clock is None or elapsed_s - self._ticked_s < least_s:
            return
        self._ticked_s = elapsed_s
        message = message_class("rosgraph_msgs/msg/Clock")()
        fill_stamp(message.clock, self.plan.start_ns + round(elapsed_s * self.plan.choice.rate * _NS))
        self._clock.publish(message)

    def _bytes(self, item: Item) -> bytes:
        """With --restamp all stamps are moved by the same time: what belongs together keeps one stamp."""
        if not (self.plan.choice.restamp and item.topic in self.plan.stamped):
            return bytes(item.data)
        since_ns = (stamp_of_cdr(item.data) - self.plan.start_ns) / self.plan.choice.rate
        return restamped(item.data, self._began_wall_ns + round(since_ns))

    # -- the graph ---------------------------------------------------------------------------------------------------

    def _name(self, topic: str) -> str:
        return f"{self._prefix}{topic}"

    def _publisher(self, kind: type, topic: str) -> Any:
        return self._node.create_publisher(kind, self._name(topic), _profile(self.plan.qos[topic]))

    def _clock_publisher(self) -> Any:
        return self._node.create_publisher(message_class("rosgraph_msgs/msg/Clock"), CLOCK, 10)

    def _refuse_neighbours(self) -> None:
        names = [self._name(topic) for topic in self.plan.topics] + [CLOCK] * self._has_clock
        found = {
            f"{name} by {info.node_name}" for name in names for info in self._node.get_publishers_info_by_topic(name)
        }
        if found:
            domain = os.environ.get("ROS_DOMAIN_ID", "0")
            raise GraphError(
                f"Published already in ROS domain {domain}: {', '.join(sorted(found))}.",
                "Stop who publishes it, choose --topics, or play below another --namespace.",
            )
        self._refuse_robot()

    def _refuse_robot(self) -> None:
        """Also while playing: an arm that wakes up must not meet commands of yesterday."""
        names = self._node.get_node_names_and_namespaces() if self.plan.choice.commands else ()
        robots = sorted(f"{space.rstrip('/')}/{name}" for name, space in names if name == ROBOT)
        if robots:
            raise GraphError(
                f"{', '.join(robots)} is near, which obeys commands: not playing any.",
                "Stop it, play in another ROS_DOMAIN_ID, or leave out --commands.",
            )

    def _say_last_words(self) -> None:
        """What is reliable arrives before its publisher goes."""
        from rclpy.duration import Duration

        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=_LAST_WORD_S))


def _use_this_machine_only() -> None:
    """The middleware reads it from our own environment."""
    environment_for(True, os.environ, SHARED_MEMORY).adopt()


def _import_rclpy() -> Any:
    try:
        import rclpy
        import rclpy.signals
    except ImportError as error:
        raise MissingDependency(f"ROS 2 is not installed here: {error}.", "See `vla-mbpo doctor`.") from error
    return rclpy


def _make_node(rclpy: Any, context: Any) -> Any:
    return rclpy.create_node(
        f"play_{os.getpid()}",
        context=context,
        use_global_arguments=False,
        enable_rosout=False,
        start_parameter_services=False,
    )


def _classes(plan: Plan) -> tuple[dict[str, type], dict[str, str]]:
    """The message class of every topic, and why there is none."""
    classes: dict[str, type] = {}
    missing: dict[str, str] = {}
    for name, info in plan.topics.items():
        try:
            if info.encoding != "cdr" or info.type.count("/") != 2 or "/msg/" not in info.type:
                raise MissingDependency(f"'{info.type}' encoded as '{info.encoding}' is no message of ROS 2.")
            classes[name] = message_class(info.type)
        except MissingDependency as error:
            missing[name] = str(error)
    return classes, missing


def _profile(offered: Qos) -> Any:
    from rclpy.duration import Duration
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

    reliable, latched = offered.reliability == "reliable", offered.durability == "transient_local"
    timed: Mapping[str, Any] = {}
    if 0 < offered.deadline_ns < FOREVER_NS:
        timed = {"deadline": Duration(nanoseconds=offered.deadline_ns)}
    return QoSProfile(
        depth=offered.depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        **timed,
    )
