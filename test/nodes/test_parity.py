"""Live and from the bag, an observation is the same bit for bit: one decoder, one resampler, one order of joints."""

from __future__ import annotations

import array
import os
import random
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from live_graph import LiveGraph
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from sensor_msgs.msg import JointState as JointStateMessage

from vla_mbpo_ros.bringup.episodes import run_episode
from vla_mbpo_ros.data.bags import BagReader, BagWriter
from vla_mbpo_ros.data.episodes.contract_bag import ContractBag
from vla_mbpo_ros.data.episodes.observations import JOINTS, ObservationBuilder
from vla_mbpo_ros.data.episodes.reader import CHUNKS, COMMANDS, read_episode
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import StaleError
from vla_mbpo_ros.messages.chunks import decode_chunk
from vla_mbpo_ros.messages.joints import encode_command
from vla_mbpo_ros.messages.stamps import fill_stamp
from vla_mbpo_ros.msg import JointCommand
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.policy.factory import make_policy
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import Command, Observation

pytestmark = pytest.mark.ros
ROBOT = get_robot("arx_x5")
AGES = {"head": 0.2, "left_wrist": 0.2, "right_wrist": 0.2}
TICKS, TICK_NS = 40, 66_666_667
START_NS = 5 * 10**9
LIMIT_S = 20.0
# Each camera as another driver sends it: encoding, channels, bytes of padding behind a row, late by [ns].
DRIVERS = {
    "head": ("bgr8", 3, 0, 0),
    "left_wrist": ("rgb8", 3, 8, 21_000_000),
    "right_wrist": ("bgra8", 4, 4, 50_000_000),
}


@dataclass
class Wire:
    """Publishers, a live observer and a recorder on one real middleware."""

    node: Any
    executor: SingleThreadedExecutor
    bag: BagWriter
    builder: ObservationBuilder = field(default_factory=lambda: ObservationBuilder(ROBOT, AGES, 0.2))
    publishers: dict[str, Any] = field(default_factory=dict)
    heard: int = 0  # decoded messages
    recorded: int = 0  # raw ones
    sent: int = 0

    def connect(self) -> None:
        for camera in AGES:
            self._topic(Image, f"{camera}/color/image_raw", partial(self._on_image, camera))
        self._topic(JointStateMessage, JOINTS, self._on_joints)
        self._topic(JointCommand, COMMANDS, lambda message: None)
        self._until(lambda: all(p.get_subscription_count() == 2 for p in self.publishers.values()))

    def send(self, topic: str, message: Any) -> None:
        self.publishers[topic].publish(message)
        self.sent += 1

    def settle(self) -> None:
        """Until both have everything."""
        self._until(lambda: self.heard == self.recorded == self.sent)

    def _topic(self, kind: type, topic: str, callback: Callable[[Any], object]) -> None:
        self.publishers[topic] = self.node.create_publisher(kind, topic, qos.EVENT)
        self.bag.add_topic(f"/{topic}", f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}")
        self.node.create_subscription(kind, topic, partial(self._on_message, callback), qos.EVENT)
        self.node.create_subscription(kind, topic, partial(self._on_raw, topic), qos.EVENT, raw=True)

    def _on_message(self, callback: Callable[[Any], object], message: Any) -> None:
        callback(message)
        self.heard += 1

    def _on_raw(self, topic: str, data: bytes) -> None:
        self.bag.write(f"/{topic}", data, START_NS + self.recorded)
        self.recorded += 1

    def _on_image(self, camera: str, message: Image) -> None:
        self.builder.add_image(camera, message)

    def _on_joints(self, message: JointStateMessage) -> None:
        self.builder.add_joints(message)

    def _until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < end, f"sent {self.sent}, heard {self.heard}, recorded {self.recorded}"
            self.executor.spin_once(0.05)


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=random.randint(1, 100))
    node = rclpy.create_node(f"parity_{os.getpid()}", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    made = Wire(node, executor, BagWriter(tmp_path / "bag"))
    made.connect()
    yield made
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)


def image(camera: str, tick: int, draw: np.random.Generator, slow_ns: int = 0) -> Image:
    encoding, channels, padding, late_ns = DRIVERS[camera]
    late_ns += slow_ns
    height, width = 12, 17
    message = Image(height=height, width=width, encoding=encoding, step=width * channels + padding)
    message.data = array.array("B", draw.integers(0, 256, height * message.step, np.uint8).tobytes())
    fill_stamp(message.header.stamp, max(START_NS + tick * TICK_NS - late_ns, 0))
    return message


def joints(tick: int, draw: np.random.Generator) -> JointStateMessage:
    """As a driver sends them that has an order of its own, and measures no velocity."""
    order = draw.permutation(ROBOT.dof)
    message = JointStateMessage(name=[ROBOT.names[index] for index in order])
    message.position = draw.normal(size=ROBOT.dof).tolist()
    message.velocity = message.effort = [0.0] * ROBOT.dof
    fill_stamp(message.header.stamp, START_NS + tick * TICK_NS)
    return message


def play(wire: Wire, slow_ns: int = 0) -> list[Observation]:
    """Publish an episode tick by tick; what the live node makes of each, and of moments between two.

    `slow_ns` makes every image arrive later than its stamp by so much more.
    """
    draw, seen = np.random.default_rng(7), []
    for tick in range(TICKS):
        for camera in AGES:
            if (tick + len(camera)) % 7:  # a frame is missing now and then
                wire.send(f"{camera}/color/image_raw", image(camera, tick, draw, slow_ns))
        wire.send(JOINTS, joints(tick, draw))
        now_ns = START_NS + tick * TICK_NS
        command = Command(now_ns, "policy", draw.normal(size=ROBOT.dof), 1, tick)
        wire.send(COMMANDS, encode_command(command, ROBOT, JointCommand))
        wire.settle()
        for moment_ns in (now_ns, now_ns + 13_000_000):
            try:
                seen.append(wire.builder.at(moment_ns, "go"))
            except StaleError:
                assert tick < 3, "only the first moments may lack a camera"
    facts = EpisodeFacts(robot=ROBOT.name, control_hz=15.0, camera_hz=dict.fromkeys(AGES, 15.0))
    wire.bag.close(facts.to_custom_data())
    return seen


def assert_alike(live: Observation, offline: Observation) -> None:
    assert dict(offline.source_stamps_ns) == dict(live.source_stamps_ns)
    assert offline.state.tobytes() == live.state.tobytes()
    assert list(offline.images) == list(live.images)
    for camera, picture in live.images.items():
        assert (offline.images[camera].shape, offline.images[camera].dtype) == (picture.shape, picture.dtype)
        assert offline.images[camera].tobytes() == picture.tobytes()


def fill(builder: ObservationBuilder, bag: ContractBag) -> ObservationBuilder:
    """Everything that is in a bag."""
    topics = {bag.name(bag.color_topic(camera)): camera for camera in builder.cameras}
    for message in bag.bag.messages([*topics, bag.name(JOINTS)]):
        decoded = bag.decode(message)
        if message.topic in topics:
            builder.add_image(topics[message.topic], decoded, bag.bag.topics[message.topic].type)
        else:
            builder.add_joints(decoded)
    return builder


def test_the_bag_gives_the_observations_that_the_live_node_had(wire: Wire) -> None:
    live = play(wire)
    offline = fill(ObservationBuilder(ROBOT, AGES, 0.2, keep=None), ContractBag(wire.bag.path))
    assert len(live) > TICKS
    for observation in live:
        assert_alike(observation, offline.at(observation.stamp_ns, "go"))
        assert_alike(observation, offline.exactly(observation.source_stamps_ns, observation.stamp_ns, "go"))


def test_what_came_late_is_not_in_the_observation_that_a_chunk_lists(wire: Wire) -> None:
    """At T the bag holds frames that the node did not have yet: only the listed stamps say what was seen."""
    live = play(wire, slow_ns=60_000_000)
    offline = fill(ObservationBuilder(ROBOT, AGES, 0.2, keep=None), ContractBag(wire.bag.path))
    resampled = [offline.at(observation.stamp_ns, "go") for observation in live]
    assert any(mine.source_stamps_ns != theirs.source_stamps_ns for mine, theirs in zip(live, resampled, strict=True))
    for observation in live:
        assert_alike(observation, offline.exactly(observation.source_stamps_ns, observation.stamp_ns, "go"))


def test_rows_of_an_episode_are_what_the_live_node_saw_at_their_ticks(wire: Wire) -> None:
    live = {observation.stamp_ns: observation for observation in play(wire)}
    episode = read_episode(wire.bag.path)
    assert len(set(episode.times_ns.tolist()) & set(live)) > TICKS - 3
    for row, time_ns in enumerate(episode.times_ns.tolist()):
        if time_ns in live:
            images = {camera: episode.image(camera, row) for camera in AGES}
            stamps = {name: live[time_ns].source_stamps_ns[name] for name in AGES}
            frames = {name: int(episode.frames[name].stamps_ns[episode.image_row[name][row]]) for name in AGES}
            assert frames == stamps
            mine = replace(live[time_ns], images=images, state=episode.state[row])
            assert_alike(live[time_ns], mine)


@pytest.fixture(scope="module")
def twin(start_graph: Callable[..., LiveGraph]) -> tuple[LiveGraph, Path]:
    """A running twin and the bag of one episode of it."""
    live = start_graph(sim=True)
    result = run_episode(live.session, seed=11)
    assert result.ok, result.message
    return live, Path(result.bag_path)


def test_the_policy_proposes_the_same_chunks_again_from_the_bag(twin: tuple[LiveGraph, Path]) -> None:
    live, path = twin
    cfg, bag = live.graph.config, ContractBag(path)
    ages = {name: camera.max_age_s for name, camera in cfg.cameras.items()}
    builder = fill(ObservationBuilder(bag.state_spec, ages, cfg.policy.max_state_age_s, keep=None), bag)
    policy = make_policy(cfg.policy, bag.state_spec, cfg.control_hz)
    chunks = [decode_chunk(bag.decode(message), bag.action_spec) for message in bag.messages(CHUNKS)]
    assert len(chunks) > 5
    for number, chunk in enumerate(chunks, start=1):
        seen = builder.exactly(chunk.source_stamps_ns, chunk.observed_ns, chunk.instruction)
        assert_alike(builder.at(chunk.observed_ns, chunk.instruction), seen)
        # Of this chunk: the layout's seed, and its number in the plan (see policy_node).
        seed = zlib.crc32(f"{cfg.policy.seed} {bag.facts.seed} {number}".encode())
        values = policy.sample(policy.encode([seen]), seed).values[0]
        assert values.tobytes() == chunk.values.tobytes(), f"chunk {number} of {len(chunks)}"


def test_every_chunk_of_the_twin_is_found_with_what_its_policy_saw(twin: tuple[LiveGraph, Path]) -> None:
    episode = read_episode(twin[1])
    assert episode.skipped == {}
    assert len(episode.chunks) == BagReader(twin[1]).topics["/policy/action_chunk"].count
    for chunk, seen in zip(episode.chunks, episode.seen, strict=True):
        assert seen is not None
        row = int(np.searchsorted(episode.times_ns, chunk.observed_ns))
        assert episode.times_ns[row] == chunk.observed_ns
        assert np.array_equal(seen.state, episode.state[row])
        assert dict(seen.frames) == {camera: int(rows[row]) for camera, rows in episode.image_row.items()}
