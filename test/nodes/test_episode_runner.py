"""An episode without a graph: what the runner does when it is interrupted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.msg import EpisodeStatus
from vla_mbpo_ros.nodes.episode_runner import Episode, EpisodeRunner, Hooks

pytestmark = pytest.mark.ros


class NoAnswer:
    """In the place of `Calls`: every service is called and never answers."""

    def __init__(self) -> None:
        self.called: list[str] = []

    async def must(self, kind: type, name: str, request: Any, timeout_s: float) -> Any:
        self.called.append(name)
        await asyncio.Event().wait()


def test_a_node_that_ends_in_an_episode_waits_for_nobody() -> None:
    """Python closes the coroutine then, and one that awaits once more ends in a traceback."""
    calls = NoAnswer()
    episode = Episode(instruction="", seed=0, max_s=1.0, record=True, simulated=False)
    phases: list[str] = []
    hooks = Hooks(
        now_ns=lambda: 0,
        phase=lambda name, now: phases.append(name),
        cancelled=lambda: False,
        trouble=str,
        tick_done=lambda sim, leaving: None,
    )

    async def begin_and_end() -> None:
        running = EpisodeRunner(calls, Config(control_hz=15.0)).run(episode, hooks)  # type: ignore[arg-type]
        running.send(None)
        running.close()

    asyncio.run(begin_and_end())
    assert (calls.called, phases) == (["executor/enable"], ["gate"])
    assert episode.outcome == EpisodeStatus.UNKNOWN
