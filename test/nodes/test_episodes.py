"""Episodes that do not run to their end: cancelled, out of time, refused. And what the supervisor says of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from lifecycle_msgs.msg import Transition
from live_graph import LiveGraph
from rclpy.action import ActionClient

from vla_mbpo_ros.action import RunEpisode
from vla_mbpo_ros.bringup.episodes import run_episode
from vla_mbpo_ros.data.bags import BagReader, check_bag
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.msg import EpisodeStatus, JointCommand, SafetyState, SimState
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.srv import DiscardEpisode, LabelEpisode, StartEpisode, StopEpisode

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def live(start_graph: Callable[..., LiveGraph]) -> LiveGraph:
    return start_graph(sim=True)


@pytest.fixture(scope="module")
def client(live: LiveGraph) -> ActionClient:
    client = ActionClient(live.node, RunEpisode, "run_episode")
    live.until(client.server_is_ready, "the action run_episode")
    return client


def send(live: LiveGraph, client: ActionClient, phases: list[str], **goal: Any) -> Any:
    """The goal's handle, accepted or not."""
    sent = client.send_goal_async(
        RunEpisode.Goal(seed=4, record=True, **goal), lambda message: phases.append(message.feedback.phase)
    )
    live.until(sent.done, "an answer to the goal")
    return sent.result()


def outcome_of(live: LiveGraph, handle: Any) -> Any:
    ended = handle.get_result_async()
    live.until(ended.done, "the result")
    return ended.result()


def assert_at_rest(live: LiveGraph) -> None:
    """Disarmed, and the arm is held."""
    safety = live.listen(SafetyState, "robot/safety_state", profile=qos.LATCHED)
    live.until(lambda: safety and not safety[-1].armed, "the robot to be disarmed")
    executed = live.listen(JointCommand, "robot/executed_command")
    live.until(lambda: len(executed) > 5, "executed commands")
    assert {command.source for command in executed} == {"hold"}


def test_a_cancelled_episode_is_disarmed_and_its_bag_is_closed_with_outcome_unknown(
    live: LiveGraph, client: ActionClient
) -> None:
    phases: list[str] = []
    handle = send(live, client, phases)
    live.until(lambda: phases.count("run") > 5, "the run")
    second = send(live, client, [])
    assert not second.accepted  # one at a time
    assert "an episode is running" in live.log("supervisor_node")
    handle.cancel_goal_async()
    ended = outcome_of(live, handle)
    assert ended.status == GoalStatus.STATUS_CANCELED
    assert (ended.result.outcome, ended.result.message) == (EpisodeStatus.UNKNOWN, "")
    bag = BagReader(Path(ended.result.bag_path))
    assert bag.complete
    assert EpisodeFacts.from_custom_data(bag.custom_data).outcome == "unknown"
    assert check_bag(bag.path).problems == ()
    assert list(dict.fromkeys(phases)) == ["gate", "reset", "record", "arm", "run", "stop"]
    assert_at_rest(live)


def test_an_episode_that_is_cancelled_at_once_never_arms(live: LiveGraph, client: ActionClient) -> None:
    phases: list[str] = []
    handle = send(live, client, phases)
    handle.cancel_goal_async()
    assert outcome_of(live, handle).status == GoalStatus.STATUS_CANCELED
    assert "run" not in phases
    assert_at_rest(live)


def test_an_episode_that_is_out_of_time_is_a_failure(live: LiveGraph) -> None:
    result = run_episode(live.session, seed=4, max_duration_s=2.0)
    assert (result.ok, result.outcome) == (True, EpisodeStatus.FAILURE)
    assert 2.0 <= result.duration_s < 2.1
    assert result.steps == 30
    assert BagReader(Path(result.bag_path)).custom_data["outcome"] == "failure"


def test_an_episode_without_a_bag(live: LiveGraph) -> None:
    result = run_episode(live.session, seed=4, max_duration_s=1.0, record=False)
    assert (result.ok, result.episode_id, result.bag_path) == (True, "", "")


def test_a_bag_can_be_recorded_and_thrown_away_by_hand(live: LiveGraph) -> None:
    statuses = live.listen(EpisodeStatus, "recorder/status", profile=qos.LATCHED)
    began = live.call(StartEpisode, "recorder/start", StartEpisode.Request(instruction="by hand"))
    assert began.success
    live.until(lambda: statuses[-1].state == EpisodeStatus.RECORDING, "recorder/status")
    again = live.call(StartEpisode, "recorder/start", StartEpisode.Request())
    assert (again.success, again.message) == (False, "An episode is being recorded. Stop or discard it first.")
    refused = run_episode(live.session, seed=4, max_duration_s=1.0)  # it must not end what a person has begun
    assert not refused.ok
    assert "An episode is being recorded. Stop or discard it first." in refused.message
    live.until(lambda: statuses[-1].state == EpisodeStatus.RECORDING, "recorder/status")
    wrong = live.call(DiscardEpisode, "recorder/discard", DiscardEpisode.Request(episode_id="another"))
    assert "another is not being recorded" in wrong.message
    assert Path(began.bag_path).exists()
    assert live.call(DiscardEpisode, "recorder/discard", DiscardEpisode.Request()).success
    assert not Path(began.bag_path).exists()
    nothing = live.call(StopEpisode, "recorder/stop", StopEpisode.Request())
    assert (nothing.success, nothing.message) == (False, "No episode is being recorded. Start one by recorder/start.")


def test_a_person_may_say_afterwards_how_an_episode_went(live: LiveGraph) -> None:
    def label(**said: Any) -> LabelEpisode.Response:
        return live.call(LabelEpisode, "recorder/label", LabelEpisode.Request(**said))

    result = run_episode(live.session, seed=4, max_duration_s=1.0)
    assert label(outcome=EpisodeStatus.SUCCESS, success_time_s=0.9, note="the cube fell on the pad").success
    facts = EpisodeFacts.from_custom_data(BagReader(Path(result.bag_path)).custom_data)
    assert (facts.outcome, facts.success_time_s, facts.note) == ("success", 0.9, "the cube fell on the pad")
    assert check_bag(Path(result.bag_path)).problems == ()
    assert label(episode_id=result.episode_id, outcome=EpisodeStatus.FAILURE).success
    facts = EpisodeFacts.from_custom_data(BagReader(Path(result.bag_path)).custom_data)
    assert (facts.outcome, facts.success_time_s, facts.note) == ("failure", None, "the cube fell on the pad")
    for wrong, words in (("no_such", "does not exist"), ("../../etc", "is no episode"), ("", "9 is no outcome")):
        answer = label(episode_id=wrong, outcome=0 if wrong else 9)
        assert not answer.success
        assert words in answer.message


def test_what_is_said_of_a_running_episode_holds_when_it_is_stopped(live: LiveGraph) -> None:
    began = live.call(StartEpisode, "recorder/start", StartEpisode.Request())
    said = LabelEpisode.Request(outcome=EpisodeStatus.SUCCESS, note="well done")
    assert live.call(LabelEpisode, "recorder/label", said).success
    assert live.call(StopEpisode, "recorder/stop", StopEpisode.Request()).success
    facts = EpisodeFacts.from_custom_data(BagReader(Path(began.bag_path)).custom_data)
    assert (facts.outcome, facts.note) == ("success", "well done")


@pytest.mark.parametrize("transition", [Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVE_SHUTDOWN])
def test_a_recorder_that_is_stopped_closes_its_bag(live: LiveGraph, transition: int) -> None:
    live.until(lambda: not live.session.observer.inactive(), "every node active")
    began = live.call(StartEpisode, "recorder/start", StartEpisode.Request())
    assert began.success, began.message
    assert live.transition("recorder_node", transition)
    bag = BagReader(Path(began.bag_path))
    assert bag.complete
    assert bag.custom_data["outcome"] == "unknown"
    assert bag.custom_data["note"] == "The recorder was stopped."
    ticks = live.listen(SimState, "sim/state")
    live.until(lambda: len(ticks) > 10, "time to go on without it")
    assert not any("recorder" in tick.missing for tick in ticks)  # it has taken its leave
    if transition == Transition.TRANSITION_DEACTIVATE:
        assert live.transition("recorder_node", Transition.TRANSITION_ACTIVATE)


def test_a_bag_does_not_start_without_a_source_and_says_which(start_graph: Callable[..., LiveGraph]) -> None:
    """Real time, without a head camera; the recorder goes on living while it waits."""
    names = ("left_wrist_camera", "right_wrist_camera", "robot_node", "recorder_node")
    live = start_graph(cameras="synthetic", robot="sink", policy="none", only=names)
    statuses = live.listen(EpisodeStatus, "recorder/status", profile=qos.LATCHED)
    client = live.node.create_client(StartEpisode, "recorder/start")
    live.until(client.service_is_ready, "recorder/start")
    answer = client.call_async(StartEpisode.Request(timeout_s=2.0))
    live.until(lambda: statuses and statuses[-1].state == EpisodeStatus.WAITING, "the recorder to wait")
    second = live.call(StartEpisode, "recorder/start", StartEpisode.Request())
    assert "its sources are waited for" in second.message
    assert not answer.done()
    live.until(answer.done, "the refusal")
    response = answer.result()
    assert not response.success
    assert "nothing fresh from /head/color/image_raw, /head/color/frame_info" in response.message
    for there in ("left_wrist", "joint", "executor"):  # without a policy there is no executor to wait for
        assert there not in response.message
    assert "Start what publishes it" in response.message
    assert response.message in live.log("recorder_node")
    live.until(lambda: statuses[-1].state == EpisodeStatus.IDLE, "the recorder to be idle again")


def test_without_a_policy_no_episode_begins(start_graph: Callable[..., LiveGraph]) -> None:
    live = start_graph(cameras="synthetic", robot="sink", policy="none", record=False)
    result = run_episode(live.session)
    assert (result.ok, result.outcome) == (False, EpisodeStatus.UNKNOWN)
    assert "This graph has no policy" in result.message
    assert result.wall_s < 5.0  # it waits for nobody
