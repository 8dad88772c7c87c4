"""The tabletop behind sim_node: lock-step, tasks that change at a reset, velocity commands, and its bags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_graph import LiveGraph
from sensor_msgs.msg import JointState as JointStateMessage

from vla_mbpo_ros.bringup.graph import GraphSpec, graph_for
from vla_mbpo_ros.bringup.options import Options
from vla_mbpo_ros.data.bags import BagReader, check_bag, check_topics
from vla_mbpo_ros.messages.joints import decode_joint_state, encode_command
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.msg import JointCommand, SimState
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.schema import Command
from vla_mbpo_ros.sim.tabletop.layout import layout
from vla_mbpo_ros.srv import Reset, StartEpisode, StopEpisode

pytestmark = pytest.mark.ros
SPEED = np.array([0.05, 0.0, -0.04, 0.0, 0.0, 0.3, 0.02])


def make(settings: tuple[str, ...]) -> GraphSpec:
    own = tuple(setting for setting in settings if not setting.startswith("cameras."))
    return graph_for(Options("tabletop", sim=True, set=own))


@pytest.fixture(scope="module")
def live(enter_graph: Callable[..., LiveGraph]) -> LiveGraph:
    return enter_graph(make)


def test_without_a_policy_neither_policy_nor_executor_is_started(live: LiveGraph) -> None:
    assert live.graph.order == ("sim_node", "robot_node", "recorder_node")
    assert not live.graph.acts


def test_a_reset_changes_the_task_the_instruction_and_the_scene(live: LiveGraph) -> None:
    states: list[SimState] = live.listen(SimState, "sim/state")
    measured: list[JointStateMessage] = live.listen(JointStateMessage, "joint_states", profile=qos.STATE)
    reply = live.call(Reset, "sim/reset", Reset.Request(seed=5, task="lift_red"))
    assert (reply.success, reply.instruction, reply.seed) == (True, "lift the red cube", 5)
    first_ns = to_ns(reply.stamp)
    state = live.until(lambda: next((s for s in states if to_ns(s.header.stamp) >= first_ns), None), "its first tick")
    assert (state.task, state.instruction) == ("lift_red", "lift the red cube")
    at = live.until(lambda: next((m for m in measured if to_ns(m.header.stamp) >= first_ns), None), "joint states")
    np.testing.assert_allclose(
        decode_joint_state(at, live.graph.robot).position[:6], layout("cubes", 5).start, atol=1e-3
    )
    again = live.call(Reset, "sim/reset", Reset.Request(seed=-1))
    assert (again.instruction, again.seed) == ("lift the red cube", 6)


def test_an_unknown_task_is_refused_with_the_nearest_name(live: LiveGraph) -> None:
    reply = live.call(Reset, "sim/reset", Reset.Request(seed=0, task="lift_rod"))
    assert not reply.success
    assert "Did you mean 'lift_red'" in reply.message


def test_velocities_move_the_tool_and_silence_holds_it(live: LiveGraph) -> None:
    live.call(Reset, "sim/reset", Reset.Request(seed=1, task="press_red"))
    measured: list[Any] = live.listen(JointStateMessage, "joint_states", profile=qos.STATE)
    publisher = live.publisher(JointCommand, "joint_command", qos.COMMAND)
    robot = live.graph.robot
    speaking = True

    def answer(state: SimState) -> None:
        if speaking:
            stamp_ns = to_ns(state.header.stamp)
            publisher.publish(encode_command(Command(stamp_ns, "human", SPEED, 0, -1), robot, JointCommand))

    executed: list[Any] = live.listen(JointCommand, "robot/executed_command")
    live.listen(SimState, "sim/state", answer)
    live.until(lambda: sum(command.source == "human" for command in executed) >= 20, "commands to be executed")
    speaking = False
    obeyed = [np.array(command.values) for command in executed if command.source == "human"]
    np.testing.assert_allclose(obeyed[10], SPEED, atol=1e-9)  # nothing is cut off: velocity_scale is 1
    held = len(measured)
    live.until(lambda: len(measured) > held + 30 and executed[-1].source == "hold", "the hold")
    positions = [decode_joint_state(message, robot).position for message in measured]
    assert positions[-1][0] > positions[0][0] + 0.02
    assert positions[-1][2] < positions[0][2] - 0.02
    assert np.isclose(positions[-1][6], SPEED[6], atol=5e-3)
    np.testing.assert_allclose(executed[-1].values[:6], 0.0)
    np.testing.assert_allclose(positions[-1], positions[-3], atol=1e-4)


def test_a_bag_of_it_passes_every_check(live: LiveGraph) -> None:
    live.call(Reset, "sim/reset", Reset.Request(seed=2, task="push_yellow"))
    began = live.call(StartEpisode, "recorder/start", StartEpisode.Request(instruction="push"))
    assert began.success, began.message
    ticks: list[SimState] = live.listen(SimState, "sim/state")
    live.until(lambda: len(ticks) > 60, "three seconds of it")
    ended = live.call(StopEpisode, "recorder/stop", StopEpisode.Request())
    assert ended.success, ended.message
    path = Path(began.bag_path)
    assert check_topics(path, live.graph.topics).problems == ()
    assert check_bag(path).problems == ()
    assert BagReader(path).topics["/wrist/color/image_raw"].count >= 60
