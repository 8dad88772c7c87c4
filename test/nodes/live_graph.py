"""A running graph with ears and hands: listen, publish, call, read logs and diagnostics, wait for conditions."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_srvs.srv import SetBool

from vla_mbpo_ros.bringup.graph import GraphSpec, graph_for
from vla_mbpo_ros.bringup.options import Options
from vla_mbpo_ros.bringup.run_folder import make_run_folder
from vla_mbpo_ros.bringup.session import Session
from vla_mbpo_ros.msg import Heartbeat
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.srv import SetInstruction

ASK_AGAIN_S = 5.0  # after that a request counts as lost
WORDS = 12  # lines of a log that tell a failure
LIMIT_S = 30.0  # a wait in vain fails after this; generous, because the machine may be busy with other things


def make_graph(
    settings: tuple[str, ...], only: tuple[str, ...] = (), extra: dict[str, str] | None = None, **options: Any
) -> GraphSpec:
    """The ARX X5's graph, or those nodes of it that `only` names, each starting by itself with `extra` parameters."""
    if not only:
        return graph_for(Options("arx_x5", set=settings, **options))
    graph = graph_for(Options("arx_x5", set=settings, supervise=False, **options))
    nodes = [node for node in graph.nodes if node.name in only]
    return replace(graph, nodes=tuple(replace(node, parameters={**node.parameters, **(extra or {})}) for node in nodes))


class LiveGraph:
    def __init__(self, graph: GraphSpec, folder: Path) -> None:
        self.graph, self._stack = graph, ExitStack()
        self.session = Session(graph, make_run_folder(graph, folder), echo=lambda name, line: None)
        self.statuses: deque[DiagnosticStatus] = deque(maxlen=2000)  # what /diagnostics said, oldest first

    def __enter__(self) -> LiveGraph:
        with ExitStack() as stack:
            stack.enter_context(self.session)
            self.node = self.session.observer.node
            self.listen(DiagnosticArray, "/diagnostics", lambda array: self.statuses.extend(array.status))
            for namespace in {node.namespace for node in self.graph.nodes} - {self.graph.options.namespace}:
                self.listen(Heartbeat, f"/{namespace}/heartbeat", self._on_heartbeat, qos.HEARTBEAT)
            self.session.wait_until_active()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _on_heartbeat(self, beat: Heartbeat) -> None:
        """Of a node in a namespace of its own."""
        self.session.observer.states[beat.node] = int(beat.state)

    # -- waiting -------------------------------------------------------------------------------------------------

    def spin(self, seconds: float = 0.05) -> None:
        self.session.processes.check()
        self.session.observer.spin(seconds)

    def until(self, condition: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
        """The first true answer of `condition`."""
        end = time.monotonic() + limit_s
        while not (found := condition()):
            assert time.monotonic() < end, f"waited {limit_s:g} s in vain for {what}; logs: {self.session.run.logs}"
            self.spin()
        return found

    # -- topics and services ----------------------------------------------------------------------------------------

    def listen(
        self, kind: type, topic: str, callback: Callable[[Any], object] | None = None, profile: QoSProfile = qos.EVENT
    ) -> list[Any]:
        """What comes on `topic` from now on."""
        heard: list[Any] = []
        self.node.create_subscription(kind, topic, callback or heard.append, profile)
        return heard

    def publisher(self, kind: type, topic: str, profile: QoSProfile = qos.EVENT, readers: int = 1) -> Any:
        """A publisher that has found its readers."""
        publisher = self.node.create_publisher(kind, topic, profile)
        self.until(lambda: publisher.get_subscription_count() >= readers, f"somebody who reads {topic}")
        return publisher

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """The response of a service; asked again now and then, for the middleware remembers the dead for a while."""
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, f"service {name}")
        futures: list[Any] = []
        asked_s = float("-inf")

        def answer() -> Any:
            nonlocal asked_s
            if time.monotonic() - asked_s > ASK_AGAIN_S:
                futures.append(client.call_async(request))
                asked_s = time.monotonic()
            return next((future for future in futures if future.done()), None)

        response = self.until(answer, f"an answer of {name}").result()
        self.node.destroy_client(client)
        return response

    def stop(self) -> None:
        """End all processes, before the file is through."""
        self.session.processes.stop()

    def switch(self, name: str, on: bool) -> SetBool.Response:
        return self.call(SetBool, name, SetBool.Request(data=on))

    def tell(self, instruction: str) -> None:
        """The policy; an empty one lets it rest."""
        request = SetInstruction.Request(instruction=instruction)
        assert self.call(SetInstruction, "policy/set_instruction", request).success

    def set_parameter(self, node: str, name: str, value: Any) -> None:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        result = self.call(SetParameters, f"{node}/set_parameters", request).results[0]
        assert result.successful, result.reason

    def transition(self, node: str, transition: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call(ChangeState, f"{node}/change_state", request).success)

    # -- what people see ----------------------------------------------------------------------------------------------

    def log(self, node: str) -> str:
        return (self.session.run.logs / f"{node}.log").read_text(encoding="utf-8")

    def last_words(self) -> dict[str, str]:
        """The end of every node's log, for whoever looks into a failure."""
        logs = sorted(self.session.run.logs.glob("*.log"))
        return {
            log.stem: "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-WORDS:]) for log in logs
        }

    def shown(self, node: str, key: str) -> str:
        """What diagnostics said last."""
        states = [status for status in self.statuses if status.name == f"{node}: state"]
        return next((pair.value for status in states[-1:] for pair in status.values if pair.key == key), "")

    def errors(self, node: str) -> list[str]:
        """What diagnostics has called an error of this node so far."""
        return [
            status.message
            for status in self.statuses
            if status.level == DiagnosticStatus.ERROR and status.name.startswith(f"{node}: ")
        ]

    def wait_until_told(self, node: str, *words: str) -> None:
        """Until both the node's log and its diagnostics say all of this in one sentence."""

        def told(text: str) -> bool:
            return all(word in text for word in words)

        self.until(lambda: any(told(text) for text in self.errors(node)), f"{words} in diagnostics of {node}")
        self.until(lambda: any(told(line) for line in self.log(node).splitlines()), f"{words} in the log of {node}")
