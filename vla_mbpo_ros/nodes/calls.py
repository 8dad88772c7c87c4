"""Service calls with a time limit, awaited inside a node's own callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

from vla_mbpo_ros.errors import GraphError


class Calls:
    """Clients of one node, made when first used.

    Everything is resolved on the executor's own thread: a Future that another thread completes does not reliably
    wake an awaiting callback.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clients: dict[str, Any] = {}
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)

    def close(self) -> None:
        """Remove all clients."""
        while self._clients:
            self._node.destroy_client(self._clients.popitem()[1])

    def client(self, kind: type, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = self._node.create_client(kind, name)
        return self._clients[name]

    async def call(self, kind: type, name: str, request: Any, timeout_s: float) -> Any:
        """The response; GraphError when nobody answers in time."""
        client = self.client(kind, name)
        if not await self.until(client.service_is_ready, timeout_s):
            raise GraphError(f"No service '{name}' after {timeout_s:.0f} s.", "Is its node up? See the heartbeats.")
        future = client.call_async(request)
        if not await self.until(future.done, timeout_s):
            client.remove_pending_request(future)
            raise GraphError(f"Service '{name}' gave no answer in {timeout_s:.0f} s.", "See the log of its node.")
        return future.result()

    async def must(self, kind: type, name: str, request: Any, timeout_s: float) -> Any:
        """As `call`, and a response with success=false is an error too."""
        response = await self.call(kind, name, request, timeout_s)
        if not response.success:
            raise GraphError(f"{name}: {response.message}")
        return response

    async def until(self, condition: Callable[[], bool], timeout_s: float, poll_s: float = 0.02) -> bool:
        """Wait on steady time until `condition()`; False when time is up."""
        deadline_ns = self._steady.now().nanoseconds + int(timeout_s * 1e9)
        while not condition():
            if self._steady.now().nanoseconds > deadline_ns:
                return False
            await self._pause(poll_s)
        return True

    async def _pause(self, seconds: float) -> None:
        elapsed: Future = Future()
        timer = self._node.create_timer(seconds, lambda: elapsed.set_result(None), clock=self._steady)
        try:
            await elapsed
        finally:
            self._node.destroy_timer(timer)
