"""What other threads want, done on the node's own.

a server's thread ── ask(job) ──> queue ──guard condition──> executor: job() ──result or error──> the same thread
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from vla_mbpo_ros.errors import GraphError, VlaMbpoError
from vla_mbpo_ros.nodes.runtime import ManagedNode

WAIT_S = 2.0  # longest wait for the node's thread

Result = TypeVar("Result")


class HandOver:
    """Of one node; make it in `build`."""

    def __init__(self, node: ManagedNode) -> None:
        self._name = node.get_name()
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._wake = node.from_thread(self._work)

    def ask(self, job: Callable[[], Result]) -> Result:
        """On any other thread: what the job gives or raises. GraphError if it is not begun in time: then never."""
        future: Future[Result] = Future()
        self._jobs.put((job, future))
        self._wake.trigger()
        if not wait([future], WAIT_S).done and future.cancel():
            cause = f"{self._name} did not answer within {WAIT_S:g} s."
            raise GraphError(cause, "Is it active, and this machine not overloaded? Ask again.")
        return future.result()

    def _work(self) -> None:
        while True:
            try:
                job, future = self._jobs.get_nowait()
            except Empty:
                return
            if future.set_running_or_notify_cancel():
                _do(job, future)


def _do(job: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(job())
    except VlaMbpoError as error:
        future.set_exception(error)
    except Exception as error:
        future.set_exception(error)
        raise  # a defect, as in any callback
