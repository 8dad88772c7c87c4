"""Asks `world_model/imagine` and awaits the answer inside the node's own callbacks; one request at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient

from vla_mbpo_ros.action import Imagine
from vla_mbpo_ros.errors import GraphError, VlaMbpoError
from vla_mbpo_ros.nodes.calls import Calls
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.world_model.requests import Cancelled

NAME = "world_model/imagine"
FIND_S = 2.0  # longest wait for the action to be there, and for it to take a request
MORE_S = 5.0  # what an answer may take longer than the model's own limit

Progress = Callable[[int, int], None]  # steps done, steps in all


class ImagineClient:
    """Of one node."""

    def __init__(self, node: ManagedNode, limit_s: float) -> None:
        self._node, self._limit_s = node, limit_s
        self._calls = Calls(node)
        self._client = ActionClient(node, Imagine, NAME)
        self._ended = False
        self.cancelled = False

    def is_ready(self) -> bool:
        """Whether somebody would answer."""
        return bool(self._client.server_is_ready())

    def close(self) -> None:
        """Whoever waits is told; without a word of the model, which may take its time."""
        self._ended = self.cancelled = True
        self._client.destroy()
        self._calls.close()

    def cancel(self) -> None:
        """The request that is under way."""
        self.cancelled = True

    async def ask(self, goal: Imagine.Goal, progress: Progress) -> Imagine.Result:
        """An error of our tree if it is refused, cancelled, or nobody answers."""
        self.cancelled = False
        if not await self._until(self.is_ready, FIND_S):
            raise GraphError(f"Nobody serves {NAME}.", "Is world_model_node up? See its log.")
        sent = self._client.send_goal_async(goal, feedback_callback=lambda message: _tell(progress, message.feedback))
        # Also when cancelled meanwhile: only what was taken can be cancelled at the model.
        if not await self._calls.until(lambda: self._ended or sent.done(), FIND_S):
            raise GraphError(
                f"{NAME} did not take the request within {FIND_S:g} s.", "See the log of world_model_node."
            )
        if self._ended:
            raise Cancelled("Cancelled.")
        handle = sent.result()
        if not handle.accepted:
            raise GraphError(f"{NAME} took no request.", "See the log of world_model_node.")
        answer = await self._answer(handle)
        result: Imagine.Result = answer.result
        if answer.status == GoalStatus.STATUS_CANCELED:
            raise Cancelled(result.message or "Cancelled.")
        if not result.success:
            raise VlaMbpoError(result.message or "world_model_node has ended.")
        return result

    async def _answer(self, handle: Any) -> Any:
        future = handle.get_result_async()
        limit_s = self._limit_s + MORE_S
        try:
            if not await self._until(lambda: future.done() or not self.is_ready(), limit_s):
                raise GraphError(f"{NAME} gave no answer in {limit_s:g} s.", "See the log of world_model_node.")
        finally:
            if not (future.done() or self._ended):
                handle.cancel_goal_async()
        if not future.done():
            raise GraphError("world_model_node has gone in the middle of it.", "See its log; ask again once it is up.")
        return future.result()

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """False when time is up; Cancelled as soon as that is so."""
        there = await self._calls.until(lambda: self.cancelled or condition(), timeout_s)
        if self.cancelled:
            raise Cancelled("Cancelled.")
        return there


def _tell(progress: Progress, feedback: Imagine.Feedback) -> None:
    progress(int(feedback.steps_done), int(feedback.steps_total))
