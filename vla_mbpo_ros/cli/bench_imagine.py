"""`vla-mbpo bench imagine`: how fast a world model imagines, and what asking it over ROS adds.

    this process       request: two views, state, chunk ───────────────────────> reply: two views
    world_model_node        └─ decode ─ queue ─ model ─ encode ─┘

What is called overhead is the whole way without the model's own call: both transports, both conversions, the queue.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.bench import add_out, conclude
from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.errors import ConfigError, GraphError

if TYPE_CHECKING:
    from vla_mbpo_ros.bringup.graph import GraphSpec
    from vla_mbpo_ros.world_model.protocol import WorldModel

COPY_LAST = "copy_last"
_DOC = "Time of imagining a chunk: of the model alone, and what the service world_model/imagine adds to it."
_MORE = """copy_last imagines nothing, so what is left is the cost of the service. plain_ratio compares a network with
plain code for the same; copy_last has none, so it is null."""
_NODE = "world_model_node"
_START_S, _ANSWER_S = 60.0, 10.0  # longest waits
_BATCH = 16
_WARM = 5  # measurements that do not count


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    preset: str
    device: str
    size: int  # pixels, of a square view
    repeats: int


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "imagine", _DOC, run, _MORE)
    parser.add_argument("--preset", default=COPY_LAST, choices=(COPY_LAST,), help=f"default: {COPY_LAST}")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: cpu")
    parser.add_argument("--size", type=int, default=256, help="pixels of a square view; there are two (default: 256)")
    parser.add_argument("--repeats", type=int, default=50, help="measurements (default: 50)")
    parser.add_argument("--without-node", action="store_true", help="the model alone; needs no ROS 2")
    add_out(parser)


def run(args: argparse.Namespace) -> int:
    if args.repeats < 1:
        raise ConfigError(f"Cannot measure repeats {args.repeats}.", "Give 1 or more.")
    plan = Plan(args.preset, args.device, args.size, args.repeats)
    graph = _graph(plan)
    result: dict[str, Any] = {"preset": plan.preset, "device": plan.device, **_alone(graph, plan)}
    through = {"service_overhead_ms": None} if args.without_node else _through(graph, plan)
    load = {"views": 2, "size": plan.size, "n": plan.repeats, "machine_load": round(os.getloadavg()[0], 2)}
    return conclude(args, "imagine", {**result, **through, "plain_ratio": None, **load})


def _graph(plan: Plan) -> GraphSpec:
    """The tabletop's, for its two cameras; only its world_model_node is started."""
    from vla_mbpo_ros.bringup.graph import graph_for
    from vla_mbpo_ros.bringup.options import Options

    sides = tuple(f"cameras.{view}.{side}={plan.size}" for view in ("head", "wrist") for side in ("width", "height"))
    options = Options(
        "tabletop",
        sim=True,
        record=False,
        supervise=False,
        world_model=plan.preset,
        namespace=f"bench_{os.getpid()}",
        set=(*sides, f"world_model.device={plan.device}"),
    )
    graph = graph_for(options)
    return replace(graph, nodes=(graph.node(_NODE),))


# ---- the model alone -----------------------------------------------------------------------------------------------


def _alone(graph: GraphSpec, plan: Plan) -> dict[str, float]:
    import numpy as np

    from vla_mbpo_ros.world_model.factory import make_world_model

    model = make_world_model(graph.config, graph.robot)
    one = [_timed(model, graph, 1, turn) for turn in range(_WARM + plan.repeats)][_WARM:]
    many = [_timed(model, graph, _BATCH, turn) for turn in range(_WARM + plan.repeats)][_WARM:]
    return {"batch1_s": float(np.median(one)), "batch16_chunks_per_s": _BATCH / float(np.median(many))}


def _timed(model: WorldModel, graph: GraphSpec, rows: int, turn: int) -> float:
    """Seconds of one call."""
    import numpy as np

    from vla_mbpo_ros.world_model.protocol import Scenes

    shape = (rows, len(model.views), *model.size, 3)
    images = np.random.default_rng(turn).integers(0, 256, shape, dtype=np.uint8)
    scenes = Scenes(images, np.tile(graph.robot.home, (rows, 1)), ("press the red button",) * rows)
    chunks = np.zeros((rows, model.horizon, graph.robot.dof))
    began_s = time.perf_counter()
    model.imagine(scenes, chunks, seeds=range(rows))
    return time.perf_counter() - began_s


# ---- over ROS ------------------------------------------------------------------------------------------------------


def _through(graph: GraphSpec, plan: Plan) -> dict[str, float]:
    import numpy as np

    from vla_mbpo_ros.bringup.processes import Processes, children_of
    from vla_mbpo_ros.bringup.run_folder import make_run_folder

    with TemporaryDirectory() as folder:
        environment = graph.environment.over({**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"})
        run_folder = make_run_folder(graph, Path(folder))
        with Processes(children_of(graph, run_folder, environment), run_folder.logs) as processes:
            os.environ.update(environment)  # our own participant must talk by the same transport
            asker = _Asker(graph, processes.check)
            try:
                asker.wait()
                overheads_ms = [asker.ask(turn) for turn in range(_WARM + plan.repeats)][_WARM:]
            finally:
                asker.close()
    return {
        "service_overhead_ms": float(np.percentile(overheads_ms, 95)),
        "service_overhead_median_ms": float(np.median(overheads_ms)),
        "service_overhead_max_ms": float(np.max(overheads_ms)),
    }


class _Asker:
    """One client of the service."""

    def __init__(self, graph: GraphSpec, check: Any) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        from vla_mbpo_ros.srv import Imagine

        rclpy.init()
        self._graph, self._check, self._kind = graph, check, Imagine
        self._node = rclpy.create_node("bench_imagine", namespace=graph.options.namespace)
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self._node)
        self._client = self._node.create_client(Imagine, "world_model/imagine")

    def close(self) -> None:
        import rclpy

        self._spinner.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def wait(self) -> None:
        """Until the model is loaded and answers."""
        end_s = time.monotonic() + _START_S
        while time.monotonic() < end_s:
            self._check()
            if self._client.wait_for_service(0.1) and self._answer(0)[0].success:
                return
        raise GraphError(f"No answer of {_NODE} for {_START_S:.0f} s.", "See its log above.")

    def ask(self, turn: int) -> float:
        """Milliseconds that the service adds to the model's own."""
        reply, whole_s = self._answer(turn)
        if not reply.success:
            raise GraphError(f"{_NODE} refused: {reply.message}", "See its log above.")
        model_s = sum(float(step.elapsed_s) for step in reply.steps)
        return (whole_s - model_s) * 1e3

    def _answer(self, turn: int) -> tuple[Any, float]:
        request = self._request(turn)
        began_s = time.perf_counter()
        future = self._client.call_async(request)
        self._spinner.spin_until_future_complete(future, timeout_sec=_ANSWER_S)
        self._check()
        if not future.done():
            raise GraphError(f"{_NODE} gave no answer for {_ANSWER_S:.0f} s.", "See its log above.")
        return future.result(), time.perf_counter() - began_s

    def _request(self, turn: int) -> Any:
        import numpy as np
        from sensor_msgs.msg import Image

        from vla_mbpo_ros.messages.chunks import encode_chunk
        from vla_mbpo_ros.messages.images import fill_image
        from vla_mbpo_ros.msg import ActionChunk as ActionChunkMessage
        from vla_mbpo_ros.schema import ActionChunk

        cfg, robot = self._graph.config, self._graph.robot
        request = self._kind.Request(views=list(robot.camera_names), names=list(robot.names), seed=turn)
        for index, view in enumerate(robot.camera_names):
            camera, message = cfg.cameras[view], Image()
            noise = np.random.default_rng((turn, index))
            fill_image(message, noise.integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8), turn, view)
            request.images.append(message)
        request.state = robot.home.tolist()
        values = np.zeros((cfg.policy.horizon, robot.dof))
        chunk = ActionChunk(turn, turn + 1, round(1e9 / cfg.control_hz), values)
        request.chunks = [encode_chunk(chunk, robot, ActionChunkMessage)]
        return request
