"""The recorder live: compressed colour, splits, snapshots, interventions, buttons, the terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from live_graph import LiveGraph
from rclpy.action import ActionClient
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool, String

from vla_mbpo_ros.action import RunEpisode
from vla_mbpo_ros.bringup.episodes import run_episode
from vla_mbpo_ros.data.bags import BagReader, check_bag
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.messages import decode_compressed, encode_command, to_ns
from vla_mbpo_ros.msg import EpisodeStatus, JointCommand, SimState
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.schema import Command
from vla_mbpo_ros.srv import SaveSnapshot, StartEpisode, StopEpisode

pytestmark = pytest.mark.ros
CAMERAS = ("head", "left_wrist", "right_wrist")
JPEG = tuple(f"cameras.{name}.jpeg_quality=85" for name in CAMERAS)
LATCHED = ("/instruction", "/control_source", "/head/color/camera_info", "/robot/safety_state")
A_BUTTON = "/joycon/functional_buttons/a_button"


@pytest.fixture(scope="module")
def live(start_graph: Callable[..., LiveGraph]) -> LiveGraph:
    """The twin acts; compressed colour in short files, three seconds in memory, buttons."""
    recorder = ("recorder.color=compressed", "recorder.split_s=1.5", "recorder.snapshot_s=3.0")
    others = ("operator.enabled=true", "operator.debounce_s=0.05", "sim.realtime_factor=4.0")
    return start_graph(sim=True, set=(*JPEG, *recorder, *others))


@pytest.fixture(scope="module")
def statuses(live: LiveGraph) -> list[EpisodeStatus]:
    return live.listen(EpisodeStatus, "recorder/status", profile=qos.LATCHED)


@pytest.fixture(scope="module")
def feedback(live: LiveGraph) -> list[String]:
    return live.listen(String, "operator/feedback", profile=qos.LATCHED)


@pytest.fixture(scope="module")
def joystick(live: LiveGraph) -> Iterator[Callable[[int], None]]:
    """Press one button and let it go."""
    publisher = live.publisher(Joy, "joy")

    def press(button: int) -> None:
        for down in (0, 1, 0):
            publisher.publish(Joy(buttons=[down * (number == button) for number in range(6)]))
            live.spin(0.1)

    yield press
    live.node.destroy_publisher(publisher)


def facts_of(path: Path | str) -> EpisodeFacts:
    return EpisodeFacts.from_custom_data(BagReader(Path(path)).custom_data, str(path))


def bags(live: LiveGraph) -> set[Path]:
    return set(Path(live.graph.config.recorder.folder).iterdir())


def said(feedback: list[String], *words: str) -> bool:
    return any(all(word in message.data for word in words) for message in feedback)


# -- snapshots, while the policy acts -----------------------------------------------------------------------------


def test_the_last_seconds_become_a_whole_bag_that_says_why(live: LiveGraph, statuses: list[EpisodeStatus]) -> None:
    sources = live.listen(String, "control_source", profile=qos.LATCHED)
    live.until(lambda: sources and sources[-1].data == "policy", "the policy in control")
    began_ns = to_ns(statuses[-1].header.stamp)
    live.until(lambda: to_ns(statuses[-1].header.stamp) - began_ns > 4e9, "three seconds in memory")
    assert statuses[-1].snapshot_s > 2.8
    request = SaveSnapshot.Request(note="the cube slipped", outcome=EpisodeStatus.FAILURE)
    kept = live.call(SaveSnapshot, "recorder/snapshot", request)
    assert kept.success, kept.message
    bag, facts = BagReader(Path(kept.bag_path)), facts_of(kept.bag_path)
    assert bag.complete
    assert facts.note.startswith("Snapshot of the last ")
    assert facts.note.endswith("s: the cube slipped")
    assert (facts.episode_id, facts.outcome, facts.lost) == (kept.episode_id, "failure", {})
    assert 2.5 < (bag.end_ns - bag.start_ns) * 1e-9 < 3.1  # a message may overtake the tick before it
    assert check_bag(bag.path).problems == ()
    assert set(LATCHED) <= {message.topic for message in bag.messages()}


def test_a_snapshot_is_refused_while_an_episode_is_recorded(live: LiveGraph) -> None:
    assert live.call(StartEpisode, "recorder/start", StartEpisode.Request()).success
    refused = live.call(SaveSnapshot, "recorder/snapshot", SaveSnapshot.Request())
    assert not refused.success
    assert "is being recorded and has what a snapshot would have" in refused.message
    assert live.call(StopEpisode, "recorder/stop", StopEpisode.Request()).success


# -- who commanded ------------------------------------------------------------------------------------------------


def test_a_human_who_takes_the_lease_leaves_a_mark(live: LiveGraph) -> None:
    sources = live.listen(String, "control_source", profile=qos.LATCHED)
    publisher = live.publisher(JointCommand, "joint_command")
    robot = replace(live.graph.robot, robot_id="arx_x5-sim")
    ticks = live.listen(SimState, "sim/state")
    live.until(lambda: sources and sources[-1].data == "policy" and ticks, "the policy in control")
    began = live.call(StartEpisode, "recorder/start", StartEpisode.Request())
    answering = True

    def answer(state: SimState) -> None:
        if answering:
            command = Command(to_ns(state.header.stamp), "human", robot.home + 0.01, 0, -1)
            publisher.publish(encode_command(command, robot, JointCommand))

    live.spin(0.3)
    subscription = live.node.create_subscription(SimState, "sim/state", answer, qos.EVENT)
    live.until(lambda: sources[-1].data == "human", "the human in control")
    live.spin(0.3)
    answering = False
    live.until(lambda: sources[-1].data == "policy", "the policy in control again")
    live.spin(0.2)
    assert live.call(StopEpisode, "recorder/stop", StopEpisode.Request()).success
    live.node.destroy_subscription(subscription)
    live.node.destroy_publisher(publisher)
    bag, facts = BagReader(Path(began.bag_path)), facts_of(began.bag_path)
    ((source, start_s, end_s),) = facts.interventions
    assert source == "human"
    executed = [bag.decode(message) for message in bag.messages(["/robot/executed_command"])]
    by_human = [to_ns(command.header.stamp) for command in executed if command.source == "human"]
    assert len(by_human) > 5
    start_ns = next(iter(bag.messages())).log_ns
    assert abs((by_human[0] - start_ns) * 1e-9 - start_s) < 0.3
    assert end_s - start_s > (by_human[-1] - by_human[0]) * 1e-9 - 0.3


# -- buttons ------------------------------------------------------------------------------------------------------


def test_a_joystick_starts_and_stops_a_bag(
    live: LiveGraph, joystick: Callable[[int], None], feedback: list[String], statuses: list[EpisodeStatus]
) -> None:
    before = bags(live)
    joystick(1)
    live.until(lambda: said(feedback, "success ends nothing"), "the feedback that there is no bag")
    joystick(0)
    live.until(lambda: statuses[-1].state == EpisodeStatus.RECORDING, "the recorder to record")
    joystick(0)
    live.until(lambda: said(feedback, "is being recorded already"), "the feedback that it records")
    joystick(2)
    live.until(lambda: statuses[-1].state == EpisodeStatus.IDLE, "the bag to be closed")
    (path,) = bags(live) - before
    facts = facts_of(path)
    assert (facts.outcome, facts.note) == ("failure", "By a button.")
    live.until(lambda: said(feedback, "stop failure: ", path.name), "the feedback")
    assert "stop failure: " in live.log("operator_node")


def test_a_button_discards_and_one_of_joylo_starts_and_ends_with_success(
    live: LiveGraph, joystick: Callable[[int], None], statuses: list[EpisodeStatus], feedback: list[String]
) -> None:
    before = bags(live)
    joylo = live.publisher(Bool, A_BUTTON)

    def press() -> None:
        for down in (False, True, False):
            joylo.publish(Bool(data=down))
            live.spin(0.1)

    press()
    live.until(lambda: statuses[-1].state == EpisodeStatus.RECORDING, "the recorder to record")
    joystick(3)
    live.until(lambda: statuses[-1].state == EpisodeStatus.IDLE, "the bag to be gone")
    assert bags(live) == before
    live.until(lambda: said(feedback, "discard: ", "is gone"), "the feedback")
    press()
    live.until(lambda: statuses[-1].state == EpisodeStatus.RECORDING, "the recorder to record")
    press()
    live.until(lambda: statuses[-1].state == EpisodeStatus.IDLE, "the bag to be closed")
    (path,) = bags(live) - before
    assert facts_of(path).outcome == "success"
    live.node.destroy_publisher(joylo)


# -- a terminal ---------------------------------------------------------------------------------------------------


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "vla_mbpo_ros.cli.main", "record", *words]


def test_one_recording_without_a_terminal(live: LiveGraph) -> None:
    words = ("--seconds", "1", "--outcome", "success", "--note", "from a script", "--json")
    done = subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    live.until(lambda: done.poll() is not None, "the command to end")
    out, err = done.communicate()
    assert done.returncode == 0, err.decode()
    result = json.loads(out)
    facts = facts_of(result["bag_path"])
    assert (facts.outcome, facts.note, facts.episode_id) == ("success", "from a script", result["episode_id"])
    assert result["outcome"] == "success"
    assert result["lost"] == 0
    assert all(topic["received"] == topic["written"] for topic in result["topics"].values())
    assert result["topics"]["/joint_states"]["written"] > 10
    bag = BagReader(Path(result["bag_path"]))
    assert facts.success_time_s is not None
    # It went on past the success, so that there are images of it.
    assert (bag.end_ns - bag.start_ns) * 1e-9 >= facts.success_time_s + 0.9


def test_keys_on_a_terminal(live: LiveGraph, statuses: list[EpisodeStatus]) -> None:
    before, shown = bags(live), bytearray()
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, command("--note", "by keys"), {**os.environ, "TERM": "xterm", "COLUMNS": "160"})
    os.set_blocking(terminal, False)

    def sees(*words: str) -> bool:
        with suppress(OSError):  # nothing new, or the command has ended
            shown.extend(os.read(terminal, 1 << 20))
        return all(word.encode() in shown for word in words)

    live.until(lambda: sees("q quit", "/joint_states", "GB free"), "the live view")
    for key, words, state in (
        (b"s", ("recording",), EpisodeStatus.RECORDING),
        (b"q", ("Still recording",), EpisodeStatus.RECORDING),
        (b"p", ("is being recorded and has",), EpisodeStatus.RECORDING),
        (b"n", (), EpisodeStatus.IDLE),
        (b"l", ("label it:",), EpisodeStatus.IDLE),
        (b"y", (": success.",), EpisodeStatus.IDLE),
    ):
        os.write(terminal, key)
        live.until(lambda state=state, words=words: statuses[-1].state == state and sees(*words), f"key {key!r}")
    os.write(terminal, b"q")
    live.until(lambda: sees() or os.waitpid(child, os.WNOHANG)[0] == child, "the command to end")
    (path,) = bags(live) - before
    facts = facts_of(path)
    assert (facts.outcome, facts.note) == ("success", "by keys")
    os.close(terminal)


# -- episodes -----------------------------------------------------------------------------------------------------


def test_an_episode_in_compressed_colour_and_several_files_is_whole(live: LiveGraph) -> None:
    result = run_episode(live.session, seed=3)
    assert (result.ok, result.outcome) == (True, EpisodeStatus.SUCCESS)
    path = Path(result.bag_path)
    bag, facts = BagReader(path), facts_of(path)
    assert check_bag(path).problems == ()
    assert (facts.color, facts.truncated, facts.lost) == ("compressed", False, {})
    assert not any(name.endswith("/image_raw") for name in bag.topics)
    for camera in CAMERAS:
        frames = list(bag.messages([f"/{camera}/color/image_raw/compressed"]))
        assert len(frames) > 30
        assert decode_compressed(bag.decode(frames[0])).shape == (64, 64, 3)
    files = sorted(path.glob("*.mcap"))
    assert len(files) > 2
    for file in files:
        assert set(LATCHED) <= {message.topic for message in BagReader(file).messages()}, file.name


def test_an_episode_goes_on_for_a_chunk_past_its_success(live: LiveGraph) -> None:
    path = max(bags(live), key=lambda folder: folder.stat().st_mtime)
    bag, facts = BagReader(path), facts_of(path)
    ticks = [bag.decode(message) for message in bag.messages(["/sim/state"])]
    after = [tick for tick in ticks if tick.success]
    assert len(after) - 1 >= live.graph.config.policy.horizon
    first_ns = next(iter(bag.messages())).log_ns
    assert facts.success_time_s == pytest.approx((to_ns(after[0].header.stamp) - first_ns) * 1e-9, abs=1e-6)


def test_a_button_only_labels_an_episode_that_the_supervisor_runs_and_a_persons_word_holds(
    live: LiveGraph, joystick: Callable[[int], None], feedback: list[String]
) -> None:
    """Its time runs out, which the supervisor would call a failure."""
    client, phases = ActionClient(live.node, RunEpisode, "run_episode"), list[str]()
    live.until(client.server_is_ready, "the action run_episode")
    goal = RunEpisode.Goal(seed=4, record=True, max_duration_s=4.0)
    sent = client.send_goal_async(goal, lambda message: phases.append(message.feedback.phase))
    live.until(lambda: "run" in phases, "the run")
    joystick(1)
    live.until(lambda: said(feedback, "label success: "), "the label")
    ended = sent.result().get_result_async()
    live.until(ended.done, "the end of the episode")
    result = ended.result().result
    assert (result.success, result.message, result.outcome) == (True, "", EpisodeStatus.SUCCESS)
    facts = facts_of(result.bag_path)
    assert (facts.outcome, facts.note) == ("success", "By a button.")
    assert facts.success_time_s is not None
    client.destroy()


def test_an_emergency_stop_keeps_what_led_to_it(live: LiveGraph, statuses: list[EpisodeStatus]) -> None:
    live.until(lambda: statuses[-1].snapshot_s > 1.0, "something in memory")
    before = bags(live)
    button = live.publisher(Bool, "estop", qos.LATCHED)
    button.publish(Bool(data=True))
    live.until(lambda: "emergency stop; " in live.log("recorder_node"), "the snapshot")
    (path,) = bags(live) - before
    facts, bag = facts_of(path), BagReader(path)
    assert facts.note.startswith("Snapshot of the last ")
    assert facts.note.endswith("s: emergency stop")
    assert bag.complete
    assert "/estop" in {message.topic for message in bag.messages()}
    button.publish(Bool(data=True))  # said again, it is the same emergency stop
    live.spin(0.5)
    assert bags(live) - before == {path}
    live.stop()
