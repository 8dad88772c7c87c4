"""A running graph with an observer beside it: start, wait until it is active, measure, report, stop.

For example:

    with Session(graph, run) as session:
        session.wait_until_active()
        session.measure(20.0)
        print(session.report().ok)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType

from vla_mbpo_ros.bringup.child import Echo
from vla_mbpo_ros.bringup.graph import GraphSpec
from vla_mbpo_ros.bringup.observer import Observer
from vla_mbpo_ros.bringup.processes import Processes, children_of, echo_to_stderr
from vla_mbpo_ros.bringup.report import Report, make_report
from vla_mbpo_ros.bringup.run_folder import RunFolder
from vla_mbpo_ros.errors import GraphError

START_LIMIT_S = 90.0  # a policy may have to be loaded
_DISCOVERY_S = 1.5  # after that, whoever is near has been heard of
_LOOK_S = 0.1  # between two looks at the processes

Tick = Callable[["Session"], None]


def _nothing(session: Session) -> None:
    pass


class Session:
    """Use it as a context manager; leaving it stops every process. `echo` is given each line that a node logs."""

    def __init__(self, graph: GraphSpec, run: RunFolder, echo: Echo = echo_to_stderr) -> None:
        self.graph, self.run = graph, run
        self.processes = Processes(children_of(graph, run), run.logs, echo=echo)
        self.phase = "starting"

    def __enter__(self) -> Session:
        self.graph.environment.adopt()  # the observer's too
        self.observer = Observer(self.graph)
        try:
            self._refuse_neighbours()
            self.processes.start()
        except BaseException:
            self.processes.stop()
            self.observer.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.phase = "stopping"
        try:
            self.processes.stop()
        finally:
            self.observer.close()

    def _refuse_neighbours(self) -> None:
        """Two graphs with the same names, or two clocks, would take each other's messages for their own."""
        end = time.monotonic() + _DISCOVERY_S
        while not (neighbours := self.observer.neighbours()) and time.monotonic() < end:
            self.observer.spin(_LOOK_S)
        if neighbours:
            raise GraphError(
                f"Another graph runs in ROS domain {os.environ.get('ROS_DOMAIN_ID', '0')}: {', '.join(neighbours)}.",
                "Stop it, or set ROS_DOMAIN_ID to another number for this one.",
            )

    def wait_until_active(self, limit_s: float = START_LIMIT_S, tick: Tick = _nothing) -> None:
        """Until every lifecycle node is active; then counting begins."""
        end = time.monotonic() + limit_s
        while waiting := self.observer.inactive():
            if time.monotonic() > end:
                raise GraphError(
                    f"Not active after {limit_s:.0f} s: {', '.join(waiting)}.",
                    f"The logs are in {self.run.logs}.",
                )
            self.step(tick)
        self.observer.begin()
        self.phase = "active"

    def measure(self, seconds: float, tick: Tick = _nothing) -> None:
        """Count for so long (steady time)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step(tick)

    def step(self, tick: Tick = _nothing) -> None:
        """One look at processes and topics."""
        self.processes.check()
        self.observer.spin(_LOOK_S)
        tick(self)

    def report(self) -> Report:
        errors = [*self.processes.errors, *self.observer.complaints()]
        restarts = sum(self.processes.restarts.values())
        return make_report(self.graph, self.observer.counts, self.observer.now_ns(), restarts, errors)
