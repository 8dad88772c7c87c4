"""One process, one node: start it, spin it until it is asked to end, and let the exit code tell how it went."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from vla_mbpo_ros.bringup.shared_memory import free_half_made_ports
from vla_mbpo_ros.errors import VlaMbpoError
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.nodes.signals import StopRequest


def run(make_node: Callable[[], ManagedNode]) -> None:
    """Spin a node until it is asked to end; the exit code tells how it went."""
    stop = StopRequest()
    free_half_made_ports()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make_node()
    except VlaMbpoError as error:
        print(f"error: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        sys.exit(error.exit_code)
    _prioritise(node)
    code = _spin(node, stop)
    stop.ignore_more()
    rclpy.try_shutdown()
    sys.exit(code)


def _spin(node: ManagedNode, stop: StopRequest) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    # `spin_once` returns only when something ran.
    stop.wake = node.create_guard_condition(lambda: None).trigger
    failure = _autostart(node) if node.cfg.runtime.autostart else None
    while not (stop.is_set or node.defect or failure):
        executor.spin_once()
    if node.defect:
        raise node.defect
    code = _end(node)
    executor.shutdown()  # else it is taken apart after rclpy is gone, with a traceback
    return code or (failure.exit_code if failure else 0)


def _prioritise(node: ManagedNode) -> None:
    """So that a busy machine delays cameras rather than control. Threads that are made later inherit it."""
    priority = node.cfg.runtime.realtime_priority
    if not priority:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        node.get_logger().info("No real-time priority: not permitted. See `ulimit -r` and rtprio in limits.conf.")


def _autostart(node: ManagedNode) -> VlaMbpoError | None:
    node.trigger_configure()
    if not (node.failure or node.defect):
        node.trigger_activate()
    return node.failure


def _end(node: ManagedNode) -> int:
    """The exit code."""
    try:
        node.close()
    except VlaMbpoError as error:  # a bag that could not be closed, say
        node.get_logger().error(f"Cannot end in order: {error}")
        return error.exit_code
    return 0
