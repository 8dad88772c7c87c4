"""The whole flow on the ARX X5 twin: episodes from asking to a closed bag, and what is in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_graph import LiveGraph
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader

from vla_mbpo_ros.bringup.episodes import EpisodeResult, run_episode
from vla_mbpo_ros.data.bags import BagReader, check_bag, check_topics
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.msg import EpisodeStatus

pytestmark = pytest.mark.ros
SEED = 3
LOOPBACK = "0100007F"  # 127.0.0.1 as /proc/net/udp writes it
LATCHED = ("robot/safety_state", "control_source", "instruction", "head/color/camera_info", "estop")


@pytest.fixture(scope="module")
def live(start_graph: Callable[..., LiveGraph]) -> LiveGraph:
    return start_graph(sim=True)


@pytest.fixture(scope="module")
def episodes(live: LiveGraph) -> tuple[EpisodeResult, EpisodeResult]:
    """Two of the same seed, one after the other, in one run."""
    return run_episode(live.session, seed=SEED), run_episode(live.session, seed=SEED)


@pytest.fixture(scope="module", params=["first", "second"])
def result(request: pytest.FixtureRequest, episodes: tuple[EpisodeResult, EpisodeResult]) -> EpisodeResult:
    return episodes[request.param == "second"]


def decoded(bag: BagReader, topic: str) -> list[Any]:
    return [bag.decode(message) for message in bag.messages([topic])]


def udp_addresses(pid: int) -> set[str]:
    """Where the sockets of a process are bound, as /proc/net/udp writes it."""
    inodes = {target for fd in Path(f"/proc/{pid}/fd").iterdir() if (target := link(fd)).startswith("socket:")}
    tables = [Path(f"/proc/{pid}/net/{name}").read_text(encoding="utf-8") for name in ("udp", "udp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if f"socket:[{row[9]}]" in inodes}


def link(fd: Path) -> str:
    try:
        return os.readlink(fd)
    except FileNotFoundError:
        return ""


@pytest.fixture
def pids(live: LiveGraph) -> list[int]:
    found = list(live.session.processes.pids.values())
    assert len(found) == len(live.graph.nodes)
    return found


def test_small_images_need_no_shared_memory(pids: list[int]) -> None:
    """It would not outlive killed nodes; and rmw_fastrtps adds one of its own when it is told LOCALHOST."""
    for pid in pids:
        assert "/dev/shm/fast" not in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


def test_nothing_of_a_simulation_listens_beyond_this_machine(pids: list[int]) -> None:
    for pid in pids:
        assert udp_addresses(pid) == {LOOPBACK}


def test_the_expert_puts_the_cube_where_it_belongs(result: EpisodeResult) -> None:
    assert (result.ok, result.outcome, result.message) == (True, EpisodeStatus.SUCCESS, "")
    assert 30 < result.steps < 300
    assert abs(result.duration_s - result.steps / 15.0) < 0.5


def test_the_bag_has_every_promised_topic_at_its_rate_with_no_gap(result: EpisodeResult, live: LiveGraph) -> None:
    assert check_topics(Path(result.bag_path), live.graph.topics).problems == ()
    assert check_bag(Path(result.bag_path)).problems == ()


def test_the_bag_opens_with_rosbags_and_with_mcap(result: EpisodeResult) -> None:
    path = Path(result.bag_path)
    ours = {name: info.count for name, info in BagReader(path).topics.items()}
    with Reader(path) as reader:
        assert {topic: info.msgcount for topic, info in reader.topics.items()} == ours
    (file,) = path.glob("*.mcap")
    with file.open("rb") as stream:
        assert sum(1 for _ in make_reader(stream).iter_messages()) == sum(ours.values())


def test_the_bag_says_what_the_episode_was(result: EpisodeResult, live: LiveGraph) -> None:
    facts = EpisodeFacts.from_custom_data(BagReader(Path(result.bag_path)).custom_data)
    assert (facts.episode_id, facts.outcome, facts.seed) == (result.episode_id, "success", SEED)
    assert (facts.robot, facts.robot_id, facts.simulated) == ("arx_x5", "arx_x5-sim", True)
    assert facts.instruction == live.graph.config.instruction
    assert facts.policy_version.startswith("scripted")
    assert facts.success_time_s is not None
    assert 0.0 < facts.success_time_s <= result.duration_s + 0.5
    assert facts.lost == {}


def test_what_was_proposed_asked_and_executed_is_in_the_bag_and_agrees(result: EpisodeResult) -> None:
    bag = BagReader(Path(result.bag_path))
    chunks = {chunk.chunk_id: chunk for chunk in decoded(bag, "/policy/action_chunk")}
    asked = {to_ns(command.header.stamp): command for command in decoded(bag, "/joint_command")}
    executed = [c for c in decoded(bag, "/robot/executed_command") if c.source == "policy"]
    assert len(chunks) > 5
    assert len(executed) > 30
    for command in executed:
        assert command.chunk_id in chunks
        question = asked[to_ns(command.header.stamp)]
        assert (question.chunk_id, question.step) == (command.chunk_id, command.step)
    for chunk in chunks.values():  # o_t can be taken from exactly the frames that were used
        assert set(chunk.source_names) == {"head", "left_wrist", "right_wrist", "joint_states"}
        assert {to_ns(stamp) for stamp in chunk.source_stamps} == {to_ns(chunk.header.stamp)}


def test_executed_commands_obey_the_limits(result: EpisodeResult, live: LiveGraph) -> None:
    robot, cfg = live.graph.robot, live.graph.config
    commands = decoded(BagReader(Path(result.bag_path)), "/robot/executed_command")
    values = np.array([command.values for command in commands])
    assert (values >= robot.low - 1e-9).all()
    assert (values <= robot.high + 1e-9).all()
    step = robot.max_velocity * cfg.gate.velocity_scale / cfg.control_hz
    assert (np.abs(np.diff(values, axis=0)) <= step + 1e-9).all()


def test_every_tick_is_executed_once(result: EpisodeResult) -> None:
    bag = BagReader(Path(result.bag_path))
    told = [to_ns(command.header.stamp) for command in decoded(bag, "/robot/executed_command")]
    assert np.diff(told).min() > 0
    ticks = [to_ns(state.header.stamp) for state in decoded(bag, "/sim/state")]
    assert set(ticks[1:-1]) <= set(told)


@pytest.mark.parametrize("topic", LATCHED[:-1])
def test_every_bag_begins_with_what_was_latched_before_it(result: EpisodeResult, topic: str) -> None:
    bag = BagReader(Path(result.bag_path))
    first = next(iter(bag.messages([f"/{topic}"])))
    assert first.log_ns - bag.start_ns < 0.2e9


def test_two_episodes_of_one_seed_are_executed_alike(episodes: tuple[EpisodeResult, EpisodeResult]) -> None:
    assert_alike(*episodes)


def test_another_run_of_the_same_seed_is_executed_alike(
    episodes: tuple[EpisodeResult, EpisodeResult], live: LiveGraph, start_graph: Callable[..., LiveGraph]
) -> None:
    live.stop()
    assert_alike(episodes[0], run_episode(start_graph(sim=True).session, seed=SEED))


def assert_alike(one: EpisodeResult, other: EpisodeResult) -> None:
    """Bit for bit; only whether the very last tick is still commanded is a matter of speed."""
    assert (one.outcome, one.steps, one.duration_s) == (other.outcome, other.steps, pytest.approx(other.duration_s))
    first, second = policy_commands(Path(one.bag_path)), policy_commands(Path(other.bag_path))
    assert abs(len(first) - len(second)) <= 1
    ticks = min(len(first), len(second))
    assert np.array_equal(first[:ticks], second[:ticks])


def policy_commands(bag: Path) -> np.ndarray[Any, Any]:
    """(T, 1 + N) time since the policy's first executed command [ns], and its values."""
    commands = [c for c in decoded(BagReader(bag), "/robot/executed_command") if c.source == "policy"]
    start_ns = to_ns(commands[0].header.stamp)
    return np.array([[to_ns(c.header.stamp) - start_ns, *c.values] for c in commands])
