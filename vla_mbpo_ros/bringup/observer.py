"""Looks at a running graph: which nodes are active, and how fast every topic of the contract is.

The only file of this room that uses ROS. Subscriptions are raw: nothing but the stamp is read of a message.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from vla_mbpo_ros.bringup.graph import GraphSpec
from vla_mbpo_ros.bringup.rates import TopicCount
from vla_mbpo_ros.bringup.shared_memory import free_half_made_ports
from vla_mbpo_ros.errors import MissingDependency
from vla_mbpo_ros.messages.header import stamp_of_cdr
from vla_mbpo_ros.messages.types import message_class
from vla_mbpo_ros.robots.contract import Topic

_STAMPLESS = ("std_msgs/",)  # neither Header nor Time in front: counted, not timed
_DEPTH = 50  # messages that may wait while the observer draws its table
_WAIT_S = 0.02
_NOT_YET_NAMED = "_NODE_NAME_UNKNOWN_"  # a publisher is heard of a moment before its node


class Observer:
    """A node beside the graph. Make it after `graph.environment` is in this process's environment."""

    def __init__(self, graph: GraphSpec, context: Any = None) -> None:
        rclpy = _import_rclpy()
        free_half_made_ports()
        from rclpy.executors import SingleThreadedExecutor

        self._graph = graph
        self._context = context or rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
        self.node = rclpy.create_node(
            f"observer_{os.getpid()}",
            context=self._context,
            namespace=graph.options.namespace,
            cli_args=_remap_arguments(graph.remaps),
            use_global_arguments=False,
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.states: dict[str, int] = {}  # full node name -> lifecycle state
        self.details: dict[str, str] = {}
        self._complaints: dict[str, str] = {}  # what diagnostics calls an error now
        self._early: frozenset[str] = frozenset()
        self.counts: dict[str, TopicCount] = {}
        self.begin()
        self._subscribe()

    def spin(self, seconds: float) -> None:
        """Take what arrives for this long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # The same timeout each time: with another one rclpy begins its round anew, and the last topics starve.
            self._executor.spin_once(timeout_sec=_WAIT_S)

    def begin(self) -> None:
        """Count anew; what was complained of before is forgiven. What is latched has been sent once and is kept."""
        self._early = frozenset(self._complaints.values())
        latched = {topic.name for topic in self._graph.topics if topic.kind == "latched"}
        kept = {name: count for name, count in self.counts.items() if name in latched}
        self.counts = {topic.name: kept.get(topic.name, TopicCount()) for topic in self._graph.topics}

    def inactive(self) -> list[str]:
        """Lifecycle nodes that have not said that they are active, each with the reason they give."""
        from lifecycle_msgs.msg import State

        names = [self._graph.node(name).full_name for name in self._graph.order]
        waiting = [name for name in names if self.states.get(name) != State.PRIMARY_STATE_ACTIVE]
        return [f"{name} ({self.details[name]})" if self.details.get(name) else name for name in waiting]

    def complaints(self) -> list[str]:
        """What diagnostics calls an error now and did not before `begin`."""
        return [text for text in self._complaints.values() if text not in self._early]

    def neighbours(self) -> list[str]:
        """Who is here already under a name of this graph, or with a clock. Ask before the graph is started."""
        running = {f"{space.rstrip('/')}/{name}" for name, space in self.node.get_node_names_and_namespaces()}
        found = sorted(running.intersection(node.full_name for node in self._graph.nodes))
        clocks = self.node.get_publishers_info_by_topic("/clock") if self._graph.options.sim else []
        return found or sorted({f"a clock by {info.node_name}" for info in clocks if info.node_name != _NOT_YET_NAMED})

    def now_ns(self) -> int:
        """The newest stamp on any topic that has a rate: the graph's own time."""
        return max((self.counts[topic.name].last_ns for topic in self._graph.topics if topic.hz), default=0)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _subscribe(self) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        from vla_mbpo_ros.msg import Heartbeat

        for topic in self._graph.topics:
            callback = partial(self._on_message, topic.name, not topic.type.startswith(_STAMPLESS))
            self.node.create_subscription(message_class(topic.type), topic.name, callback, _qos(topic), raw=True)
        best_effort = _qos(Topic("", "", "event"))
        self.node.create_subscription(Heartbeat, "heartbeat", self._on_heartbeat, best_effort)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, best_effort)

    def _on_message(self, name: str, has_stamp: bool, data: bytes, info: Mapping[str, Any]) -> None:
        stamp = stamp_of_cdr(data) if has_stamp else int(info["source_timestamp"])
        self.counts[name].add(stamp, int(info["publication_sequence_number"]))

    def _on_heartbeat(self, beat: Any) -> None:
        self.states[beat.node], self.details[beat.node] = int(beat.state), beat.detail

    def _on_diagnostics(self, array: Any) -> None:
        from diagnostic_msgs.msg import DiagnosticStatus

        for status in array.status:
            if status.level == DiagnosticStatus.ERROR:
                self._complaints[status.name] = f"{status.name}: {status.message}"
            else:
                self._complaints.pop(status.name, None)


def _import_rclpy() -> Any:
    try:
        import rclpy
        import rclpy.signals
    except ImportError as error:
        raise MissingDependency(f"ROS 2 is not installed here: {error}.", "See `vla-mbpo doctor`.") from error
    return rclpy


def _remap_arguments(remaps: Mapping[str, str]) -> list[str]:
    words = [word for ours, theirs in remaps.items() for word in ("-r", f"{ours}:={theirs}")]
    return ["--ros-args", *words] if words else []


def _qos(topic: Topic) -> Any:
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

    latched = topic.kind == "latched"
    return QoSProfile(
        depth=_DEPTH,
        # Best effort cannot slow a publisher down; what was latched before we came is only given to the reliable.
        reliability=ReliabilityPolicy.RELIABLE if latched else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
