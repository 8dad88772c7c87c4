"""A node that stands for the policy in `bench executor`: sends chunks, arms, and notes when commands were written."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from vla_mbpo_ros.bringup.graph import GraphSpec
from vla_mbpo_ros.messages.chunks import encode_chunk
from vla_mbpo_ros.schema import ActionChunk

_CHUNK_S = 0.5  # length of a chunk
_EVERY_S = 0.2  # between two chunks
_SWING = 0.05  # rad or m: small against every joint's range
_SWING_HZ = 0.5


class ChunkSource:
    """Use it from one thread: `spin` sends chunks and takes commands."""

    def __init__(self, graph: GraphSpec) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from std_srvs.srv import SetBool

        from vla_mbpo_ros.msg import ActionChunk as ActionChunkMessage
        from vla_mbpo_ros.msg import JointCommand

        self._graph, self._kind = graph, ActionChunkMessage
        self.node = rclpy.create_node("bench_executor", namespace=graph.options.namespace)
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self.node)
        self.written_ns: list[int] = []
        self._pub = self.node.create_publisher(ActionChunkMessage, "policy/action_chunk", 10)
        best_effort = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.node.create_subscription(JointCommand, "joint_command", self._on_command, best_effort, raw=True)
        self._set_bool = SetBool
        names = ("robot/arm", "executor/enable")
        self._clients = [self.node.create_client(SetBool, name) for name in names]
        self._next_s, self._id = 0.0, 0

    def ready(self) -> bool:
        """Both services are there, which they are when their nodes are configured."""
        return all(client.service_is_ready() for client in self._clients)

    def enable(self) -> None:
        for client in self._clients:
            client.call_async(self._set_bool.Request(data=True))

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if time.monotonic() >= self._next_s:
                self._next_s = time.monotonic() + _EVERY_S
                self._send_chunk()
            self._spinner.spin_once(timeout_sec=0.02)

    def _on_command(self, data: bytes, info: dict[str, Any]) -> None:
        self.written_ns.append(int(info["source_timestamp"]))

    def _send_chunk(self) -> None:
        robot, cfg = self._graph.robot, self._graph.config
        self._id += 1
        now_ns = self.node.get_clock().now().nanoseconds
        dt_ns = round(1e9 / cfg.control_hz)
        times_s = (now_ns + dt_ns * np.arange(round(_CHUNK_S * cfg.control_hz))) % 10**12 / 1e9
        middle = np.clip(robot.home, robot.low + _SWING, robot.high - _SWING)
        values = middle + _SWING * np.sin(2.0 * np.pi * _SWING_HZ * times_s)[:, None]
        chunk = ActionChunk(observed_ns=now_ns, chunk_id=self._id, dt_ns=dt_ns, values=values)
        self._pub.publish(encode_chunk(chunk, robot, self._kind))
