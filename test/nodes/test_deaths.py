"""Nodes that are killed or stopped in the middle of an episode: reported, brought back, and the arm holds meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from live_graph import LiveGraph
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from vla_mbpo_ros.bringup.episodes import EpisodeResult, Feedback, run_episode
from vla_mbpo_ros.data.bags import BagReader, check_bag, check_topics
from vla_mbpo_ros.msg import EpisodeStatus, JointCommand, SafetyState, SimState, TickDone
from vla_mbpo_ros.nodes import qos

pytestmark = pytest.mark.ros
# How a death may be noticed, whichever comes first.
WAYS = ("was started again during the episode", "is dead or stuck", "did not answer a tick in time")
AT_STEP = 20  # of the episode, when the arm is on its way


@pytest.fixture(scope="module")
def live(start_graph: Callable[..., LiveGraph]) -> LiveGraph:
    """Time goes on soon without those who do not answer. The gate waits longer for the executor than the simulator for
    the gate: without the executor others are late first, and the dead one must be named all the same."""
    return start_graph(sim=True, set=("sim.answer_timeout_s=1.0", "gate.stall_s=1.5", "executor.policy_wait_s=0.5"))


@pytest.fixture(scope="module")
def executed(live: LiveGraph) -> list[JointCommand]:
    return live.listen(JointCommand, "robot/executed_command")


def pid_of(live: LiveGraph, node: str) -> int:
    return live.session.processes.pids[node]


def disturbed_episode(live: LiveGraph, node: str, number: signal.Signals) -> EpisodeResult:
    """An episode in which `node` gets a signal on the way."""
    victims = [pid_of(live, node)]

    def strike(feedback: Feedback) -> None:
        if feedback.step >= AT_STEP and victims:
            os.kill(victims.pop(), number)

    result = run_episode(live.session, seed=2, watch=strike)
    assert not victims, f"the episode ended before the node was struck: {result.message}"
    return result


def wait_until_whole(live: LiveGraph) -> None:
    live.until(lambda: not live.session.observer.inactive(), "every node active again")


@pytest.mark.parametrize("node", ["policy_node", "chunk_executor_node", "recorder_node", "robot_node"])
def test_a_node_that_is_killed_in_an_episode(live: LiveGraph, executed: list[JointCommand], node: str) -> None:
    wait_until_whole(live)
    before, restarts = pid_of(live, node), live.session.processes.restarts[node]
    participant = node.removesuffix("_node")
    live.statuses.clear()
    result = disturbed_episode(live, node, signal.SIGKILL)

    # The result is honest: nothing can be said of such an episode.
    assert not result.ok
    reason = result.message.split(".")[0]
    assert participant in reason
    assert any(way in reason for way in WAYS)
    assert result.outcome == EpisodeStatus.UNKNOWN
    # So is the bag.
    bag = BagReader(Path(result.bag_path))
    if node == "recorder_node":
        assert "recorder/stop" in result.message
        assert not bag.complete
        problems = check_topics(Path(result.bag_path), live.graph.topics).problems
        assert problems[0] == "The bag was not closed: its last moments may be missing."
    else:
        assert bag.complete
        assert bag.custom_data["outcome"] == "unknown"
        assert bag.custom_data["note"].startswith(reason)
    # The supervisor has reported it, the node is back, and the arm holds.
    live.wait_until_told("supervisor_node", "Episode", participant, "given up")
    wait_until_whole(live)
    reborn = f"/{node} was started again (pid"  # on a busy machine only after the episode was given up
    live.until(lambda: reborn in live.log("supervisor_node"), "the supervisor's word")
    assert pid_of(live, node) != before
    assert live.session.processes.restarts[node] == restarts + 1
    executed.clear()
    live.until(lambda: len(executed) > 5, "executed commands")
    assert {command.source for command in executed} == {"hold"}


def test_the_graph_works_again_after_all_these_deaths(live: LiveGraph) -> None:
    wait_until_whole(live)
    result = run_episode(live.session, seed=2)
    assert (result.ok, result.outcome, result.message) == (True, EpisodeStatus.SUCCESS, "")
    assert check_bag(Path(result.bag_path)).problems == ()


def test_time_goes_on_without_a_policy_that_is_stopped_and_with_it_again(live: LiveGraph) -> None:
    wait_until_whole(live)
    ticks, answers = live.listen(SimState, "sim/state"), live.listen(TickDone, "sim/tick_done")
    live.until(lambda: any(answer.node == "policy" for answer in answers), "an answer of the policy")
    policy = pid_of(live, "policy_node")
    os.kill(policy, signal.SIGSTOP)
    try:
        live.until(lambda: any("policy" in tick.missing for tick in ticks), "sim/state to name the policy")
        live.wait_until_told("sim_node", "No answer from policy", "See the log of that node")
        ticks.clear()
        answers.clear()
        live.until(lambda: len(ticks) > 10, "time to go on")
        assert "policy" not in {answer.node for answer in answers}
    finally:
        os.kill(policy, signal.SIGCONT)
    live.until(lambda: any(answer.node == "policy" for answer in answers), "the policy to answer again")
    assert pid_of(live, "policy_node") == policy
    wait_until_whole(live)
    assert run_episode(live.session, seed=2).outcome == EpisodeStatus.SUCCESS


def test_nobody_waits_for_a_policy_that_ends_in_order(live: LiveGraph) -> None:
    wait_until_whole(live)
    ticks = live.listen(SimState, "sim/state")
    restarts = live.session.processes.restarts["policy_node"]
    os.kill(pid_of(live, "policy_node"), signal.SIGTERM)
    live.until(lambda: live.session.processes.restarts["policy_node"] > restarts, "the restart")
    wait_until_whole(live)
    assert not any("policy" in tick.missing for tick in ticks)


def test_an_emergency_stop_outlives_robot_node(live: LiveGraph) -> None:
    wait_until_whole(live)
    safety = live.listen(SafetyState, "robot/safety_state", profile=qos.LATCHED)
    button = live.publisher(Bool, "estop", qos.LATCHED)
    button.publish(Bool(data=True))
    live.until(lambda: safety and safety[-1].estop, "the latch")
    os.kill(pid_of(live, "robot_node"), signal.SIGKILL)
    live.until(lambda: live.session.processes.restarts["robot_node"] >= 2, "the restart")
    safety.clear()
    wait_until_whole(live)
    live.until(lambda: safety and safety[-1].estop, "the latch in the new process")
    assert not live.switch("robot/arm", True).success
    button.publish(Bool(data=False))
    live.until(lambda: live.call(Trigger, "robot/reset_estop", Trigger.Request()).success, "the reset")
