from collections.abc import Callable
from pathlib import Path

import pytest

from vla_mbpo_ros.data.bags import BagWriter, check_topics
from vla_mbpo_ros.robots.contract import Topic

INFO = "vla_mbpo_ros/msg/FrameInfo"
STATE = "sensor_msgs/msg/JointState"
TEXT = "std_msgs/msg/String"
Row = tuple[str, int, bytes]  # topic, log time [ns], CDR

CONTRACT = (
    Topic("joint_states", STATE, "state", 10.0),
    Topic("head/color/frame_info", INFO, "event", 5.0),
    Topic("instruction", TEXT, "latched"),
    Topic("estop", "std_msgs/msg/Bool", "latched"),
)


def without(rows: list[Row], topic: str, places: range) -> list[Row]:
    """`rows` without the messages of `topic` at `places` of its own count."""
    mine = [row for row in rows if row[0] == topic]
    gone = {id(mine[place]) for place in places}
    return [row for row in rows if id(row) not in gone]


def test_a_good_bag_is_ok_and_measured_in_its_own_time(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    report = check_topics(write_bag(rows), CONTRACT)
    assert report.ok, report.problems
    states, infos, *_ = report.topics
    assert (states.count, infos.count) == (100, 50)
    assert (states.hz, infos.hz) == (pytest.approx(10.0), pytest.approx(5.0))
    assert states.largest_gap_periods == pytest.approx(1.0)
    assert (states.lost, infos.lost) == (0, 0)
    assert report.as_dict()["ok"] is True


def test_wall_time_does_not_matter(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    quick = [(topic, 10**9 + (log_ns - 10**9) // 50, data) for topic, log_ns, data in rows]
    report = check_topics(write_bag(quick), CONTRACT)
    assert report.ok, report.problems
    assert report.topics[0].hz == pytest.approx(10.0)


def test_a_gap_is_found_with_its_place_and_size(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    report = check_topics(write_bag(without(rows, "/joint_states", range(30, 33))), CONTRACT)
    assert report.problems == ("joint_states: a gap of 4.0 periods at 2.90 s.",)
    assert report.topics[0].largest_gap_periods == pytest.approx(4.0)


def test_one_lost_frame_is_counted_by_its_number(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    report = check_topics(write_bag(without(rows, "/head/color/frame_info", range(20, 21))), CONTRACT)
    assert report.topics[1].lost == 1
    assert "head/color/frame_info: 1 messages are missing, by their numbers, the first after 3.80 s." in report.problems
    assert "head/color/frame_info: a gap of 2.0 periods at 3.80 s." in report.problems


def test_losses_are_counted_by_the_publishers_sequence_numbers(
    start_bag: Callable[..., BagWriter], tmp_path: Path, rows: list[Row]
) -> None:
    bag = start_bag(tmp_path / "bag")
    for topic, log_ns, data in rows:
        number = log_ns // 10**8  # two are missing in the count, though their time is covered
        bag.write(topic, data, log_ns, sequence=number + 2 * (number > 50) if topic == "/joint_states" else 0)
    bag.close()
    report = check_topics(tmp_path / "bag", CONTRACT)
    assert report.topics[0].lost == 2


def test_two_publishers_on_one_topic_are_not_taken_for_losses(
    start_bag: Callable[..., BagWriter], tmp_path: Path, rows: list[Row]
) -> None:
    bag = start_bag(tmp_path / "bag")
    for number, (topic, log_ns, data) in enumerate(rows):
        bag.write(topic, data, log_ns, sequence=number // 2 + 1000 * (number % 2))
    bag.close()
    assert check_topics(tmp_path / "bag", CONTRACT).ok


def test_what_the_recorder_said_it_lost_counts(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, custom={"lost": '{"/joint_states": 4}'})
    assert check_topics(path, CONTRACT).topics[0].lost == 4


def test_missing_topics_are_named(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag([row for row in rows if row[0] != "/instruction"])
    wanted = (*CONTRACT, Topic("sim/state", "vla_mbpo_ros/msg/SimState", "event", 10.0))
    report = check_topics(path, wanted)
    assert report.problems == ("instruction: no message.", "sim/state: is not in the bag.")


def test_a_source_that_stops_or_starts_in_the_middle_is_found(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    late = check_topics(write_bag(without(rows, "/head/color/frame_info", range(0, 20))), CONTRACT)
    assert late.problems == ("head/color/frame_info: starts 4.00 s after the first message of the bag.",)
    early = check_topics(write_bag(without(rows, "/joint_states", range(60, 100)), "early"), CONTRACT)
    assert early.problems == ("joint_states: ends 3.90 s before the last message of the bag.",)


def test_commands_may_start_late_for_somebody_must_take_the_lease_first(
    write_bag: Callable[..., Path], rows: list[Row]
) -> None:
    contract = (Topic("joint_states", STATE, "command", 10.0), *CONTRACT[1:])
    assert check_topics(write_bag(without(rows, "/joint_states", range(0, 40))), contract).ok


def test_a_wrong_rate_and_a_wrong_type_are_named(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    contract = (Topic("joint_states", STATE, "state", 8.0), Topic("instruction", STATE, "latched"))
    problems = check_topics(write_bag(rows), contract).problems
    assert problems[0] == "joint_states: 10.00 Hz instead of 8 Hz."
    assert problems[1] == "instruction: is a std_msgs/msg/String, the contract says sensor_msgs/msg/JointState."


def test_time_that_goes_backwards_is_named(
    write_bag: Callable[..., Path], rows: list[Row], cdr: Callable[..., bytes]
) -> None:
    place = next(index for index, row in enumerate(rows) if row[1] == 4 * 10**9 and row[0] == "/joint_states")
    rows[place] = ("/joint_states", 4 * 10**9, cdr(STATE, 39 * 10**8 - 1))
    problems = check_topics(write_bag(rows), CONTRACT).problems
    assert "joint_states: time goes backwards once at 3.00 s by 0.000 s." in problems


def test_cameras_that_fall_between_ticks_of_the_simulator_have_no_gap(
    tmp_path: Path, cdr: Callable[..., bytes]
) -> None:
    """At 10 Hz and 15 ticks/s a frame comes after one or two ticks: 1.33 periods; at 14 Hz, 1.87 periods."""
    clock = "rosgraph_msgs/msg/Clock"
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/clock", clock)
        bag.add_topic("/joint_states", STATE)
        for tick in range(150):
            now_ns = tick * 10**9 // 15
            bag.write("/clock", cdr(clock, now_ns), now_ns)
            if tick % 15 != 14:
                bag.write("/joint_states", cdr(STATE, now_ns), now_ns)
    contract = (Topic("/clock", clock, "event", 15.0), Topic("joint_states", STATE, "state", 14.0))
    assert check_topics(tmp_path / "bag", contract).ok


def test_topics_below_a_namespace_or_under_another_name_are_found(tmp_path: Path, rows: list[Row]) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/lab/arm/joints", STATE)
        for topic, log_ns, data in rows:
            if topic == "/joint_states":
                bag.write("/lab/arm/joints", data, log_ns)
    names = {"joint_states": "arm/joints"}
    assert check_topics(tmp_path / "bag", CONTRACT[:1], "/lab", names=names).ok


def test_a_bag_that_was_not_closed_is_not_ok(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows)
    (path / "metadata.yaml").unlink()
    assert check_topics(path, CONTRACT).problems == ("The bag was not closed: its last moments may be missing.",)
