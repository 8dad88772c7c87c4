"""The small policy inside a real policy_node: from the newest input to its chunk, over the middleware.

    this process     images ... joint_states ──────────────────────────> chunk
    policy_node                     └─ observation ─ inference ─ publish ─┘

Two transports are part of that time, so what the node itself adds is less than what is measured.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.bringup.options import Options
from vla_mbpo_ros.errors import GraphError

if TYPE_CHECKING:
    from vla_mbpo_ros.bringup.graph import GraphSpec
    from vla_mbpo_ros.policy.flow.policy import FlowPolicy
    from vla_mbpo_ros.schema import Observation

_NODE = "policy_node"
_START_S = 60.0  # longest wait for the node: it brings torch in
_ANSWER_S = 5.0  # longest wait for a chunk
_BETWEEN_S = 0.02  # from images to joint states: cameras and arms do not speak at once


def measure_node(
    policy: FlowPolicy, seen: Observation, device: str, turns: int, between: Callable[[int], None]
) -> list[tuple[float, float]]:
    """(ms of the whole way, ms of the model inside) for each turn; `between` is called after each."""
    from vla_mbpo_ros.bringup.processes import Processes, children_of
    from vla_mbpo_ros.bringup.run_folder import make_run_folder
    from vla_mbpo_ros.policy.checkpoint import Lineage, save_policy

    with TemporaryDirectory() as folder:
        save_policy(policy, Path(folder) / "policy", Lineage())
        graph = _graph(Path(folder) / "policy", device, tuple(seen.images))
        run_folder = make_run_folder(graph, Path(folder))
        with Processes(children_of(graph, run_folder), run_folder.logs) as processes:
            graph.environment.adopt()
            asker = _Asker(graph, seen, processes.check)
            try:
                return asker.measure(turns, between)
            finally:
                asker.close()


def _graph(checkpoint: Path, device: str, cameras: tuple[str, ...]) -> GraphSpec:
    from vla_mbpo_ros.bringup.environment import kept_here
    from vla_mbpo_ros.bringup.graph import graph_for

    ages = (*(f"cameras.{name}.max_age_s=5.0" for name in cameras), "policy.max_state_age_s=5.0")
    learnt = ("policy.kind=tiny", f"policy.checkpoint={checkpoint}", f"policy.device={device}", "policy.replan_steps=1")
    options = Options(
        "arx_x5",
        cameras="external",
        robot="sink",
        record=False,
        supervise=False,
        namespace=f"bench_{os.getpid()}",
        set=(*ages, *learnt, "control_hz=100.0"),  # every joint state is answered
    )
    graph = graph_for(options, kept_here(os.environ))
    return replace(graph, nodes=tuple(node for node in graph.nodes if node.name == _NODE))


class _Asker:
    """Plays cameras and arm, and takes the chunks."""

    def __init__(self, graph: GraphSpec, seen: Observation, check: Any) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import Image, JointState

        from vla_mbpo_ros.msg import ActionChunk
        from vla_mbpo_ros.srv import SetInstruction

        rclpy.init()
        self._graph, self._seen, self._check = graph, seen, check
        self._node = rclpy.create_node("bench_policy", namespace=graph.options.namespace)
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self._node)
        self._image, self._joint_state, self._tell = Image, JointState, SetInstruction
        self._images = {name: self._node.create_publisher(Image, f"{name}/color/image_raw", 10) for name in seen.images}
        self._joints = self._node.create_publisher(JointState, "joint_states", 10)
        self._node.create_subscription(ActionChunk, "policy/action_chunk", self._on_chunk, 10)
        self._came: list[tuple[float, float]] = []  # when a chunk came, and its inference [s]

    def close(self) -> None:
        import rclpy

        self._spinner.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def measure(self, turns: int, between: Callable[[int], None]) -> list[tuple[float, float]]:
        self._begin()
        rows = []
        for turn in range(turns):
            rows.append(self._ask(turn))
            between(turn)
        return rows

    def _begin(self) -> None:
        client = self._node.create_client(self._tell, "policy/set_instruction")
        end_s = time.monotonic() + _START_S
        while time.monotonic() < end_s:
            self._spin_until(time.monotonic() + 0.1)
            found = [publisher.get_subscription_count() for publisher in (self._joints, *self._images.values())]
            if client.service_is_ready() and min(found) > 0:
                asked = client.call_async(self._tell.Request(instruction=self._seen.instruction))
                self._spin_until(time.monotonic() + 1.0)
                if asked.done() and asked.result().success:
                    return
        raise GraphError(f"No sign of policy_node for {_START_S:.0f} s.", "See its log above.")

    def _ask(self, turn: int) -> tuple[float, float]:
        """(ms until the chunk was here, ms of inference in it)"""
        from vla_mbpo_ros.messages.images import fill_image
        from vla_mbpo_ros.messages.joints import encode_joint_state
        from vla_mbpo_ros.schema import JointState

        robot = self._graph.robot
        for name, publisher in self._images.items():
            message = self._image()
            picture = self._seen.images[name].copy()
            picture[0, 0] = turn % 256  # a camera that lives
            fill_image(message, picture, self._now_ns(), name)
            publisher.publish(message)
        self._spin_until(time.monotonic() + _BETWEEN_S)
        state = JointState(self._now_ns(), self._seen.state, 0.0 * self._seen.state)
        message = encode_joint_state(state, robot, self._joint_state)
        self._came.clear()
        began_s = time.perf_counter()
        self._joints.publish(message)
        end_s = time.monotonic() + _ANSWER_S
        while not self._came:
            if time.monotonic() > end_s:
                raise GraphError(f"policy_node gave no chunk for {_ANSWER_S:.0f} s.", "See its log above.")
            self._check()
            self._spinner.spin_once(timeout_sec=0.1)
        came_s, inference_s = self._came[0]
        return (came_s - began_s) * 1e3, inference_s * 1e3

    def _spin_until(self, end_s: float) -> None:
        while (left_s := end_s - time.monotonic()) > 0.0:
            self._check()
            self._spinner.spin_once(timeout_sec=left_s)

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _on_chunk(self, chunk: Any) -> None:
        self._came.append((time.perf_counter(), float(chunk.inference_s)))
