"""Every fault that a real recording may have, put into a good one: the check names the topic, when and how much."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_mbpo_ros.data.bags import BagWriter, check_topics
from vla_mbpo_ros.data.bags.clocks import JUMP_S, find_jumps, other_epoch_s
from vla_mbpo_ros.data.bags.frozen import Pictures, runs, standing
from vla_mbpo_ros.data.bags.report import BagReport, check_any, check_bag
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.robots.contract import Topic

STATE, INFO, IMAGE = "sensor_msgs/msg/JointState", "vla_mbpo_ros/msg/FrameInfo", "sensor_msgs/msg/Image"
CHUNK, COMMAND = "vla_mbpo_ros/msg/ActionChunk", "vla_mbpo_ros/msg/JointCommand"
ROBOT = get_robot("arx_x5")
PICTURE, COUNTER, JOINTS = "/head/color/image_raw", "/head/color/frame_info", "/joint_states"
CONTRACT = (
    Topic("head/color/image_raw", IMAGE, "image", 10.0),
    Topic("head/color/frame_info", INFO, "event", 10.0),
    Topic("joint_states", STATE, "state", 10.0),
)
START_NS, PERIOD_NS, TICKS = 2 * 10**18, 10**8, 60
SECOND = 10**9


@dataclass
class Shot:
    """One message before it is written."""

    topic: str
    type: str
    log_ns: int
    stamp_ns: int
    fields: dict[str, Any] = field(default_factory=dict)


def shots() -> list[Shot]:
    """Six seconds of a robot that is well: 10 Hz each; a message takes a millisecond. Three shots a tick."""
    random = np.random.default_rng(7)
    made = []
    for tick in range(TICKS):
        stamp_ns = START_NS + tick * PERIOD_NS
        pixels = random.integers(0, 256, 6 * 8 * 3, dtype=np.uint8)
        picture = {"height": 6, "width": 8, "encoding": "rgb8", "step": 24, "data": pixels}
        state = {"name": list(ROBOT.names), "position": [0.01 * tick] * 14, "velocity": [0.1] * 14}
        made += [
            Shot(PICTURE, IMAGE, stamp_ns + 10**6, stamp_ns, picture),
            Shot(COUNTER, INFO, stamp_ns + 10**6, stamp_ns, {"frame_number": 100 + tick}),
            Shot(JOINTS, STATE, stamp_ns + 10**6, stamp_ns, state),
        ]
    return made


def of(topic: str, made: list[Shot], first: int = 0, last: int = TICKS) -> list[Shot]:
    return [shot for shot in made if shot.topic == topic][first:last]


@pytest.fixture
def check(tmp_path: Path, cdr: Callable[..., bytes]) -> Callable[..., BagReport]:
    """check(shots, **facts) -> the report on a bag of them."""

    def write(made: list[Shot], **facts: str) -> BagReport:
        with BagWriter(tmp_path / "bag") as bag:
            for topic, kind in dict.fromkeys((shot.topic, shot.type) for shot in made):
                bag.add_topic(topic, kind)
            for shot in made:
                bag.write(shot.topic, cdr(shot.type, shot.stamp_ns, **shot.fields), shot.log_ns)
            bag.close({"robot": "arx_x5", "robot_id": "arx_x5", **facts})
        return check_topics(tmp_path / "bag", CONTRACT)

    return write


def test_a_good_recording_has_no_fault(check: Callable[..., BagReport]) -> None:
    report = check(shots())
    assert report.problems == ()
    assert report.notes == ()


# -- frozen cameras --------------------------------------------------------------------------------------------------


def test_a_real_camera_that_repeats_its_picture_is_frozen(check: Callable[..., BagReport]) -> None:
    made = shots()
    still = of(PICTURE, made, 20, 31)
    for shot in still:
        shot.fields = still[0].fields
    expected = "the same picture for 1.00 s (11 messages) from 2.00 s, while its frame numbers go on."
    assert check(made).problems == (f"head/color/image_raw: is frozen: {expected}",)


def test_a_driver_that_repeats_its_last_frame_repeats_its_number(check: Callable[..., BagReport]) -> None:
    made = shots()
    for topic in (PICTURE, COUNTER):
        still = of(topic, made, 20, 31)
        for shot in still:
            shot.fields = still[0].fields
    picture, lost, counter = check(made).problems
    assert picture.endswith("from 2.00 s, and its frame number too.")
    assert counter == "head/color/frame_info: the frame number stands still for 1.00 s (11 messages) from 2.00 s."
    # the next new frame comes with the number that the camera has counted on to
    assert lost == "head/color/frame_info: 10 messages are missing, by their numbers, the first after 3.00 s."


def test_a_short_repetition_is_younger_than_the_age_limit(check: Callable[..., BagReport]) -> None:
    made = shots()
    still = of(PICTURE, made, 20, 23)
    for shot in still:
        shot.fields = still[0].fields
    assert check(made).ok


def test_in_a_simulation_a_still_scene_is_no_fault_but_a_standing_number_is(check: Callable[..., BagReport]) -> None:
    made = shots()
    for shot in of(PICTURE, made):
        shot.fields = made[0].fields
    for shot in of(COUNTER, made, 20, 31):
        shot.fields = {"frame_number": 120}
    report = check(made, simulated="true")
    assert [text for text in report.problems if "missing" not in text] == [
        "head/color/frame_info: the frame number stands still for 1.00 s (11 messages) from 2.00 s."
    ]
    assert "the frame numbers decide what is frozen" in report.notes[0]


def test_pictures_with_one_stamp_are_one_picture(check: Callable[..., BagReport]) -> None:
    made = shots()
    for shot in of(PICTURE, made, 20, 31):
        shot.stamp_ns = START_NS + 20 * PERIOD_NS
    problems = check(made).problems
    assert "head/color/image_raw: is frozen: the same stamp for 1.00 s (11 messages) from 2.00 s." in problems


def test_a_picture_that_the_camera_counted_and_nobody_recorded_is_missed(check: Callable[..., BagReport]) -> None:
    made = shots()
    made.remove(of(PICTURE, made)[25])
    problems = check(made).problems
    assert problems == (
        "head/color/image_raw: a gap of 2.0 periods at 2.40 s.",
        "head/color/image_raw: 1 pictures that its camera counted are missing, the first at 2.50 s.",
    )


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_runs_of_equal_pictures_are_what_one_would_count_by_hand(colours: list[int]) -> None:
    pictures = Pictures()
    for colour in colours:
        pictures.add(np.full(10_000, colour, dtype=np.uint8))
    assert pictures.same == standing(colours)
    times_ns = [index * PERIOD_NS for index in range(len(colours))]
    found = {index for run in runs(pictures.same, times_ns) for index in range(run.first, run.last + 1)}
    for index, colour in enumerate(colours):
        first, last = index, index
        while first and colours[first - 1] == colour:
            first -= 1
        while last + 1 < len(colours) and colours[last + 1] == colour:
            last += 1
        assert (index in found) == (last - first >= 3)  # four at 10 Hz last 0.3 s; three last 0.2 s, not longer


@given(st.integers(0, 9_999))
def test_one_byte_makes_a_different_picture(place: int) -> None:
    pictures, changed = Pictures(), np.zeros(10_000, dtype=np.uint8)
    changed[place] = 1
    pictures.add(np.zeros(10_000, dtype=np.uint8))
    pictures.add(changed)
    assert pictures.same == [False, False]


# -- clocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_s", [0.3, -0.3, 5.0, -5.0])
def test_a_clock_that_jumps_is_named_once_with_its_size(check: Callable[..., BagReport], size_s: float) -> None:
    made = shots()
    for shot in of(JOINTS, made, 30):
        shot.stamp_ns += round(size_s * SECOND)
    assert check(made).problems == (f"joint_states: its clock jumps once at 3.00 s by {size_s:+.2f} s.",)


def test_messages_that_come_late_and_catch_up_are_no_jump(check: Callable[..., BagReport]) -> None:
    made = shots()
    for late, shot in enumerate(of(JOINTS, made, 30, 35)):
        shot.log_ns = START_NS + 34 * PERIOD_NS + PERIOD_NS // 2 + late * 10**6
    assert check(sorted(made, key=lambda shot: shot.log_ns)).ok


def test_stamps_of_another_clock_are_named_and_the_rest_is_judged_without_them(
    check: Callable[..., BagReport],
) -> None:
    made = shots()
    for shot in of(JOINTS, made):
        shot.stamp_ns -= START_NS - 77 * SECOND  # since the sender was switched on
    assert check(made).problems == ("joint_states: its stamps are of another clock, 2e+09 s behind the bag's.",)


def test_a_header_that_nobody_filled_is_named(check: Callable[..., BagReport]) -> None:
    made = shots()
    for shot in of(JOINTS, made):
        shot.stamp_ns = 0
    assert check(made).problems == ("joint_states: all its 60 stamps are 0.",)


delays = st.lists(st.floats(0.0, 0.09), min_size=30, max_size=60)


@given(delays, st.floats(-100.0, 100.0), st.integers(10, 20))
def test_every_jump_is_found_where_it_is_whatever_messages_take(
    delay_s: list[float], size_s: float, place: int
) -> None:
    stamps = [START_NS + index * PERIOD_NS for index in range(len(delay_s))]
    logs = [stamp + round(delay * SECOND) for stamp, delay in zip(stamps, delay_s, strict=True)]
    assert find_jumps(stamps, logs) == ()
    jumped = [stamp + round(size_s * SECOND) * (index >= place) for index, stamp in enumerate(stamps)]
    found = find_jumps(jumped, logs)
    if abs(size_s) > 2 * JUMP_S + 0.09:
        assert [jump.index for jump in found] == [place]
        assert found[0].size_s == pytest.approx(size_s, abs=0.1)


@given(st.floats(0.01, 100.0))
def test_a_bag_written_at_another_speed_has_no_jump(speed: float) -> None:
    stamps = [index * PERIOD_NS for index in range(50)]
    assert find_jumps(stamps, [round(stamp / speed) for stamp in stamps]) == ()


def test_a_topic_without_messages_has_no_clock() -> None:
    assert find_jumps([], []) == ()
    assert other_epoch_s([], []) == 0.0


# -- content ---------------------------------------------------------------------------------------------------------


def test_a_joint_state_that_is_not_a_number_is_named(check: Callable[..., BagReport]) -> None:
    made = shots()
    for shot in of(JOINTS, made, 30, 33):
        shot.fields = {**shot.fields, "position": [0.0, math.nan, *[0.0] * 12]}
    expected = "3 times, first at 3.00 s: A joint state's position is nan for left_joint2."
    assert check(made).problems == (f"joint_states: {expected}",)


def test_joint_states_with_wrong_names_are_named(check: Callable[..., BagReport]) -> None:
    made = shots()
    for shot in of(JOINTS, made):
        shot.fields = {**shot.fields, "name": ["elbow", *ROBOT.names[1:]]}
    (problem,) = check(made).problems
    assert problem.startswith("joint_states: 60 times, first at 0.00 s: arx_x5 has 14 joints")
    assert "unknown: elbow" in problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoding": "bayer_rggb8"}, "The image encoding 'bayer_rggb8' is not known."),
        ({"step": 20}, "has step 20 and 144 bytes"),
        ({"step": 32}, "has step 32 and 144 bytes"),
        ({"height": 5}, "has step 24 and 144 bytes"),
    ],
)
def test_a_picture_of_a_wrong_form_is_named(
    check: Callable[..., BagReport], change: dict[str, Any], words: str
) -> None:
    made = shots()
    shot = of(PICTURE, made)[40]
    shot.fields = {**shot.fields, **change}
    (problem,) = check(made).problems
    assert problem.startswith("head/color/image_raw: at 4.00 s: ")
    assert words in problem


def test_padded_rows_are_good_and_a_change_of_size_is_told(check: Callable[..., BagReport]) -> None:
    made = shots()
    padded = {"height": 6, "width": 8, "encoding": "rgb8", "step": 32}
    for tick, shot in enumerate(of(PICTURE, made)):
        shot.fields = {**padded, "data": np.full(6 * 32, tick, dtype=np.uint8)}
    other = of(PICTURE, made)[40]
    other.fields = {**other.fields, "height": 4, "width": 10, "step": 48}
    assert check(made).problems == (
        "head/color/image_raw: 2 times, first at 4.00 s: An image is 10 x 4 rgb8, the one before was 8 x 6 rgb8.",
    )


def test_a_chunk_for_another_robot_is_named(check: Callable[..., BagReport], tmp_path: Path) -> None:
    made = [shot for shot in shots() if shot.topic == JOINTS]
    chunk = {"chunk_id": 9, "robot_id": "galaxea_r1", "names": list(ROBOT.names), "horizon": 1}
    topic = Topic("policy/action_chunk", CHUNK, "event")
    check([*made, Shot("/policy/action_chunk", CHUNK, made[10].log_ns, made[10].stamp_ns, chunk)])
    (problem,) = check_topics(tmp_path / "bag", (CONTRACT[2], topic)).problems
    assert problem == ("policy/action_chunk: at 1.00 s: Chunk 9 is for the robot 'galaxea_r1', this is 'arx_x5'.")


def test_a_chunk_that_is_not_finite_is_named(check: Callable[..., BagReport], tmp_path: Path) -> None:
    made = [shot for shot in shots() if shot.topic == JOINTS]
    values = [0.0] * 28
    values[14 + 3] = math.inf
    chunk = {"chunk_id": 9, "robot_id": "arx_x5", "names": list(ROBOT.names), "modes": [0] * 14}
    chunk = {**chunk, "horizon": 2, "values": values}
    check([*made, Shot("/policy/action_chunk", CHUNK, made[10].log_ns, made[10].stamp_ns, chunk)])
    topic = Topic("policy/action_chunk", CHUNK, "event")
    (problem,) = check_topics(tmp_path / "bag", (CONTRACT[2], topic)).problems
    assert problem == "policy/action_chunk: at 1.00 s: Chunk 9 is inf for left_joint4 at step 1."


def test_a_topic_beyond_the_contract_is_looked_into_as_well(check: Callable[..., BagReport]) -> None:
    """Joints of another arm may have any names; they must be numbers."""
    other = [Shot("/leader/joint_states", STATE, shot.log_ns, shot.stamp_ns) for shot in of(JOINTS, shots())]
    for shot in other:
        shot.fields = {"name": ["a", "b"], "position": [0.0, math.inf]}
    report = check([*shots(), *other])
    assert report.problems == (
        "/leader/joint_states: 60 times, first at 0.00 s: A joint state's position is inf for b.",
    )
    assert [topic.name for topic in report.topics][-1] == "/leader/joint_states"


def test_a_type_that_nobody_understands_is_named_and_the_rest_is_checked(
    check: Callable[..., BagReport], tmp_path: Path
) -> None:
    """The text of a definition is damaged in the file itself."""
    made = shots()
    made[5].fields = {**made[5].fields, "position": [math.nan] * 14}
    check(made)
    file = tmp_path / "bag" / "bag_0.mcap"
    content = file.read_bytes()
    damaged = content.replace(b"uint64 frame_number", b"u#nt64 frame_number")
    assert damaged != content
    file.write_bytes(damaged)
    problems = check_topics(tmp_path / "bag", CONTRACT).problems
    assert any(text.startswith("head/color/frame_info: its messages cannot be read:") for text in problems)
    assert any("joint state's position is nan" in text for text in problems)


def test_bytes_that_do_not_fit_their_type_are_named(tmp_path: Path, cdr: Callable[..., bytes]) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/joint_states", STATE)
        for shot in of(JOINTS, shots()):
            data = cdr(STATE, shot.stamp_ns, **shot.fields)
            bag.write("/joint_states", data if shot.log_ns % (10 * PERIOD_NS) > 10**6 else data[:40], shot.log_ns)
    (problem,) = check_topics(tmp_path / "bag", CONTRACT[2:]).problems
    assert problem.startswith(f"joint_states: 6 times, first at 0.00 s: A message of type {STATE} cannot be decoded")


# -- foreign bags ----------------------------------------------------------------------------------------------------


def test_a_bag_without_a_robot_gets_general_checks_and_says_so(check: Callable[..., BagReport], tmp_path: Path) -> None:
    made = shots()
    for shot in of(JOINTS, made, 30):
        shot.stamp_ns += 5 * SECOND
    check(made, robot="", robot_id="")
    report = check_bag(tmp_path / "bag")
    assert report.problems == ("/joint_states: its clock jumps once at 3.00 s by +5.00 s.",)
    assert report.notes == ("It does not say of which robot it is: its contract and rates are not known.",)
    assert {topic.expected_hz for topic in report.topics} == {0.0}


def test_robot_supplies_the_contract_of_a_bag_that_names_none(check: Callable[..., BagReport], tmp_path: Path) -> None:
    check(shots(), robot="", robot_id="")
    problems = check_bag(tmp_path / "bag", "arx_x5").problems
    assert "joint_states: 10.00 Hz instead of 15 Hz." in problems
    assert "left_wrist/color/image_raw: is not in the bag." in problems
    assert not any(text.startswith("sim/state") for text in problems)  # nothing in it is simulated


def test_a_bag_of_an_unknown_robot_says_so_and_gets_general_checks(
    check: Callable[..., BagReport], tmp_path: Path
) -> None:
    check(shots(), robot="arx_x6")
    report = check_bag(tmp_path / "bag")
    assert report.problems == ("Its contract is not known: Unknown robot 'arx_x6'. Did you mean 'arx_x5'?",)
    assert len(report.topics) == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [("lost", "many"), ("lost", "[1, 2]"), ("outcome", "great"), ("camera_hz", "7"), ("interventions", "{")],
)
def test_facts_that_make_no_sense_are_a_problem_not_an_error(
    check: Callable[..., BagReport], tmp_path: Path, name: str, text: str
) -> None:
    check(shots(), robot="")
    from vla_mbpo_ros.data.bags import update_custom_data

    update_custom_data(tmp_path / "bag", {name: text, "robot": "arx_x5"})
    report = check_any(tmp_path / "bag")
    assert not report.ok
    assert all(isinstance(problem, str) and problem for problem in report.problems)


def test_numbers_that_a_recorder_counts_over_all_topics_are_no_losses(
    tmp_path: Path, cdr: Callable[..., bytes]
) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        for topic, kind in ((PICTURE, IMAGE), (COUNTER, INFO), (JOINTS, STATE)):
            bag.add_topic(topic, kind)
        for number, shot in enumerate(shots()):
            bag.write(shot.topic, cdr(shot.type, shot.stamp_ns, **shot.fields), shot.log_ns, sequence=number + 1)
    assert check_bag(tmp_path / "bag").problems == ()


# -- damaged ---------------------------------------------------------------------------------------------------------


def test_a_bag_that_cannot_be_read_to_its_end_is_judged_as_far_as_it_goes(
    check: Callable[..., BagReport], tmp_path: Path
) -> None:
    check(shots())
    file = tmp_path / "bag" / "bag_0.mcap"
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.write_bytes(content)
    report = check_topics(tmp_path / "bag", CONTRACT)
    assert any("cannot be read to its end" in problem or "not closed" in problem for problem in report.problems)


def test_any_bytes_give_a_report(tmp_path: Path) -> None:
    file = tmp_path / "noise.mcap"

    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=300), st.booleans())
    def one(noise: bytes, magic: bool) -> None:
        file.write_bytes(b"\x89MCAP0\r\n" * magic + noise)
        report = check_any(file)
        assert not report.ok
        assert report.problems[0]

    one()
