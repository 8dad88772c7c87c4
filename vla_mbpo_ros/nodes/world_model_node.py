"""What would be seen after these chunks? Asked by a service or an action; one queue for all who ask.

The model is loaded on a thread of its own, imagines on another, and can be exchanged at any time: a request keeps
the model that it began with. Nothing here moves a robot, and no tick waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.task import Future

from vla_mbpo_ros.action import Imagine as ImagineAction
from vla_mbpo_ros.errors import VlaMbpoError
from vla_mbpo_ros.nodes import diagnostics
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.nodes.world_model_inputs import Inputs
from vla_mbpo_ros.nodes.world_model_loading import CONFIGURED, ModelKeeper
from vla_mbpo_ros.nodes.world_model_replies import Replies
from vla_mbpo_ros.srv import Imagine, LoadCheckpoint
from vla_mbpo_ros.world_model.factory import load_checkpoint, make_world_model, rehearse
from vla_mbpo_ros.world_model.protocol import WorldModel
from vla_mbpo_ros.world_model.queue import ImagineQueue
from vla_mbpo_ros.world_model.requests import Cancelled, Ticket

LOOK_S = 0.05  # how often time limits and cancels are looked at while the model says nothing

Watcher = Callable[[Ticket, Replies], None]  # called while a request is under way


def _nothing(ticket: Ticket, replies: Replies) -> None:
    """A service has nobody to tell."""


class WorldModelNode(ManagedNode):
    SECTIONS = ("world_model", "cameras", "instruction", "policy.horizon", "policy.max_state_age_s")

    def __init__(self, name: str = "world_model_node") -> None:
        super().__init__(name)

    def build(self) -> None:
        self._waiting: list[Future] = []  # of callbacks, for news
        self._answered = self._refused = 0
        self._last_s = 0.0  # wall time of the newest answer
        self._queue: ImagineQueue | None = None  # while active
        self._inputs = Inputs(self)
        self._woken = self.from_thread(self._on_news)
        self._keeper = ModelKeeper(self.make_model, self.cfg.world_model.kind, self._woken.trigger)
        self._keeper.begin()
        self.serve(Imagine, "world_model/imagine", self._on_imagine)
        self.serve(LoadCheckpoint, "world_model/load_checkpoint", self._on_load_checkpoint)
        self._server = ActionServer(
            self,
            ImagineAction,
            "world_model/imagine",
            self._on_goal,
            callback_group=self._call_group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        self.every(LOOK_S, self._look)

    def start(self) -> None:
        limits = self.cfg.world_model
        self._queue = ImagineQueue(limits.max_batch, limits.max_waiting)

    def stop(self) -> None:
        if self._queue is not None:  # an idle one is false: it has no requests
            self._queue.close()
            self._queue = None
        self._on_news()

    def dismantle(self) -> None:
        if hasattr(self, "_server"):
            self._server.destroy()
            self._keeper.close()

    def make_model(self, path: str) -> WorldModel:
        """On the loading thread: the model of a checkpoint, or the configured one; tried out."""
        cfg, robot = self.cfg, self.robot
        if path == CONFIGURED:
            model = make_world_model(cfg, robot)
        else:
            model = load_checkpoint(Path(path).expanduser(), cfg, robot)
        rehearse(model, robot, cfg.instruction)
        return model

    def diagnose(self, status: diagnostics.Status) -> None:
        if self._keeper.failure:
            status.summary(diagnostics.ERROR, str(self._keeper.failure))
        status.add("model", self._keeper.version or "none")
        status.add("loading", self._keeper.loading or "nothing")
        status.add("waiting requests", str(len(self._queue or ())))
        status.add("answered, refused", f"{self._answered}, {self._refused}")
        status.add("last answer [s]", f"{self._last_s:.3f}")

    # -- requests ------------------------------------------------------------------------------------------------

    async def _on_imagine(self, request: Imagine.Request, response: Imagine.Response) -> None:
        await self._answer(request, response)

    async def _on_goal(self, handle: ServerGoalHandle) -> ImagineAction.Result:
        result, told = ImagineAction.Result(), 0

        def watch(ticket: Ticket, replies: Replies) -> None:
            nonlocal told
            if handle.is_cancel_requested:
                ticket.cancel()
            while told < len(ticket.steps):
                step, told = replies.step(ticket.steps[told]), told + 1
                feedback = ImagineAction.Feedback(step=step, steps_done=told, steps_total=ticket.total)
                handle.publish_feedback(feedback)

        try:
            self._require_active()
            await self._answer(handle.request, result, watch)
            handle.succeed()
        except VlaMbpoError as error:
            self.get_logger().warning(f"world_model/imagine: {error}")
            result.success, result.message = False, str(error)
            if isinstance(error, Cancelled) and handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
        return result

    async def _answer(self, request: Any, reply: Any, watch: Watcher = _nothing) -> None:
        """Fill a response or a result, which have the same fields; an error of our tree says why not."""
        began_s = time.monotonic()
        reply.model_version = self._keeper.version
        try:
            await self._imagine(request, reply, watch)
            self._answered += 1
        except VlaMbpoError:
            self._refused += 1
            raise
        finally:
            reply.elapsed_s = self._last_s = time.monotonic() - began_s

    async def _imagine(self, request: Any, reply: Any, watch: Watcher) -> None:
        model = self._keeper.model()
        asked = self._inputs.read(request, model)
        replies = Replies(asked, model, self.robot, self.cfg.world_model.reply_limit_mb)
        assert self._queue is not None  # active
        ticket = self._queue.submit(model, asked.wish, self._woken.trigger)
        try:
            while not ticket.done:
                await self._news()
                watch(ticket, replies)
        finally:
            ticket.cancel()  # nobody waits any more; of no effect once it is done
        steps = ticket.result()
        watch(ticket, replies)
        reply.steps, reply.observed = replies.encode(steps), replies.observed
        reply.success, reply.message = True, f"{len(steps)} steps imagined by {model.version}."

    async def _on_load_checkpoint(self, request: LoadCheckpoint.Request, response: LoadCheckpoint.Response) -> None:
        try:
            job = self._keeper.load(request.path)
            while not job.done():
                await self._news()
                self._require_active()
            self._keeper.forget(job)
            model = job.result()
            if request.dry_run:
                response.message = f"{model.version} fits. {self._keeper.version or 'No model'} goes on."
            else:
                self._keeper.use(model)
                response.message = f"{model.version} answers from the next request on."
            response.success = True
        finally:
            response.version = self._keeper.version

    # -- waiting -------------------------------------------------------------------------------------------------

    async def _news(self) -> None:
        """Until something may have changed. Resolved on the executor's own thread only: see calls.py."""
        future: Future = Future()
        self._waiting.append(future)
        await future

    def _on_news(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set_result(None)

    def _look(self) -> None:
        if self._queue:
            self._queue.look_at_the_clock()
        self.detail = self._keeper.loading or str(self._keeper.failure or "")
        self._on_news()


def main() -> None:
    run(WorldModelNode)


if __name__ == "__main__":
    main()
