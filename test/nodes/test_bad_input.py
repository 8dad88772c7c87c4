"""What is wrong is refused with its cause and its cure, on the log and in diagnostics, and the arm holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from live_graph import LiveGraph
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from vla_mbpo_ros.messages.chunks import encode_chunk
from vla_mbpo_ros.messages.joints import encode_command
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.msg import ActionChunk, ExecutorStatus, JointCommand, SafetyState, SimState
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import ActionChunk as Chunk
from vla_mbpo_ros.schema import Command
from vla_mbpo_ros.srv import Reset, SetInstruction

pytestmark = pytest.mark.ros
ROBOT_ID = "arx_x5-sim"
HELD = 15  # ticks that are looked at to say that the arm holds


@pytest.fixture(scope="module")
def live(start_graph: Callable[..., LiveGraph]) -> LiveGraph:
    """The twin at real time, the policy at rest; the tests play the policy, a human, or somebody who is wrong."""
    quick = ("sim.realtime_factor=1.0", "sim.answer_timeout_s=1.0", "gate.stall_s=0.5")
    return start_graph(sim=True, act=False, record=False, set=quick)


@pytest.fixture(scope="module")
def executed(live: LiveGraph) -> list[JointCommand]:
    return live.listen(JointCommand, "robot/executed_command")


@pytest.fixture(scope="module")
def ticks(live: LiveGraph) -> list[SimState]:
    return live.listen(SimState, "sim/state")


@pytest.fixture(scope="module")
def safety(live: LiveGraph) -> list[SafetyState]:
    return live.listen(SafetyState, "robot/safety_state", profile=qos.LATCHED)


@pytest.fixture
def armed(live: LiveGraph) -> Iterator[LiveGraph]:
    """At home, armed and enabled, with the policy at rest."""
    assert live.call(Reset, "sim/reset", Reset.Request(seed=1)).success
    assert live.switch("robot/arm", True).success
    assert live.switch("executor/enable", True).success
    live.statuses.clear()
    yield live
    tell(live, "")
    for name in ("executor/enable", "robot/arm"):
        live.switch(name, False)


def tell(live: LiveGraph, instruction: str) -> None:
    assert live.call(SetInstruction, "policy/set_instruction", SetInstruction.Request(instruction=instruction)).success


def robot_of(live: LiveGraph) -> RobotSpec:
    return replace(live.graph.robot, robot_id=ROBOT_ID)


def newest_ns(live: LiveGraph, ticks: list[SimState]) -> int:
    ticks.clear()
    live.until(lambda: ticks, "a tick")
    return to_ns(ticks[-1].header.stamp)


def chunk_away_from_home(live: LiveGraph, stamp_ns: int) -> ActionChunk:
    """Good as it is: every joint moves a little."""
    values = np.tile(live.graph.robot.home + 0.01, (16, 1))
    chunk = Chunk(stamp_ns, 77, 66_666_667, values, "test", "test", 0.0, 0.0, {})
    return encode_chunk(chunk, robot_of(live), ActionChunk)


def assert_holds(live: LiveGraph, executed: list[JointCommand]) -> None:
    executed.clear()
    live.until(lambda: len(executed) >= HELD, "executed commands")
    assert {command.source for command in executed} == {"hold"}
    assert np.ptp([command.values for command in executed], axis=0).max() < 1e-6


def with_nan(chunk: ActionChunk) -> None:
    chunk.values[3 * 14 + 2] = float("nan")


def too_narrow(chunk: ActionChunk) -> None:
    chunk.names, chunk.modes = chunk.names[:13], chunk.modes[:13]
    chunk.values = chunk.values[: 13 * 16]


def for_another(chunk: ActionChunk) -> None:
    chunk.robot_id = "galaxy_r1-sim"


def too_short(chunk: ActionChunk) -> None:
    chunk.values = chunk.values[:-5]


def too_old(chunk: ActionChunk) -> None:
    chunk.header.stamp.sec -= 3


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (with_nan, ("Chunk 77 has nan for", "at step 3", "Check the policy's output")),
        (too_narrow, ("Chunk 77 has 13 columns, arx_x5 has 14 joints", "Send one column for each of")),
        (for_another, ("Chunk 77 is for the robot 'galaxy_r1-sim', this is 'arx_x5-sim'", "`robot_id`")),
        (too_short, ("219 values, expected 224", "Send one for each")),
        (too_old, ("Chunk 77 was observed", "s ago", "executor.max_chunk_age_s")),
    ],
)
def test_a_bad_chunk_is_refused_and_the_arm_holds(
    armed: LiveGraph,
    executed: list[JointCommand],
    ticks: list[SimState],
    spoil: Callable[[ActionChunk], None],
    words: tuple[str, ...],
) -> None:
    publisher = armed.publisher(ActionChunk, "policy/action_chunk")
    statuses = armed.listen(ExecutorStatus, "executor/status")
    chunk = chunk_away_from_home(armed, newest_ns(armed, ticks))
    spoil(chunk)
    executed.clear()
    publisher.publish(chunk)
    armed.wait_until_told("chunk_executor_node", *words)
    armed.until(lambda: statuses and words[0] in statuses[-1].reason, "the reason in executor/status")
    assert_holds(armed, executed)


def test_a_good_chunk_of_a_stranger_moves_the_arm_then_it_holds_where_it_is(
    armed: LiveGraph, executed: list[JointCommand], ticks: list[SimState]
) -> None:
    publisher = armed.publisher(ActionChunk, "policy/action_chunk")
    executed.clear()
    publisher.publish(chunk_away_from_home(armed, newest_ns(armed, ticks)))
    armed.until(lambda: "policy" in {command.source for command in executed}, "a command of the chunk")
    armed.until(lambda: executed[-1].source == "hold", "a hold after its end")
    moved = [command for command in executed if command.source == "policy"]
    robot = armed.graph.robot
    np.testing.assert_allclose(moved[-1].values, np.minimum(robot.home + 0.01, robot.high), atol=1e-9)
    assert_holds(armed, executed)
    np.testing.assert_allclose(executed[-1].values, moved[-1].values, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "joystick"}, ("The source 'joystick' is not known; known: human, policy", "gate.sources")),
        ({"robot_id": "arx_x5"}, ("A command is for the robot 'arx_x5', this is 'arx_x5-sim'", "ROS_DOMAIN_ID")),
        ({"values": [float("inf")] * 14}, ("'human' is inf for", "Send finite numbers")),
        ({"values": [0.0] * 3}, ("'human' has 3 values, expected 14", "Send one for each name")),
        ({"modes": [1] * 14}, ("in mode 1", "Send mode 0 (POSITION)")),
    ],
)
def test_a_bad_command_is_refused_and_the_arm_holds(
    armed: LiveGraph,
    executed: list[JointCommand],
    ticks: list[SimState],
    changes: dict[str, Any],
    words: tuple[str, ...],
) -> None:
    publisher = armed.publisher(JointCommand, "joint_command")
    command = human_command(armed, newest_ns(armed, ticks))
    for name, value in changes.items():
        setattr(command, name, value)
    publisher.publish(command)
    armed.wait_until_told("robot_node", *words)
    assert_holds(armed, executed)


def human_command(live: LiveGraph, stamp_ns: int) -> JointCommand:
    values = live.graph.robot.home.copy()
    values[0] += 0.02
    return encode_command(Command(stamp_ns, "human", values, 0, -1), robot_of(live), JointCommand)


def test_a_human_overrides_the_policy_and_gives_back(armed: LiveGraph, executed: list[JointCommand]) -> None:
    sources = armed.listen(String, "control_source", profile=qos.LATCHED)
    publisher = armed.publisher(JointCommand, "joint_command")
    tell(armed, armed.graph.config.instruction)
    armed.until(lambda: executed[-1].source == "policy", "the policy in control")
    human = True

    def answer(state: SimState) -> None:
        if human:
            publisher.publish(human_command(armed, to_ns(state.header.stamp)))

    armed.listen(SimState, "sim/state", answer)
    executed.clear()
    armed.until(lambda: [c.source for c in executed[-HELD:]] == ["human"] * HELD, "the human in control")
    assert sources[-1].data == "human"
    steps = np.abs(np.diff([command.values for command in executed], axis=0))
    limit = armed.graph.robot.max_velocity * armed.graph.config.gate.velocity_scale / armed.graph.config.control_hz
    assert (steps <= limit + 1e-9).all()
    human = False
    armed.until(lambda: executed[-1].source == "policy", "the policy in control again")
    armed.until(lambda: sources[-1].data == "policy", "control_source")
    assert not [text for text in armed.errors("robot_node") if "overridden" in text]  # nothing is wrong


def test_the_emergency_stop_holds_disarms_and_latches(
    armed: LiveGraph, executed: list[JointCommand], safety: list[SafetyState]
) -> None:
    button = armed.publisher(Bool, "estop", qos.LATCHED)
    tell(armed, armed.graph.config.instruction)
    armed.until(lambda: executed[-1].source == "policy", "the policy in control")
    button.publish(Bool(data=True))
    armed.until(lambda: safety[-1].estop, "the latch")
    assert not safety[-1].armed
    assert "The e-stop is latched" in safety[-1].reason
    armed.until(lambda: any("The e-stop is latched" in status.message for status in armed.statuses), "diagnostics")
    assert_holds(armed, executed)
    assert "Emergency stop" in armed.log("robot_node")
    assert "pressed" in armed.call(Trigger, "robot/reset_estop", Trigger.Request()).message
    button.publish(Bool(data=False))
    armed.until(lambda: armed.call(Trigger, "robot/reset_estop", Trigger.Request()).success, "the reset")
    armed.until(lambda: not safety[-1].estop, "the latch to open")
    assert not safety[-1].armed
    assert armed.switch("robot/arm", True).success
    armed.until(lambda: executed[-1].source == "policy", "the policy in control again")
    armed.node.destroy_publisher(button)


def test_an_emergency_stop_is_not_missed_while_robot_node_is_inactive(
    live: LiveGraph, safety: list[SafetyState]
) -> None:
    button = live.publisher(Bool, "estop", qos.LATCHED)
    assert live.transition("robot_node", Transition.TRANSITION_DEACTIVATE)
    button.publish(Bool(data=True))
    live.spin(0.5)
    assert live.transition("robot_node", Transition.TRANSITION_ACTIVATE)
    live.until(lambda: safety[-1].estop, "the latch")
    refusal = live.switch("robot/arm", True)
    assert not refusal.success
    assert "reset_estop" in refusal.message
    button.publish(Bool(data=False))
    live.until(lambda: live.call(Trigger, "robot/reset_estop", Trigger.Request()).success, "the reset")
    live.node.destroy_publisher(button)
