"""What is due when: without ROS, without waiting."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.data.bags import BagReader, BagWriter, Qos
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.player import Choice, Item, Plan, commands_of, plan_playing, restamped
from vla_mbpo_ros.errors import BagError, ConfigError, ContractError, UnknownName
from vla_mbpo_ros.messages import stamp_of_cdr

STATE, TEXT, COMMAND = "sensor_msgs/msg/JointState", "std_msgs/msg/String", "vla_mbpo_ros/msg/JointCommand"
START_NS = 10**9
Row = tuple[str, int, bytes]  # topic, log time [ns], CDR


@pytest.fixture
def bag(write_bag: Callable[..., Path], rows: list[Row]) -> BagReader:
    """Joint states at 10 Hz for 9.9 s, frame infos at 5 Hz, one text."""
    return BagReader(write_bag(rows))


@pytest.fixture
def moving(tmp_path: Path) -> Callable[..., BagReader]:
    """moving({topic: type}) -> a bag with one empty message of each."""

    def make(topics: dict[str, str], facts: EpisodeFacts | None = None) -> BagReader:
        with BagWriter(tmp_path / "moving") as writer:
            for name, kind in topics.items():
                writer.add_topic(name, kind)
                writer.write(name, b"\x00\x01\x00\x00" + bytes(8), 5)
            writer.close((facts or EpisodeFacts()).to_custom_data())
        return BagReader(tmp_path / "moving")

    return make


def items(bag: BagReader, **choice: Any) -> list[Item]:
    return list(plan_playing(bag, Choice(**choice)).items())


def test_every_message_is_played_once_at_its_time(bag: BagReader) -> None:
    played = items(bag)
    assert [(item.topic, item.data) for item in played] == [(m.topic, m.data) for m in bag.messages()]
    assert [item.due_ns for item in played] == [message.log_ns - START_NS for message in bag.messages()]
    assert [item.bag_ns for item in played] == [message.log_ns for message in bag.messages()]


@given(rate=st.floats(0.01, 100.0))
def test_twice_as_fast_takes_half_as_long(rate: float) -> None:
    plan = Plan(None, Choice(rate=rate), {}, (), START_NS, START_NS + 10**10)  # type: ignore[arg-type]
    assert plan.length_ns == pytest.approx(10**10 / rate, abs=1)


def test_the_rate_stretches_what_is_due(bag: BagReader) -> None:
    assert [item.due_ns for item in items(bag, rate=2.0)] == [item.due_ns // 2 for item in items(bag)]


def test_a_span_begins_at_zero_and_ends_in_time(bag: BagReader) -> None:
    played = items(bag, start_s=2.0, duration_s=3.0, topics=("/joint_states",))
    assert [item.due_ns for item in played] == [tick * 10**8 for tick in range(31)]
    assert played[0].bag_ns == START_NS + 2 * 10**9
    assert len(items(bag, start_s=9.85)) == 1


def test_what_is_latched_comes_first_as_it_was_when_the_span_began(tmp_path: Path, cdr: Callable[..., bytes]) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/instruction", TEXT, [Qos(durability="transient_local", depth=1)])
        writer.add_topic("/note", TEXT)
        for second, text in enumerate(("one", "two", "three", "four")):
            for topic in ("/note", "/instruction"):
                writer.write(topic, cdr(TEXT, data=text), second * 10**9)
    reader = BagReader(tmp_path / "bag")
    played = items(reader, start_s=1.5)
    said = [(item.topic, reader.decoder(item.topic)(item.data).data, item.due_ns) for item in played]
    half = 5 * 10**8
    assert said == [
        ("/instruction", "two", 0),
        ("/note", "three", half),
        ("/instruction", "three", half),
        ("/note", "four", 3 * half),
        ("/instruction", "four", 3 * half),
    ]


def test_time_goes_on_from_round_to_round(bag: BagReader) -> None:
    plan = plan_playing(bag, Choice(loop=True, topics=("/joint_states",), start_s=1.0, duration_s=2.0))
    played = list(islice(plan.items(), 21 * 3))
    for field in ("due_ns", "bag_ns"):
        times = [getattr(item, field) for item in played]
        assert times == sorted(set(times))
    stamps = [stamp_of_cdr(item.data) for item in played]
    assert stamps == [item.bag_ns for item in played]  # recorded so, and it stays so
    assert stamps == [START_NS + 10**9 + tick * 10**8 for tick in range(63)]  # the rate goes on as well
    assert played[20].data == items(bag, topics=("/joint_states",), start_s=3.0, duration_s=0.01)[0].data


def test_a_loop_ends_where_there_is_nothing(bag: BagReader) -> None:
    plan = plan_playing(bag, Choice(loop=True, start_s=0.05, duration_s=0.01, topics=("/joint_states",)))
    assert list(plan.items()) == []


# -- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("/joint_command", COMMAND),
        ("/left/robot/executed_command", COMMAND),
        ("/policy/action_chunk", "vla_mbpo_ros/msg/ActionChunk"),
        ("/driver/command", STATE),
        ("/estop", "std_msgs/msg/Bool"),
        ("/deadman", "std_msgs/msg/Bool"),
        ("/sim/tick_done", "vla_mbpo_ros/msg/TickDone"),
        ("/clock", "rosgraph_msgs/msg/Clock"),
        ("/heartbeat", "vla_mbpo_ros/msg/Heartbeat"),
        ("/arm_controller/joint_trajectory", "trajectory_msgs/msg/JointTrajectory"),
        ("/cmd_vel", "geometry_msgs/msg/Twist"),
        ("/arm_cmd", STATE),
        ("/goal_pose", "geometry_msgs/msg/PoseStamped"),
        ("/joy", "sensor_msgs/msg/Joy"),
        ("/anything", COMMAND),
        ("/arx/move", STATE),
    ],
)
def test_what_tells_an_arm_to_move_is_held_back(moving: Callable[..., BagReader], name: str, kind: str) -> None:
    facts = EpisodeFacts(names={"driver/command": "/arx/move"})
    bag = moving({name: kind, "/joint_states": STATE}, facts)
    plan = plan_playing(bag, Choice())
    assert (list(plan.topics), plan.held_back) == (["/joint_states"], (name,))
    with pytest.raises(ConfigError, match=f"{name} would command something. Add --commands"):
        plan_playing(bag, Choice(topics=(name,)))
    assert set(plan_playing(bag, Choice(commands=True, clock=False)).topics) == {name, "/joint_states"}


def test_no_observation_of_the_contract_is_taken_for_a_command(moving: Callable[..., BagReader]) -> None:
    topics = {
        "/head/color/image_raw": "sensor_msgs/msg/Image",
        "/head/color/image_raw/compressed": "sensor_msgs/msg/CompressedImage",
        "/head/color/camera_info": "sensor_msgs/msg/CameraInfo",
        "/head/color/frame_info": "vla_mbpo_ros/msg/FrameInfo",
        "/joint_states": STATE,
        "/sim/joint_states": STATE,
        "/robot/safety_state": "vla_mbpo_ros/msg/SafetyState",
        "/control_source": TEXT,
        "/instruction": TEXT,
        "/executor/status": "vla_mbpo_ros/msg/ExecutorStatus",
        "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
    }
    assert not commands_of(moving(topics))


def test_two_clocks_are_never_played(moving: Callable[..., BagReader]) -> None:
    bag = moving({"/clock": "rosgraph_msgs/msg/Clock", "/joint_states": STATE})
    assert "/clock" not in plan_playing(bag, Choice(commands=True)).topics
    assert "/clock" in plan_playing(bag, Choice(commands=True, clock=False)).topics


def test_a_bag_of_commands_alone_says_so(moving: Callable[..., BagReader]) -> None:
    with pytest.raises(BagError, match="nothing but commands to play"):
        plan_playing(moving({"/joint_command": COMMAND}), Choice())


# -- stamps ----------------------------------------------------------------------------------------------------------


@given(stamp_ns=st.integers(-(2**31) * 10**9, (2**31 - 1) * 10**9), big=st.booleans(), rest=st.binary(max_size=40))
def test_a_new_stamp_is_read_back_and_nothing_else_changes(stamp_ns: int, big: bool, rest: bytes) -> None:
    data = bytes([0, not big, 0, 0]) + bytes(8) + rest
    changed = restamped(memoryview(data), stamp_ns)
    assert stamp_of_cdr(changed) == stamp_ns
    assert (changed[:4], changed[12:]) == (data[:4], rest)
    assert restamped(changed, 0) == data


@pytest.mark.parametrize(
    ("data", "stamp_ns"), [(b"", 0), (b"\x00\x01\x00\x00\x00", 0), (b"\x07\x01" + bytes(20), 0), (bytes(12), 2**62)]
)
def test_what_has_no_stamp_is_refused(data: bytes, stamp_ns: int) -> None:
    with pytest.raises(ContractError, match="stamp"):
        restamped(data, stamp_ns)


def test_only_messages_that_begin_with_a_time_are_stamped(bag: BagReader) -> None:
    assert plan_playing(bag, Choice()).stamped == {"/joint_states", "/head/color/frame_info"}


# -- what is offered, what is refused ----------------------------------------------------------------------------------


def test_as_much_is_offered_as_any_publisher_offered(tmp_path: Path) -> None:
    few, latched = Qos(reliability="best_effort", depth=3), Qos(durability="transient_local", depth=1)
    with BagWriter(tmp_path / "bag") as writer:
        for name, recorded in {"/a": (), "/b": (few,), "/c": (few, latched), "/d": (few, Qos(depth=5))}.items():
            writer.add_topic(name, TEXT, recorded)
            writer.write(name, b"", 1)
    qos = plan_playing(BagReader(tmp_path / "bag"), Choice()).qos
    assert qos["/a"] == Qos()
    assert (qos["/b"].reliability, qos["/b"].depth) == ("best_effort", 3)
    assert (qos["/c"].reliability, qos["/c"].durability, qos["/c"].depth) == ("reliable", "transient_local", 3)
    assert (qos["/d"].reliability, qos["/d"].depth) == ("reliable", 5)


@pytest.mark.parametrize(
    "choice",
    [{"rate": 0.0}, {"rate": float("inf")}, {"start_s": -1.0}, {"start_s": float("nan")}, {"duration_s": 0.0}],
)
def test_impossible_choices_are_refused(choice: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="Give"):
        Choice(**choice)


def test_what_is_not_in_the_bag_is_refused(bag: BagReader) -> None:
    with pytest.raises(UnknownName, match="Did you mean '/joint_states'"):
        plan_playing(bag, Choice(topics=("/joint_state",)))
    with pytest.raises(BagError, match="no message there to play"):
        plan_playing(bag, Choice(start_s=100.0))


def test_topics_that_cannot_be_played_here_are_named(bag: BagReader) -> None:
    plan = plan_playing(bag, Choice()).without({"/instruction": "not installed"})
    assert plan.skipped == {"/instruction": "not installed"}
    assert {item.topic for item in plan.items()} == {"/joint_states", "/head/color/frame_info"}
    with pytest.raises(BagError, match="/joint_states: odd"):
        plan.without(dict.fromkeys(plan.topics, "odd"))
