"""A bag as live topics: recorded, played and received over the real middleware, between two processes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.clock import ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock

from vla_mbpo_ros.config import SHARED_MEMORY
from vla_mbpo_ros.data.bags import BagReader, BagWriter, Qos
from vla_mbpo_ros.data.bags.encode import Encoder
from vla_mbpo_ros.messages import stamp_of_cdr, to_ns
from vla_mbpo_ros.messages.types import message_class

pytestmark = pytest.mark.ros

IMAGE, STATE, TEXT = "sensor_msgs/msg/Image", "sensor_msgs/msg/JointState", "std_msgs/msg/String"
COMMAND = "vla_mbpo_ros/msg/JointCommand"
BEGIN_NS = 1_600_000_000 * 10**9  # years ago
LENGTH_S, STATE_HZ, IMAGE_HZ = 3.0, 100, 30
LIMIT_S = 60.0


def as_received(data: bytes) -> bytes:
    """The middleware hands messages over in whole words of four bytes, so that is what a recorder gets."""
    return data + bytes(-len(data) % 4)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGA images, joint states, a command at each of them, and a latched instruction."""
    path, noise = tmp_path_factory.mktemp("bags") / "bag", np.random.default_rng(0)
    images, states, texts, commands = map(Encoder, (IMAGE, STATE, TEXT, COMMAND))
    image, state = images.new(height=480, width=640, step=1920, encoding="rgb8"), states.new(name=["a"], position=[0.0])
    with BagWriter(path) as writer:
        writer.add_topic("/instruction", TEXT, [Qos(durability="transient_local", depth=1)])
        writer.add_topic("/joint_states", STATE, [Qos()])
        writer.add_topic("/joint_command", COMMAND, [Qos(depth=1)])
        writer.add_topic("/head/color/image_raw", IMAGE, [Qos(depth=5)])
        writer.write("/instruction", as_received(texts(texts.new(data="put the cube into the bowl"))), BEGIN_NS)
        for tick in range(round(LENGTH_S * STATE_HZ)):
            now_ns = BEGIN_NS + tick * 10**9 // STATE_HZ
            for message in (image, state):
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 10**9)
            state.position = [0.01 * tick]
            writer.write("/joint_states", as_received(states(state)), now_ns)
            writer.write("/joint_command", commands(commands.new()), now_ns)
            if tick * IMAGE_HZ // STATE_HZ != (tick - 1) * IMAGE_HZ // STATE_HZ:
                image.data = noise.integers(0, 256, 480 * 640 * 3, dtype=np.uint8)
                writer.write("/head/color/image_raw", as_received(images(image)), now_ns)
    return path


class Listener:
    """Hears everything raw, and follows /clock as a node with use_sim_time does."""

    def __init__(self, topics: dict[str, str], sim_time: bool = True) -> None:
        self.heard: list[tuple[str, bytes, int, float]] = []  # topic, data, this node's time [ns], steady time
        self.clocks_ns: list[int] = []
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node(
            "listener",
            context=self._context,
            use_global_arguments=False,
            parameter_overrides=[Parameter("use_sim_time", value=sim_time)],
        )
        assert (self.node.get_clock().clock_type == ClockType.ROS_TIME) is True
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for name, kind in topics.items():
            profile = latched if name.endswith("instruction") else QoSProfile(depth=200)
            self.node.create_subscription(message_class(kind), name, partial(self._on, name), profile, raw=True)
        self.node.create_subscription(Clock, "/clock", lambda m: self.clocks_ns.append(to_ns(m.clock)), 100)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def _on(self, name: str, data: bytes) -> None:
        self.heard.append((name, bytes(data), self.node.get_clock().now().nanoseconds, time.monotonic()))

    def until(self, condition: Callable[[], Any], limit_s: float = LIMIT_S) -> None:
        end_s = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end_s, "waited in vain"
            self._executor.spin_once(timeout_sec=0.02)

    def of(self, topic: str) -> list[bytes]:
        return [data for name, data, _, _ in self.heard if name == topic]

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Listener]]:
    from vla_mbpo_ros.bringup.environment import environment_for

    environment = environment_for(True, os.environ, SHARED_MEMORY)
    for name, value in {**environment.added, "ROS_DOMAIN_ID": str(random.randint(1, 100))}.items():
        monkeypatch.setenv(name, value)
    listeners: list[Listener] = []

    def make(topics: dict[str, str], **options: Any) -> Listener:
        listeners.append(Listener(topics, **options))
        return listeners[-1]

    yield make
    for listener in listeners:
        listener.close()


def start(bag: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vla_mbpo_ros.cli.main", "bags", "play", str(bag), "--json", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    out, err = process.communicate(timeout=LIMIT_S)
    return json.loads(out), err


def play(listener: Listener, bag: Path, *words: str) -> dict[str, Any]:
    """Until the bag has ended and all that went out had time to arrive."""
    process = start(bag, *words)
    listener.until(lambda: process.poll() is not None)
    with pytest.raises(AssertionError, match="in vain"):
        listener.until(lambda: False, 0.5)
    result, err = end(process)
    assert process.returncode == 0, err
    return result


TOPICS = {"/instruction": TEXT, "/joint_states": STATE, "/head/color/image_raw": IMAGE, "/joint_command": COMMAND}


def test_every_message_arrives_bit_for_bit_in_order_and_at_its_rate(listen: Any, bag: Path) -> None:
    listener = listen(TOPICS)
    result = play(listener, bag)
    for topic in ("/instruction", "/joint_states", "/head/color/image_raw"):
        assert listener.of(topic) == [bytes(message.data) for message in BagReader(bag).messages([topic])]
    assert not listener.of("/joint_command")
    assert result["held_back"] == ["/joint_command"]
    assert result["messages"] == len(listener.heard) == sum(result["topics"].values())
    assert result["duration_s"] == pytest.approx(LENGTH_S, abs=0.5)
    seconds = [steady_s for name, _, _, steady_s in listener.heard if name == "/joint_states"]
    assert seconds[-1] - seconds[0] == pytest.approx(LENGTH_S, abs=0.3)


def test_who_follows_the_clock_sees_fresh_stamps(listen: Any, bag: Path) -> None:
    listener = listen({"/joint_states": STATE})
    play(listener, bag)
    ages_s = [(now_ns - stamp_of_cdr(data)) * 1e-9 for _, data, now_ns, _ in listener.heard[10:]]
    assert np.percentile(np.abs(ages_s), 90) < 0.1  # a busy machine may be slow now and then
    assert len(listener.clocks_ns) > 50 * LENGTH_S
    assert listener.clocks_ns == sorted(listener.clocks_ns)
    assert listener.clocks_ns[0] == BEGIN_NS


def test_restamped_messages_are_those_of_now_and_otherwise_the_same(listen: Any, bag: Path) -> None:
    listener = listen(TOPICS, sim_time=False)
    play(listener, bag, "--restamp", "--rate", "2")
    recorded = [bytes(message.data) for message in BagReader(bag).messages(["/joint_states"])]
    received = listener.of("/joint_states")
    assert [data[12:] for data in received] == [data[12:] for data in recorded]
    rows = [(data, now_ns) for name, data, now_ns, _ in listener.heard if name == "/joint_states"]
    ages_s = [(now_ns - stamp_of_cdr(data)) * 1e-9 for data, now_ns in rows]
    assert np.percentile(np.abs(ages_s), 90) < 0.1
    assert not listener.clocks_ns
    states, images = (
        {stamp_of_cdr(data) for data in listener.of(name)} for name in ("/joint_states", "/head/color/image_raw")
    )
    assert images < states  # what had one stamp has one stamp


def test_a_late_listener_is_told_what_is_latched(listen: Any, bag: Path) -> None:
    listener = listen({"/joint_states": STATE})
    process = start(bag, "--loop", "--namespace", "replay", "--no-clock")
    late = listen({"/replay/joint_states": STATE, "/replay/instruction": TEXT})
    late.until(lambda: len(late.of("/replay/joint_states")) > 350)  # into the second round
    assert late.of("/replay/instruction")
    stamps = [stamp_of_cdr(data) for data in late.of("/replay/joint_states")]
    assert stamps == sorted(set(stamps))
    process.send_signal(signal.SIGINT)
    result, _ = end(process)
    assert process.returncode == 0
    assert result["interrupted"]
    assert result["topics"]["/joint_states"] > 350
    assert not listener.heard
    assert not listener.clocks_ns


def test_a_topic_that_somebody_publishes_is_not_played(listen: Any, bag: Path) -> None:
    listener = listen({})
    listener.node.create_publisher(message_class(STATE), "/joint_states", 10)
    result, _ = end(start(bag))
    assert "Published already" in result["error"]
    assert "/joint_states by listener" in result["error"]
    assert play(listener, bag, "--duration", "0.1", "--topics", "/head/color/image_raw")["messages"] == 4


def test_a_second_clock_is_refused(listen: Any, bag: Path) -> None:
    listener = listen({})
    listener.node.create_publisher(Clock, "/clock", 10)
    assert "/clock by listener" in end(start(bag))[0]["error"]


def test_commands_are_played_where_asked_for_but_never_near_a_robot(listen: Any, bag: Path) -> None:
    listener = listen(TOPICS)
    assert play(listener, bag, "--commands", "--duration", "0.2")["topics"]["/joint_command"] == 21
    assert len(listener.of("/joint_command")) == 21
    robot = rclpy.create_node("robot_node", context=listener._context, use_global_arguments=False)
    process = start(bag, "--commands")
    refused, _ = end(process)
    assert process.returncode == 8
    assert "/robot_node is near" in refused["error"]
    robot.destroy_node()
    assert len(listener.of("/joint_command")) == 21


def test_a_robot_that_appears_meanwhile_ends_the_playing_of_commands(listen: Any, bag: Path) -> None:
    listener = listen(TOPICS)
    process = start(bag, "--commands", "--loop")
    listener.until(lambda: listener.of("/joint_command"))
    robot = rclpy.create_node("robot_node", context=listener._context, namespace="left", use_global_arguments=False)
    listener.until(lambda: process.poll() is not None)
    assert "/left/robot_node is near" in end(process)[0]["error"]
    robot.destroy_node()


def test_types_that_are_not_installed_are_skipped_by_name(listen: Any, tmp_path: Path) -> None:
    from mcap.writer import Writer

    texts = Encoder(TEXT)
    with (tmp_path / "odd.mcap").open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros2")
        for name, kind in {"/odd": "odd_msgs/msg/Odd", "/text": TEXT}.items():
            channel = writer.register_channel(name, "cdr", writer.register_schema(kind, "ros2msg", b"string data"))
            writer.add_message(channel, BEGIN_NS, texts(texts.new(data="hello")), BEGIN_NS)
        writer.finish()
    listener = listen({"/text": TEXT})
    result = play(listener, tmp_path / "odd.mcap")
    assert result["topics"] == {"/text": 1}
    assert "No message type odd_msgs/msg/Odd" in result["skipped"]["/odd"]
    assert listener.of("/text") == [as_received(texts(texts.new(data="hello")))]
