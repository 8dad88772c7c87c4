"""A small node beside a running graph that hears the recorder and calls its services."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from vla_mbpo_ros.bringup.environment import environment_for
from vla_mbpo_ros.bringup.shared_memory import free_half_made_ports
from vla_mbpo_ros.config import SOCKETS
from vla_mbpo_ros.errors import BagError, ConfigError, GraphError, MissingDependency

ANSWER_S = 8.0  # longest wait for the recorder to be found; on a busy machine discovery takes seconds
CALL_S = 60.0  # longest wait for a bag to be closed
SNAPSHOT_S = 600.0  # the same for all that was in memory
_SPIN_S = 0.02


def _nothing() -> None:
    pass


class RecorderClient:
    """Use it in a `with` block. `tick` is called while an answer is waited for."""

    def __init__(self, namespace: str = "") -> None:
        self._namespace = namespace
        self.status: Any = None  # the newest EpisodeStatus
        self.tick: Callable[[], None] = _nothing

    def __enter__(self) -> RecorderClient:
        environment_for(False, os.environ, SOCKETS).adopt()  # every graph of ours listens at sockets too
        free_half_made_ports()
        self._open()
        try:
            self._wait_for_recorder()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    @property
    def is_recording(self) -> bool:
        return bool(self.status.state == self.status.RECORDING)

    def spin(self, seconds: float) -> None:
        """Take what arrives for this long."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=min(left_s, _SPIN_S))

    def start(self, instruction: str, wait_s: float) -> Any:
        return self._call("StartEpisode", "start", wait_s + ANSWER_S, instruction=instruction, timeout_s=wait_s)

    def stop(self, outcome: int, note: str) -> Any:
        return self._call("StopEpisode", "stop", CALL_S, outcome=outcome, note=note)

    def discard(self) -> Any:
        return self._call("DiscardEpisode", "discard", CALL_S)

    def label(self, outcome: int, note: str) -> Any:
        """The newest episode."""
        return self._call("LabelEpisode", "label", ANSWER_S, outcome=outcome, note=note)

    def snapshot(self, note: str) -> Any:
        return self._call("SaveSnapshot", "snapshot", SNAPSHOT_S, note=note)

    def _call(self, kind: str, name: str, limit_s: float, **fields: Any) -> Any:
        """The response; BagError when the recorder refuses, GraphError when it is silent."""
        from vla_mbpo_ros import srv

        service = getattr(srv, kind)
        client = self._node.create_client(service, f"recorder/{name}")
        try:
            ready = self._until(client.service_is_ready, ANSWER_S)
            future = client.call_async(service.Request(**fields))
            if not self._until(future.done, limit_s if ready else 0.0):
                waited_s = limit_s if ready else ANSWER_S
                raise GraphError(f"recorder/{name} gave no answer in {waited_s:.0f} s.", "See the recorder's log.")
        finally:
            self._node.destroy_client(client)
        response = future.result()
        if not response.success:
            raise BagError(response.message)
        return response

    def _until(self, condition: Callable[[], Any], limit_s: float) -> bool:
        end_s = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end_s:
                return False
            self.spin(_SPIN_S)
            self.tick()
        return True

    def _wait_for_recorder(self) -> None:
        if not self._until(lambda: self.status is not None, ANSWER_S):
            domain = os.environ.get("ROS_DOMAIN_ID", "0")
            place = f"ROS domain {domain}" + (f", namespace {self._namespace}" if self._namespace else "")
            raise GraphError(
                f"No recorder was heard in {ANSWER_S:.0f} s ({place}).",
                "Start the graph, as with `vla-mbpo up`, or give its ROS_DOMAIN_ID and --namespace.",
            )

    def _open(self) -> None:
        try:
            import rclpy
            from rclpy.exceptions import InvalidNamespaceException
            from rclpy.executors import SingleThreadedExecutor
            from rclpy.qos import DurabilityPolicy, QoSProfile
            from rclpy.signals import SignalHandlerOptions
            from rclpy.validate_namespace import validate_namespace

            from vla_mbpo_ros.msg import EpisodeStatus
        except ImportError as error:
            raise MissingDependency(f"ROS 2 is not installed here: {error}.", "See `vla-mbpo doctor`.") from error
        try:
            validate_namespace("/" + self._namespace.strip("/"))
        except InvalidNamespaceException as error:
            raise ConfigError(f"'{self._namespace}' is no namespace.", "Use letters, digits and _.") from error
        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node(
            f"record_{os.getpid()}", context=self._context, namespace=self._namespace, use_global_arguments=False
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(EpisodeStatus, "recorder/status", self._on_status, latched)

    def _on_status(self, status: Any) -> None:
        self.status = status
