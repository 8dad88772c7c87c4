"""The recorder's subscriptions, one a source, each asking for no more than its publishers offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from rclpy.qos import QoSProfile

from vla_mbpo_ros.data.bags import Qos
from vla_mbpo_ros.data.recording import Source
from vla_mbpo_ros.messages.types import message_class
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.nodes.polling import Poller
from vla_mbpo_ros.nodes.runtime import ManagedNode

_WANTED = {"image": qos.RECORDED_IMAGE, "latched": qos.LATCHED}  # kind of topic -> QoS; else qos.RECORDED

OnRaw = Callable[[Source, bytes, dict[str, int]], None]


class SourceSubscriptions:
    """`poller` looks for the messages; without one the executor waits for them."""

    def __init__(self, node: ManagedNode, sources: Iterable[Source], on_raw: OnRaw, poller: Poller | None) -> None:
        self._node, self._on_raw, self._poller = node, on_raw, poller
        self._sources = {source.name: source for source in sources}
        self._entities: dict[str, Any] = {}  # topic -> subscription
        for source in self._sources.values():
            self._subscribe(source, _WANTED.get(source.topic.kind, qos.RECORDED))

    def fit(self) -> None:
        """Look at foreign drivers again. Not while a bag is open: messages may be missed meanwhile."""
        for name, source in self._sources.items():
            asked = self._entities[name].qos_profile  # by us or by the parameters
            offered = [info.qos_profile for info in self._node.get_publishers_info_by_topic(name)]
            fit = qos.fitting(asked, offered)
            if (fit.reliability, fit.durability) != (asked.reliability, asked.durability):
                self._node.get_logger().info(f"{name} is heard as it is offered: {fit.reliability.name.lower()}.")
                self._node.forget(self._entities[name])
                self._subscribe(source, fit, fixed=True)

    def note_offers(self) -> None:
        """What publishers offer now; a bag keeps it."""
        for name, source in self._sources.items():
            publishers = self._node.get_publishers_info_by_topic(name)
            source.offered = tuple(Qos.of(info.qos_profile) for info in publishers)

    def _subscribe(self, source: Source, profile: QoSProfile, fixed: bool = False) -> None:
        kind, call = message_class(source.topic.type), partial(self._on_raw, source)
        self._entities[source.name] = self._node.sub_raw(kind, source.name, call, profile, self._poller, fixed)
