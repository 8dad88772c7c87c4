"""One whole episode, top to bottom: every source fresh, reset, record, arm, act, disarm, label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from std_srvs.srv import SetBool

from vla_mbpo_ros.config import SupervisorConfig
from vla_mbpo_ros.errors import GraphError
from vla_mbpo_ros.msg import EpisodeStatus, SimState
from vla_mbpo_ros.nodes.calls import Calls
from vla_mbpo_ros.srv import Reset, SetInstruction, StartEpisode, StopEpisode

CALL_S = 15.0  # longest wait for one service
STALL_S = 30.0  # the episode is given up when the graph's time stands still for this long, on steady time


@dataclass
class Episode:
    """What is known of the episode so far."""

    instruction: str
    seed: int
    max_s: float
    record: bool
    simulated: bool
    outcome: int = EpisodeStatus.UNKNOWN
    episode_id: str = ""
    bag_path: str = ""
    start_ns: int = 0
    duration_s: float = 0.0
    steps: int = 0
    cancelled: bool = False


class EpisodeRunner:
    """Runs episodes by calling the services of the other nodes. `now_ns` is the graph's time."""

    def __init__(self, calls: Calls, cfg: SupervisorConfig, now_ns: Callable[[], int]) -> None:
        self._calls, self._cfg, self._now_ns = calls, cfg, now_ns
        self.sim = SimState()  # the newest

    async def run(self, episode: Episode, phase: Callable[[str], None], cancelled: Callable[[], bool]) -> None:
        """Fill in `episode`; whatever happens, the arm is disarmed and the bag is closed."""
        try:
            phase("gate")
            await self._quiet()
            await self._prepare(episode, phase)
            phase("arm")
            await self._switch(True)
            await self._tell(episode.instruction)  # last: the policy's plan begins now
            phase("run")
            await self._act(episode, phase, cancelled)
        finally:
            phase("stop")
            await self._finish(episode)

    async def _prepare(self, episode: Episode, phase: Callable[[str], None]) -> None:
        if episode.simulated:
            phase("reset")
            reply = await self._must(Reset, "sim/reset", Reset.Request(seed=episode.seed))
            episode.instruction = episode.instruction or reply.instruction
            episode.seed = int(reply.seed)
        if episode.record:
            phase("record")
            begin = StartEpisode.Request(instruction=episode.instruction)
            started = await self._calls.must(StartEpisode, "recorder/start", begin, CALL_S + STALL_S)
            episode.episode_id, episode.bag_path = started.episode_id, started.bag_path

    async def _act(self, episode: Episode, phase: Callable[[str], None], cancelled: Callable[[], bool]) -> None:
        episode.start_ns = last_ns = self._now_ns()
        first_step, success_ns = self.sim.step, 0
        while True:
            moved = await self._calls.until(lambda: self._now_ns() > last_ns, STALL_S)  # noqa: B023
            if not moved:
                raise GraphError("The graph's time stands still.", "See the log of the simulator.")
            last_ns = self._now_ns()
            episode.duration_s = (last_ns - episode.start_ns) * 1e-9
            episode.steps = max(0, int(self.sim.step) - first_step)
            phase("run")
            if self.sim.success and episode.simulated:
                success_ns = success_ns or last_ns
                episode.outcome = EpisodeStatus.SUCCESS
            if cancelled():
                episode.cancelled = True
                return
            settled = success_ns and (last_ns - success_ns) * 1e-9 >= self._cfg.settle_s
            if settled or episode.duration_s >= episode.max_s:
                break
        if episode.simulated and episode.outcome != EpisodeStatus.SUCCESS:
            episode.outcome = EpisodeStatus.FAILURE  # out of time; only the simulator can tell

    async def _finish(self, episode: Episode) -> None:
        try:
            await self._quiet()
        finally:
            if episode.episode_id:
                request = StopEpisode.Request(outcome=episode.outcome)
                await self._calls.must(StopEpisode, "recorder/stop", request, CALL_S)

    async def _quiet(self) -> None:
        """The executor stops commanding, the arm is held, the policy rests."""
        await self._switch(False)
        await self._tell("")

    async def _switch(self, on: bool) -> None:
        names = ("robot/arm", "executor/enable") if on else ("executor/enable", "robot/arm")
        for name in names:
            await self._must(SetBool, name, SetBool.Request(data=on))

    async def _tell(self, instruction: str) -> None:
        await self._must(SetInstruction, "policy/set_instruction", SetInstruction.Request(instruction=instruction))

    async def _must(self, kind: type, name: str, request: Any) -> Any:
        return await self._calls.must(kind, name, request, CALL_S)
