"""What `bench recorder` and `bench kill` share: a real recorder_node, a robot's whole contract as load, the bag.

The recorder is alone in its graph: no simulator, no policy, no gate. What it records comes from `recorder_load`, a
process of its own, which knows what it published.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.errors import ConfigError, GraphError

if TYPE_CHECKING:
    from vla_mbpo_ros.bringup.graph import GraphSpec

_ROBOT = "arx_x5"
_LOAD = "vla_mbpo_ros.cli.bench_recorder_load"
_START_S = 45.0  # longest wait for the recorder's first bag
_END_S = 30.0  # longest wait for the last words of a process
_DOMAINS = range(100, 200)  # of ROS: away from those that people use


@dataclass(frozen=True)
class Scene:
    """Sizes and rates of what is recorded."""

    cameras: int
    width: int
    height: int
    hz: float
    joints_hz: float

    @classmethod
    def of(cls, args: argparse.Namespace) -> Scene:
        for name in ("hz", "joints_hz"):
            refuse_below(args, name, 0.1)
        return cls(args.cameras, args.width, args.height, args.hz, args.joints_hz)


def add_scene(parser: argparse.ArgumentParser, width: int = 640, height: int = 480) -> None:
    parser.add_argument("--cameras", type=int, default=3, choices=(1, 2, 3))
    parser.add_argument("--width", type=int, default=width, help="pixels")
    parser.add_argument("--height", type=int, default=height, help="pixels")
    parser.add_argument("--hz", type=float, default=30.0, help="images a second of each camera")
    parser.add_argument(
        "--joints-hz", type=float, default=100.0, help="rate of joint states, commands and the executor's status"
    )
    parser.add_argument("--folder", type=Path, help="where the bags go while measuring (default: a temporary folder)")


def refuse_below(args: argparse.Namespace, name: str, least: float) -> None:
    if not getattr(args, name) >= least:
        raise ConfigError(f"--{name.replace('_', '-')} is {getattr(args, name)}.", f"Give {least:g} or more.")


class RecorderRun:
    """recorder_node and its load, as two processes. Leaving the block ends both."""

    def __init__(self, scene: Scene, folder: Path, seconds: float, stop: bool = True) -> None:
        from vla_mbpo_ros.bringup.processes import children_of
        from vla_mbpo_ros.bringup.run_folder import make_run_folder

        isolated = _isolated()
        graph = _graph(scene, folder / "bags", isolated)
        run = make_run_folder(graph, folder / "runs")
        self.environment = graph.environment.over(isolated)
        (child,) = (each for each in children_of(graph, run, self.environment) if each.name == "recorder_node")
        left_out = _left_out(graph, scene)
        command = [*child.command, *(["-p", f"without:=[{', '.join(left_out)}]"] if left_out else [])]
        self.log = run.logs / "recorder_node.log"
        with self.log.open("ab") as words:
            self.recorder = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=words, stderr=words
            )
        task = json.dumps(_task(graph, scene, left_out, seconds, stop))
        self.load = subprocess.Popen(
            [sys.executable, "-m", _LOAD, task],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, event: str, limit_s: float = _START_S) -> dict[str, Any]:
        """What the load says next; it must be `event`."""
        assert self.load.stdout is not None
        ready, _, _ = select.select([self.load.stdout], [], [], limit_s)
        line = self.load.stdout.readline() if ready else ""
        if not line:
            raise GraphError(f"No sign of '{event}' from the load: {self._last_words()}", f"Log: {self.log}.")
        said: dict[str, Any] = json.loads(line)
        if said["event"] != event:
            raise GraphError(f"The load said '{said['event']}' instead of '{event}'.", "Report it.")
        return said

    def cpu_s(self) -> float:
        """What the recorder has used so far, all threads, user and system."""
        fields = Path(f"/proc/{self.recorder.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end_load(self) -> None:
        """It publishes no more and says what it sent."""
        assert self.load.stdin is not None
        with suppress(BrokenPipeError):
            self.load.stdin.close()

    def close(self) -> None:
        for process in (self.load, self.recorder):
            if process.poll() is None:
                process.terminate()
        for process in (self.load, self.recorder):
            try:
                process.wait(timeout=_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (self.load.stdin, self.load.stdout, self.load.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def _last_words(self) -> str:
        self.load.kill()
        said = self.load.stderr.read() if self.load.stderr else ""
        return (said.strip().splitlines() or ["it said nothing"])[-1]


@contextmanager
def recorder_run(scene: Scene, folder: Path, seconds: float, stop: bool = True) -> Iterator[RecorderRun]:
    """For example: `with recorder_run(scene, folder, 60.0) as run: bag = run.wait_for("recording")["bag"]`."""
    run = RecorderRun(scene, folder, seconds, stop)
    try:
        yield run
    finally:
        run.close()


def stamps_in(bag: Path, topics: Iterable[str]) -> dict[str, set[int]]:
    """topic -> the stamps of its messages in the bag; all those types begin with a Header."""
    from vla_mbpo_ros.data.bags import BagReader
    from vla_mbpo_ros.messages.header import stamp_of_cdr

    found: dict[str, set[int]] = {}
    reader = BagReader(bag)
    for message in reader.messages([name for name in topics if name in reader.topics]):
        found.setdefault(message.topic, set()).add(stamp_of_cdr(message.data))
    return found


def kind_of(topic: str) -> str:
    """For a table: images, joints, or all else."""
    if topic.endswith("image_raw"):
        return "images"
    return "joints" if topic.endswith("joint_states") else "others"


def progress(label: str) -> Any:
    """A bar on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def machine_load() -> float:
    """How many processes wanted to run during the last minute, ours among them."""
    return os.getloadavg()[0]


def _isolated() -> dict[str, str]:
    """Our own graph meets nobody else's."""
    from vla_mbpo_ros.bringup.environment import kept_here

    domain = os.environ.get("ROS_DOMAIN_ID") or str(random.SystemRandom().choice(_DOMAINS))
    return {**kept_here(os.environ), "ROS_DOMAIN_ID": domain}


def _graph(scene: Scene, bags: Path, base: Mapping[str, str]) -> GraphSpec:
    from vla_mbpo_ros.bringup.graph import graph_for
    from vla_mbpo_ros.bringup.options import Options
    from vla_mbpo_ros.robots import get_robot

    size = {"width": scene.width, "height": scene.height, "hz": scene.hz}
    cameras = [
        f"cameras.{name}.{key}={value}" for name in get_robot(_ROBOT).camera_names for key, value in size.items()
    ]
    options = Options(
        _ROBOT,
        cameras="synthetic",
        robot="sink",
        supervise=False,
        namespace=f"bench_{os.getpid()}_{time.monotonic_ns() % 10**6}",
        set=(f"control_hz={scene.joints_hz}", f"recorder.folder={bags}", *cameras),
    )
    return graph_for(options, base)


def _left_out(graph: GraphSpec, scene: Scene) -> list[str]:
    """Topics of the cameras that are not asked for."""
    cameras = graph.robot.camera_names[scene.cameras :]
    return [topic.name for topic in graph.topics if topic.name.split("/")[0] in cameras]


def _task(graph: GraphSpec, scene: Scene, left_out: list[str], seconds: float, stop: bool) -> Mapping[str, Any]:
    topics = [topic for topic in graph.topics if topic.name not in left_out]
    return {
        "namespace": graph.options.namespace,
        "topics": [[topic.name, topic.type, topic.kind, topic.hz] for topic in topics],
        "robot": graph.robot.name,
        "width": scene.width,
        "height": scene.height,
        "seconds": seconds,
        "stop": stop,
    }
