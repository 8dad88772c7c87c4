"""Settings as ROS parameters: described, dynamic where it makes sense, refused with a sentence where not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_graph import LiveGraph
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import ReliabilityPolicy

from vla_mbpo_ros.config_io import describe
from vla_mbpo_ros.messages.joints import encode_command
from vla_mbpo_ros.msg import JointCommand
from vla_mbpo_ros.schema import Command

pytestmark = pytest.mark.ros
OVERRIDE = "qos_overrides./joint_states.publisher.reliability"
SINK = {"cameras": "synthetic", "robot": "sink", "policy": "none"}


@pytest.fixture(scope="module")
def live(start_graph: Callable[..., LiveGraph]) -> LiveGraph:
    return start_graph(only=("robot_node",), extra={OVERRIDE: "best_effort"}, **SINK)


def set_parameter(live: LiveGraph, name: str, value: Any) -> SetParametersResult:
    parameter: ParameterMessage = Parameter(name, value=value).to_parameter_msg()
    request = SetParameters.Request(parameters=[parameter])
    return live.call(SetParameters, "robot_node/set_parameters", request).results[0]


def description(live: LiveGraph, name: str) -> ParameterDescriptor:
    request = DescribeParameters.Request(names=[name])
    return live.call(DescribeParameters, "robot_node/describe_parameters", request).descriptors[0]


def value_of(live: LiveGraph, name: str) -> Any:
    request = GetParameters.Request(names=[name])
    return live.call(GetParameters, "robot_node/get_parameters", request).values[0]


def test_a_node_has_its_own_sections_and_no_others(live: LiveGraph) -> None:
    listed = set(live.call(ListParameters, "robot_node/list_parameters", ListParameters.Request()).result.names)
    known = describe(live.graph.config)
    ours = {name for name in listed if name in known}
    sections = {name.split(".")[0] for name in ours}
    assert sections == {"robot", "robot_id", "control_hz", "runtime", "gate"}


def test_texts_units_ranges_and_choices_are_visible(live: LiveGraph) -> None:
    age = description(live, "gate.max_command_age_s")
    assert age.description == "Older commands are refused. [s]"
    assert (age.floating_point_range[0].from_value, age.floating_point_range[0].to_value) == (0.001, 10.0)
    driver = description(live, "gate.driver")
    assert driver.additional_constraints == "One of: topics, sink."


def test_a_dynamic_parameter_takes_effect_at_once(live: LiveGraph) -> None:
    assert live.switch("robot/arm", True).success
    for scale in (0.4, 0.1):
        result = set_parameter(live, "gate.velocity_scale", scale)
        assert (result.successful, result.reason) == (True, "")
        assert value_of(live, "gate.velocity_scale").double_value == scale
        steps = executed_steps(live)
        limit = live.graph.robot.max_velocity * scale / live.graph.config.control_hz
        assert (steps <= limit + 1e-9).all()
        assert (steps.max(axis=0) > 0.9 * limit)[0]  # the first joint uses all that it may
    live.switch("robot/arm", False)


def executed_steps(live: LiveGraph) -> np.ndarray[Any, Any]:
    """(T, N) what the arm is told when a human asks for more than is allowed."""
    executed = live.listen(JointCommand, "robot/executed_command")
    publisher = live.publisher(JointCommand, "joint_command")
    robot = live.graph.robot
    goals = [robot.low, robot.high]

    def ask() -> None:
        stamp_ns = live.node.get_clock().now().nanoseconds
        goal = goals[len(executed) // 15 % 2]  # there and back
        publisher.publish(encode_command(Command(stamp_ns, "human", goal, 0, -1), robot, JointCommand))

    timer = live.node.create_timer(1.0 / live.graph.config.control_hz, ask)
    live.until(lambda: sum(command.source == "human" for command in executed) > 20, "executed commands")
    live.node.destroy_timer(timer)
    return np.abs(np.diff([command.values for command in executed if command.source == "human"], axis=0))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("gate.lease_s", 1.0, "'gate.lease_s' cannot change while the node is configured"),
        ("gate.driver", "topics", "Run its cleanup transition first, or restart it."),
        ("use_sim_time", True, "'use_sim_time' cannot change while the node lives"),
        ("robot", "galaxy_r1", "'robot' cannot change while the node lives"),
        ("gate.velocity_scale", 7.0, "range"),
        ("gate.velocity_scale", "fast", "type"),
        ("gate.velocity_scale", float("nan"), "range"),
    ],
)
def test_what_may_not_be_set_is_refused_with_a_sentence(live: LiveGraph, name: str, value: Any, words: str) -> None:
    before = value_of(live, name)
    result = set_parameter(live, name, value)
    assert not result.successful
    assert words in result.reason
    assert value_of(live, name) == before


def test_quality_of_service_can_be_overridden(live: LiveGraph) -> None:
    live.until(lambda: live.node.get_publishers_info_by_topic("/joint_states"), "the publisher")
    (changed,) = live.node.get_publishers_info_by_topic("/joint_states")
    (kept,) = live.node.get_publishers_info_by_topic("/robot/executed_command")
    assert changed.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert kept.qos_profile.reliability == ReliabilityPolicy.RELIABLE


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("gate.velocty_scale:=0.3", "Did you mean 'gate.velocity_scale'?"),
        ("gate.velocity_scale:=7.0", "The most is 1.0"),
        ("gate.velocity_scale:=fast", "must be a float, got 'fast'"),
        ("robot:=arx_x6", "Unknown robot 'arx_x6'. Did you mean 'arx_x5'?"),
        ("gate.driver:=sinc", "Did you mean 'sink'?"),
        ("gate.armed:=true", "gate.armed is for simulations only. Arm a robot by the service robot/arm."),
    ],
)
def test_a_node_with_wrong_settings_ends_with_code_2_and_says_why(parameter: str, words: str) -> None:
    ended = run_node("-p", parameter)
    assert ended.returncode == 2, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_key_in_a_parameter_file_is_named_with_the_nearest(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("/**:\n  ros__parameters:\n    recorder:\n      foldr: /tmp\n", encoding="utf-8")
    ended = run_node("--params-file", str(wrong))
    assert ended.returncode == 2
    assert "Unknown parameter 'recorder.foldr' in the parameters of robot_node." in ended.stderr
    assert "Did you mean 'recorder.folder'?" in ended.stderr


def run_node(*arguments: str) -> subprocess.CompletedProcess[str]:
    """robot_node to its end."""
    command = [sys.executable, "-m", "vla_mbpo_ros.nodes.robot_node", "--ros-args", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
