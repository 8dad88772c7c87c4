"""What a node tells of itself: a heartbeat for the supervisor, diagnostics for people, complaints on the log."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from vla_mbpo_ros.msg import Heartbeat
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.topic_watch import TopicWatch

if TYPE_CHECKING:
    from vla_mbpo_ros.nodes.runtime import ManagedNode

REPEAT_S = 2.0  # the same complaint is logged at most this often


@dataclass
class Complaint:
    """The newest error of a node, shown in diagnostics until it is `FORGET_S` old."""

    text: str = ""
    at_s: float = 0.0  # steady time

    FORGET_S: ClassVar[float] = 5.0

    def current(self) -> str:
        return self.text if time.monotonic() - self.at_s < self.FORGET_S else ""


class Health:
    """Belongs to one node for its whole life; its timers run on steady time."""

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self.watches: list[TopicWatch] = []  # the node's inputs
        self._complaint = Complaint()
        self._heartbeat = node.create_publisher(Heartbeat, "heartbeat", qos.HEARTBEAT)
        self._updater = diagnostics.Updater(node, period=3600.0)  # driven by our timer: /clock may stand still
        self._updater.setHardwareID(node.robot_id)
        self._updater.add("state", self._state)
        self._updater.add("inputs", self._inputs)
        runtime = node.cfg.runtime
        node.create_timer(runtime.heartbeat_s, self._beat, clock=node.steady_clock)
        node.create_timer(runtime.diagnostics_s, self._updater.force_update, clock=node.steady_clock)

    def complain(self, text: str) -> None:
        """Numbers do not make a complaint a new one: an age grows with every tick."""
        known = _without_numbers(self._complaint.current()) == _without_numbers(text)
        if not known or time.monotonic() - self._complaint.at_s > REPEAT_S:
            self._node.get_logger().error(text)
            self._complaint = Complaint(text, time.monotonic())

    def _beat(self) -> None:
        node = self._node
        self._heartbeat.publish(
            Heartbeat(node=node.get_fully_qualified_name(), pid=os.getpid(), state=node.state_id, detail=node.detail)
        )

    def _state(self, status: Any) -> Any:
        node = self._node
        status.summary(diagnostics.OK, node.state_label)
        status.add("state", node.state_label)
        if node.is_active:
            node.diagnose(status)
        trouble = node.detail if node.failure else self._complaint.current()
        if trouble:  # after `diagnose`, which may have something milder to say
            status.summary(diagnostics.ERROR, trouble)
        return status

    def _inputs(self, status: Any) -> Any:
        now = self._node.now_ns()
        complaints = [text for text in (watch.complaint(now) for watch in self.watches) if text]
        level = diagnostics.WARN if complaints and self._node.is_active else diagnostics.OK
        status.summary(level, " ".join(complaints) if level is diagnostics.WARN else "fresh")
        for watch in self.watches:
            for key, value in watch.facts(now).items():
                status.add(f"{watch.name} {key}", value)
        return status


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+", "", text)
