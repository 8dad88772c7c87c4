"""A graph as plain processes: started together, watched, restarted, stopped together. No ROS launch is needed.

For example:

    with Processes(children_of(graph, run), run.logs) as processes:
        while busy():
            processes.check()      # a few times a second: echoes logs, starts again what died, or raises GraphError
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from vla_mbpo_ros.bringup.child import Child, ChildSpec, Echo, exit_text
from vla_mbpo_ros.bringup.graph import GraphSpec
from vla_mbpo_ros.bringup.restarts import HOPELESS, RestartLimits, RestartRecord
from vla_mbpo_ros.bringup.run_folder import RunFolder
from vla_mbpo_ros.errors import GraphError

# How a group of processes is asked to end, and how long it may take. A recorder closes its bag on the first.
# Our nodes treat SIGTERM and SIGINT alike; a Python that is still importing ends on SIGTERM without a traceback.
STOP_STEPS = ((signal.SIGTERM, 8.0), (signal.SIGINT, 3.0), (signal.SIGKILL, 2.0))
_LOOK_S = 0.02  # between two looks while stopping
_KEPT_LINES, _QUOTED_LINES = 20, 3  # of a log, for an error


def children_of(graph: GraphSpec, run: RunFolder, base: Mapping[str, str] | None = None) -> list[ChildSpec]:
    """The processes of a graph, in this Python."""
    environment = graph.environment.over(os.environ if base is None else base)
    return [
        ChildSpec(
            name=node.name,
            # Everything is in our own logs; rcl would write each line a second time to ~/.ros/log.
            command=[*node.command(sys.executable, run.parameters), "--disable-external-lib-logs"],
            environment=environment,
            respawn=node.respawn,
            required=node.required,
        )
        for node in graph.nodes
    ]


def echo_to_stderr(name: str, line: str) -> None:
    print(f"[{name}] {line}", file=sys.stderr, flush=True)


class Processes:
    """All children of one run. Not thread-safe: one thread starts, checks and stops them."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        logs: Path,
        limits: RestartLimits | None = None,
        echo: Echo = echo_to_stderr,
    ) -> None:
        self._specs, self._logs, self._echo = specs, logs, echo
        self._running: dict[str, Child] = {}
        self._records = {spec.name: RestartRecord(limits or RestartLimits()) for spec in specs}
        self._last_lines: dict[str, deque[str]] = {spec.name: deque(maxlen=_KEPT_LINES) for spec in specs}
        self.restarts = dict.fromkeys(self._records, 0)
        self.errors: list[str] = []  # one sentence for each death

    def __enter__(self) -> Processes:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pids(self) -> dict[str, int]:
        return {name: child.pid for name, child in self._running.items()}

    def start(self) -> None:
        """Start every child; if one cannot be started, none is left running."""
        try:
            for spec in self._specs:
                self._start(spec)
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Echo new log lines and deal with children that died. Raises GraphError when the graph cannot go on."""
        for child in list(self._running.values()):
            self._read(child)
            code = child.exit_code()
            if code is not None:
                self._died(child, code)
        for spec in self._specs:
            if self._records[spec.name].is_due(time.monotonic()):
                self.restarts[spec.name] += 1
                self._start(spec)

    def stop(self) -> None:
        """End all, first by request, in the end by force. A second Ctrl-C goes to the next, harder step."""
        for number, patience_s in STOP_STEPS:
            try:
                self._signal_all(number)
                self._wait(patience_s)
            except KeyboardInterrupt:
                continue
            if not self._alive():
                break
        for child in self._running.values():
            self._read(child)
        self._running.clear()

    def _start(self, spec: ChildSpec) -> None:
        self._records[spec.name].again_at_s = None
        self._running[spec.name] = Child(spec, self._logs / f"{spec.name}.log")

    def _read(self, child: Child) -> None:
        for line in child.new_lines():
            self._last_lines[child.spec.name].append(line)
            self._echo(child.spec.name, line)

    def _died(self, child: Child, code: int) -> None:
        spec = child.spec
        self._read(child)  # its last words
        del self._running[spec.name]
        self.errors.append(f"{spec.name} ended with {exit_text(code)}.")
        again = spec.respawn and code not in HOPELESS and self._records[spec.name].died(time.monotonic())
        if not again and spec.required:
            raise self._given_up(spec, code)
        self._echo(spec.name, f"{self.errors[-1]}{' Starting it again.' if again else ''}")

    def _given_up(self, spec: ChildSpec, code: int) -> GraphError:
        deaths = len(self._records[spec.name].deaths_s)
        times = f" {deaths} times" if deaths > 1 else ""
        reason = f" ({HOPELESS[code]})" if code in HOPELESS else ""
        said = " | ".join(_telling(self._last_lines[spec.name])) or "nothing"
        return GraphError(
            f"{spec.name} ended{times}, last with {exit_text(code)}{reason}. It said: {said}",
            f"Its whole log is {self._logs / (spec.name + '.log')}.",
        )

    def _alive(self) -> list[Child]:
        return [child for child in self._running.values() if child.exit_code() is None]

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._alive():
            child.signal(number)

    def _wait(self, patience_s: float) -> None:
        end = time.monotonic() + patience_s
        while self._alive() and time.monotonic() < end:
            time.sleep(_LOOK_S)


def _telling(lines: Iterable[str]) -> list[str]:
    """The last lines without the frames of a traceback, which are for the log."""
    kept = [line.strip() for line in lines if line.strip() and not line.startswith((" ", "Traceback"))]
    return kept[-_QUOTED_LINES:]
