"""A client of world_model/imagine beside a real world_model_node: what asking over ROS adds to the model's own time."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.errors import GraphError

if TYPE_CHECKING:
    from vla_mbpo_ros.bringup.graph import GraphSpec

NODE = "world_model_node"
_START_S, _ANSWER_S = 60.0, 10.0  # longest waits
_ASK_AGAIN_S = 0.5  # while it loads


def measure_service(graph: GraphSpec, warm: int, repeats: int) -> dict[str, float]:
    import numpy as np

    from vla_mbpo_ros.bringup.processes import Processes, children_of
    from vla_mbpo_ros.bringup.run_folder import make_run_folder

    with TemporaryDirectory() as folder:
        run_folder = make_run_folder(graph, Path(folder))
        with Processes(children_of(graph, run_folder), run_folder.logs) as processes:
            graph.environment.adopt()
            asker = _Asker(graph, processes.check)
            try:
                asker.wait()
                overheads_ms = [asker.ask(turn) for turn in range(warm + repeats)][warm:]
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
            time.sleep(_ASK_AGAIN_S)
        raise GraphError(f"No answer of {NODE} for {_START_S:.0f} s.", "See its log above.")

    def ask(self, turn: int) -> float:
        """Milliseconds that the service adds to the model's own."""
        reply, whole_s = self._answer(turn)
        if not reply.success:
            raise GraphError(f"{NODE} refused: {reply.message}", "See its log above.")
        model_s = sum(float(step.elapsed_s) for step in reply.steps)
        return (whole_s - model_s) * 1e3

    def _answer(self, turn: int) -> tuple[Any, float]:
        request = self._request(turn)
        began_s = time.perf_counter()
        future = self._client.call_async(request)
        self._spinner.spin_until_future_complete(future, timeout_sec=_ANSWER_S)
        self._check()
        if not future.done():
            raise GraphError(f"{NODE} gave no answer for {_ANSWER_S:.0f} s.", "See its log above.")
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
