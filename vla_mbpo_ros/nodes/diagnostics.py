"""/diagnostics through diagnostic_updater where it is installed, else through a small fallback of the same form.

diagnostic_updater is part of every real ROS install and of no package index; `Updater` here is whichever is found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Status(Protocol):
    """The part of diagnostic_updater's status wrapper that tasks use."""

    def summary(self, lvl: bytes, msg: str) -> None: ...

    def add(self, key: str, val: str) -> None: ...


Task = Callable[[Any], Any]


class FallbackStatus:
    def __init__(self, name: str, hardware_id: str) -> None:
        self.message = DiagnosticStatus(name=name, hardware_id=hardware_id)

    def summary(self, lvl: bytes, msg: str) -> None:
        self.message.level, self.message.message = lvl, msg

    def add(self, key: str, val: str) -> None:
        self.message.values.append(KeyValue(key=key, value=str(val)))


class FallbackUpdater:
    """`add`, `setHardwareID` and `force_update` as in diagnostic_updater; it has no timer of its own."""

    def __init__(self, node: Node, period: float = 1.0) -> None:
        self._node, self._hardware_id = node, "none"
        self._tasks: list[tuple[str, Task]] = []
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def setHardwareID(self, hwid: str) -> None:  # noqa: N802  # diagnostic_updater's name
        self._hardware_id = hwid

    def add(self, name: str, task: Task) -> None:
        self._tasks.append((name, task))

    def force_update(self) -> None:
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        for name, task in self._tasks:
            status = FallbackStatus(f"{self._node.get_name()}: {name}", self._hardware_id)
            task(status)
            array.status.append(status.message)
        self._publisher.publish(array)


try:
    from diagnostic_updater import Updater
except ImportError:
    Updater = FallbackUpdater

__all__ = ["ERROR", "OK", "WARN", "FallbackUpdater", "Status", "Updater"]
