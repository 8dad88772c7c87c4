"""One whole episode, top to bottom: every source fresh, reset, record, arm, act, disarm, label.

An episode goes on past its success for as many steps as a chunk has, so that a learner sees what success looks like;
one whose time runs out before is truncated.

In simulation the runner takes part in lock-step. Until all is armed it keeps its answer back, and again from the
moment when the episode is over: time stands still then. So what happens does not depend on how long services took.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from std_srvs.srv import SetBool

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.errors import GraphError, VlaMbpoError
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.msg import EpisodeStatus, SimState
from vla_mbpo_ros.nodes.calls import Calls
from vla_mbpo_ros.srv import Reset, SetInstruction, StartEpisode, StopEpisode

NAME = "supervisor"  # in lock-step
CALL_S = 15.0  # longest wait for one service
END_S = 5.0  # the same at the end, where a dead node must not keep the others from being told
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
    start_ns: int = 0  # 0: not begun
    success_ns: int = 0
    duration_s: float = 0.0
    steps: int = 0
    over: bool = False
    truncated: bool = False  # its time ran out without success
    dropped: str = ""  # who did not answer a tick in time: from then on it was left out
    cancelled: bool = False
    problems: list[str] = field(default_factory=list)  # why it is not a whole episode


@dataclass(frozen=True)
class Hooks:
    """What the runner asks of its node."""

    now_ns: Callable[[], int]  # the graph's time
    phase: Callable[[str, Episode], None]  # where the episode is
    cancelled: Callable[[], bool]
    trouble: Callable[[], str]  # what has happened to a node since the episode began
    tick_done: Callable[[SimState, bool], None]  # lock-step: answer this tick; True: leave


class EpisodeRunner:
    """Runs episodes by calling the services of the other nodes."""

    def __init__(self, calls: Calls, cfg: Config) -> None:
        self._calls = calls
        steps_ns = cfg.policy.horizon * round(1e9 / cfg.control_hz)  # as the simulator counts its ticks
        self._settle_ns = max(round(cfg.supervisor.settle_s * 1e9), steps_ns)
        self._blame_s = cfg.supervisor.heartbeat_timeout_s + 1.0  # until a death is known for certain
        self._sim = SimState()  # the newest tick
        self._running: tuple[Episode, Hooks] | None = None

    async def run(self, episode: Episode, hooks: Hooks) -> None:
        """Fill in `episode`; whatever happens, the arm is disarmed and the bag is closed."""
        self._running, can_wait = (episode, hooks), True
        hooks.tick_done(self._sim, False)
        try:
            await self._prepare(episode, hooks)
            if not episode.cancelled:
                await self._act(episode, hooks)
        except VlaMbpoError as error:
            episode.outcome = EpisodeStatus.UNKNOWN  # of an episode that was disturbed nothing can be said
            episode.problems.append(str(error))
        except GeneratorExit:  # this node ends in the middle of it, and nobody can be waited for any more
            can_wait = False
            raise
        finally:
            if can_wait:
                await self._end(episode, hooks)

    async def _end(self, episode: Episode, hooks: Hooks) -> None:
        episode.over = True
        hooks.phase("stop", episode)
        await self._finish(episode)
        self._running = None
        hooks.tick_done(self._sim, True)

    def see(self, sim: SimState) -> None:
        """Lock-step: a tick. It is answered while the episode runs."""
        self._sim = sim
        if self._running is None or not self._running[0].start_ns:
            return
        episode, hooks = self._running
        episode.dropped = episode.dropped or ", ".join(name for name in sim.missing if name != NAME)
        self._look(episode, to_ns(sim.header.stamp))
        if not episode.over:
            hooks.tick_done(sim, False)

    async def _prepare(self, episode: Episode, hooks: Hooks) -> None:
        hooks.phase("gate", episode)
        for kind, name, request in _QUIET:
            await self._must(kind, name, request)
        if episode.simulated:
            hooks.phase("reset", episode)
            await self._reset(episode)
        if episode.record:
            hooks.phase("record", episode)
            begin = StartEpisode.Request(instruction=episode.instruction)
            started = await self._calls.must(StartEpisode, "recorder/start", begin, CALL_S + STALL_S)
            episode.episode_id, episode.bag_path = started.episode_id, started.bag_path
        episode.cancelled = hooks.cancelled()
        if episode.cancelled:
            return
        hooks.phase("arm", episode)
        for name in ("robot/arm", "executor/enable"):
            await self._must(SetBool, name, SetBool.Request(data=True))
        tell = SetInstruction.Request(instruction=episode.instruction)
        await self._must(SetInstruction, "policy/set_instruction", tell)  # last: the policy's plan begins now

    async def _reset(self, episode: Episode) -> None:
        reply = await self._must(Reset, "sim/reset", Reset.Request(seed=episode.seed))
        episode.instruction = episode.instruction or reply.instruction
        episode.seed = int(reply.seed)
        first_ns = to_ns(reply.stamp)
        # The success of the last episode must not be taken for that of this one.
        if not await self._calls.until(lambda: to_ns(self._sim.header.stamp) >= first_ns, CALL_S):
            raise GraphError("Nothing has come on sim/state since the reset.", "See the log of the simulator.")

    async def _act(self, episode: Episode, hooks: Hooks) -> None:
        episode.start_ns = last_ns = to_ns(self._sim.header.stamp) if episode.simulated else hooks.now_ns()
        hooks.tick_done(self._sim, False)
        while not episode.over:
            await self._time_goes_on(episode, last_ns, hooks)
            last_ns = hooks.now_ns()
            if not episode.simulated:
                self._look(episode, last_ns)
            hooks.phase("run", episode)
            if hooks.cancelled():
                episode.cancelled = True
                return
        if episode.simulated and episode.outcome != EpisodeStatus.SUCCESS:
            episode.outcome = EpisodeStatus.FAILURE  # out of time; only the simulator can tell

    def _look(self, episode: Episode, now_ns: int) -> None:
        """How far the episode is at this moment."""
        if episode.over:
            return
        episode.duration_s = (now_ns - episode.start_ns) * 1e-9
        if episode.simulated:
            episode.steps = int(self._sim.step)
        if episode.simulated and self._sim.success:
            episode.success_ns = episode.success_ns or now_ns
            episode.outcome = EpisodeStatus.SUCCESS
        if episode.success_ns:  # also when its time runs out meanwhile
            episode.over = now_ns - episode.success_ns >= self._settle_ns
        else:
            episode.over = episode.truncated = episode.duration_s >= episode.max_s

    async def _time_goes_on(self, episode: Episode, last_ns: int, hooks: Hooks) -> None:
        def trouble() -> str:
            return hooks.trouble() or (f"{episode.dropped} did not answer a tick in time." if episode.dropped else "")

        def something_happened() -> bool:
            return bool(episode.over or hooks.now_ns() > last_ns or trouble() or hooks.cancelled())

        in_time = await self._calls.until(something_happened, STALL_S)
        if episode.dropped:
            # A node that died keeps others from answering: robot_node waits for the executor's command. The dead one is
            # to be named, and a restart or a missing heartbeat is noticed a moment later.
            await self._calls.until(lambda: bool(hooks.trouble()), self._blame_s)
        if trouble():
            raise GraphError(trouble(), "The episode is given up; see the log of that node.")
        if not in_time:
            raise GraphError("The graph's time stands still.", "See the log of the simulator.")

    async def _finish(self, episode: Episode) -> None:
        """The executor stops commanding, the arm is held, the policy rests, the bag is closed; each is tried."""
        for kind, name, request in _QUIET:
            await self._try(episode, kind, name, request)
        if episode.episode_id:
            note = " ".join(episode.problems)
            stop = StopEpisode.Request(outcome=episode.outcome, note=note, truncated=episode.truncated)
            stop.if_unlabelled = True  # a person knows better
            patience_s = END_S if episode.problems else CALL_S  # to close a whole bag may take a while
            ended = await self._try(episode, StopEpisode, "recorder/stop", stop, patience_s)
            episode.outcome = ended.status.outcome if ended else episode.outcome

    async def _try(self, episode: Episode, kind: type, name: str, request: Any, limit_s: float = END_S) -> Any:
        """The answer; None if there was none, and then nothing can be said of the episode."""
        try:
            return await self._calls.must(kind, name, request, limit_s)
        except VlaMbpoError as error:
            episode.outcome = EpisodeStatus.UNKNOWN
            episode.problems.append(str(error))
            return None

    async def _must(self, kind: type, name: str, request: Any) -> Any:
        return await self._calls.must(kind, name, request, CALL_S)


# Nobody commands, the arm is held, the policy rests.
_QUIET: tuple[tuple[type, str, Any], ...] = (
    (SetBool, "executor/enable", SetBool.Request(data=False)),
    (SetBool, "robot/arm", SetBool.Request(data=False)),
    (SetInstruction, "policy/set_instruction", SetInstruction.Request(instruction="")),
)
