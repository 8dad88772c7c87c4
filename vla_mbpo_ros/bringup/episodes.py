"""Episodes on a running graph: ask the supervisor for one, follow it, and get what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vla_mbpo_ros.bringup.session import Session
from vla_mbpo_ros.errors import GraphError

ANSWER_S = 20.0  # longest wait for the supervisor to take or refuse a goal


@dataclass(frozen=True)
class Feedback:
    """Where an episode is."""

    phase: str
    step: int
    elapsed_s: float  # graph time


@dataclass(frozen=True)
class EpisodeResult:
    """What came of it. `ok` says that it ran to an end and its bag is whole, not that the task was done."""

    ok: bool
    message: str
    outcome: int  # EpisodeStatus.UNKNOWN, SUCCESS, FAILURE
    episode_id: str
    bag_path: str
    steps: int
    duration_s: float  # graph time
    wall_s: float


def run_episode(
    session: Session,
    seed: int = -1,
    max_duration_s: float = 0.0,
    record: bool = True,
    watch: Callable[[Feedback], None] = lambda feedback: None,
) -> EpisodeResult:
    """One episode, from asking to its closed bag; GraphError if the supervisor refuses or a node is lost for good."""
    from rclpy.action import ActionClient

    from vla_mbpo_ros.action import RunEpisode

    client = ActionClient(session.observer.node, RunEpisode, "run_episode")
    goal = RunEpisode.Goal(seed=seed, max_duration_s=max_duration_s, record=record)
    began = time.monotonic()
    try:
        _wait(session, client.server_is_ready, "the supervisor's action run_episode")
        sent = client.send_goal_async(goal, feedback_callback=lambda message: watch(_feedback(message.feedback)))
        _wait(session, sent.done, "the supervisor's answer")
        if not sent.result().accepted:
            raise GraphError("The supervisor refused the episode.", "Is another one running? See its log.")
        ended = sent.result().get_result_async()
        while not ended.done():
            session.step()
        return _result(ended.result().result, time.monotonic() - began)
    finally:
        client.destroy()


def _wait(session: Session, condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + ANSWER_S
    while not condition():
        if time.monotonic() > end:
            raise GraphError(f"No sign of {what} for {ANSWER_S:.0f} s.", f"The logs are in {session.run.logs}.")
        session.step()


def _feedback(message: Any) -> Feedback:
    return Feedback(message.phase, int(message.step), float(message.elapsed_s))


def _result(message: Any, wall_s: float) -> EpisodeResult:
    return EpisodeResult(
        ok=message.success,
        message=message.message,
        outcome=int(message.outcome),
        episode_id=message.episode_id,
        bag_path=message.bag_path,
        steps=int(message.steps),
        duration_s=float(message.duration_s),
        wall_s=wall_s,
    )
