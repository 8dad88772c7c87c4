"""Brings the graph up in order, watches heartbeats, brings respawned nodes back, runs episodes."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle

from vla_mbpo_ros.action import RunEpisode
from vla_mbpo_ros.errors import GraphError, VlaMbpoError
from vla_mbpo_ros.msg import Heartbeat, SimState, TickDone
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.calls import Calls
from vla_mbpo_ros.nodes.episode_runner import NAME, Episode, EpisodeRunner, Hooks
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.nodes.supervision import Roster, Step

EXECUTOR = "chunk_executor_node"  # comes with a policy
UP_S = 30.0  # an episode waits this long for the graph to be whole
PERIOD_S = 0.1  # how often the roster is looked at
ASLEEP_S = 1.0  # a look that comes so late says nothing of the others
_TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
}


class SupervisorNode(ManagedNode):
    SECTIONS = ("supervisor", "instruction", "policy.horizon")
    EXTRAS: ClassVar = {"nodes": ([""], "Lifecycle nodes to bring up, in this order.")}

    def __init__(self) -> None:
        super().__init__("supervisor_node")

    def build(self) -> None:
        names = [self._full(name) for name in self.settings.extras["nodes"] if name]
        self._roster = Roster(names, self.cfg.supervisor.heartbeat_timeout_s)
        self._calls = Calls(self)
        self._runner = EpisodeRunner(self._calls, self.cfg)
        self._busy = False
        self._trouble = ""  # what has happened to a node since the episode began
        self._looked_s = 0.0  # steady time of the last look at the roster
        self._reported_silent: set[str] = set()
        self.sub(Heartbeat, "heartbeat", self._on_heartbeat, qos.HEARTBEAT)
        self.sub(SimState, "sim/state", self._on_sim_state, qos.EVENT)
        if self.simulated:
            self._tick_done = self.pub(TickDone, "sim/tick_done", qos.EVENT)
        self.every(PERIOD_S, self._look)
        self._server = ActionServer(
            self,
            RunEpisode,
            "run_episode",
            self._run_episode,
            goal_callback=self._admit,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def dismantle(self) -> None:
        if hasattr(self, "_server"):
            self._server.destroy()
            self._calls.close()

    def diagnose(self, status: diagnostics.Status) -> None:
        problems = self._roster.problems(time.monotonic())
        if problems:
            status.summary(diagnostics.ERROR, " ".join(problems))
        for member in self._roster.members.values():
            status.add(f"{member.name} starts", str(member.starts))

    # -- the roster ----------------------------------------------------------------------------------------------

    def _on_heartbeat(self, beat: Heartbeat) -> None:
        now_s = time.monotonic()
        if self._roster.heard(beat.node, beat.pid, beat.state, beat.detail, now_s):
            self.get_logger().warning(f"{beat.node} was started again (pid {beat.pid}); bringing it back.")
            self._trouble = self._trouble or f"{beat.node} was started again during the episode."
        self._reported_silent.discard(beat.node)

    def _look(self) -> None:
        now_s = time.monotonic()
        slept_s, self._looked_s = now_s - self._looked_s, now_s
        if slept_s > ASLEEP_S:  # it is we who were stuck: the others' heartbeats are still to be read
            return
        for name in self._roster.silent(now_s):
            if name not in self._reported_silent:
                self._trouble = f"{name} is dead or stuck: no heartbeat."
                self.get_logger().error(f"{self._trouble} The arm holds until it is back.")
                self._reported_silent.add(name)
        problems = self._roster.problems(now_s)
        self.detail = problems[0] if problems else ""
        step = self._roster.next_step(now_s)
        if step:
            self._roster.asked(step)
            self.executor.create_task(self._change(step))

    async def _change(self, step: Step) -> None:
        request = ChangeState.Request(transition=Transition(id=_TRANSITIONS[step.transition]))
        name, success = f"{step.node}/change_state", False
        try:
            timeout_s = self.cfg.supervisor.transition_timeout_s
            success = (await self._calls.call(ChangeState, name, request, timeout_s)).success
        except VlaMbpoError as error:
            self.complain(error)
        if not success:
            detail = self._roster.members[step.node].detail
            self.complain(f"{step.node} refused to {step.transition}. {detail or 'See its log.'}")
        self._roster.answered(step, success, time.monotonic())

    # -- episodes ------------------------------------------------------------------------------------------------

    def _on_sim_state(self, state: SimState) -> None:
        self._runner.see(state)

    def _admit(self, _: RunEpisode.Goal) -> GoalResponse:
        if self._busy or not self.is_active:
            self.get_logger().warning("run_episode: refused, an episode is running or this node is not active.")
            return GoalResponse.REJECT
        self._busy = True  # from now on, not from its start: two goals may come at once
        return GoalResponse.ACCEPT

    async def _run_episode(self, handle: ServerGoalHandle) -> RunEpisode.Result:
        episode, self._trouble = self._episode(handle.request), ""
        hooks = Hooks(
            now_ns=self.now_ns,
            phase=lambda name, now: self._feedback(handle, name, now),
            cancelled=lambda: handle.is_cancel_requested,
            trouble=lambda: self._trouble,
            tick_done=self._answer_tick,
        )
        try:
            self._refuse_without_policy()
            await self._all_up()
            await self._runner.run(episode, hooks)
        except VlaMbpoError as error:
            episode.problems.append(str(error))
        finally:
            self._busy = False
        return self._conclude(handle, episode)

    def _answer_tick(self, sim: SimState, leaving: bool) -> None:
        if self.simulated:
            self._tick_done.publish(TickDone(stamp=sim.header.stamp, node=NAME, leaving=leaving))

    def _refuse_without_policy(self) -> None:
        if self._full(EXECUTOR) not in self._roster.members:
            raise GraphError("This graph has no policy: nobody would act.", "Start it with one, as policy:=scripted.")

    async def _all_up(self) -> None:
        up = await self._calls.until(lambda: not self._roster.problems(time.monotonic()), UP_S)
        if not up:
            raise GraphError(" ".join(self._roster.problems(time.monotonic())), "See the logs of these nodes.")

    def _episode(self, goal: Any) -> Episode:
        return Episode(
            instruction=goal.instruction or self.cfg.instruction,
            seed=goal.seed,
            max_s=goal.max_duration_s or self.cfg.supervisor.max_episode_s,
            record=goal.record,
            simulated=self.simulated,
        )

    @staticmethod
    def _feedback(handle: ServerGoalHandle, phase: str, episode: Episode) -> None:
        feedback = RunEpisode.Feedback(phase=phase, step=episode.steps, elapsed_s=episode.duration_s)
        handle.publish_feedback(feedback)

    def _conclude(self, handle: ServerGoalHandle, episode: Episode) -> RunEpisode.Result:
        if episode.problems:
            self.complain(f"Episode {episode.episode_id or 'not begun'}: {' '.join(episode.problems)}")
        if episode.cancelled:
            handle.canceled()
        elif episode.problems:
            handle.abort()
        else:
            handle.succeed()
        return RunEpisode.Result(
            success=not episode.problems,
            message=" ".join(episode.problems),
            outcome=episode.outcome,
            episode_id=episode.episode_id,
            bag_path=episode.bag_path,
            steps=episode.steps,
            duration_s=episode.duration_s,
        )

    def _full(self, name: str) -> str:
        namespace = self.get_namespace().rstrip("/")
        return name if name.startswith("/") else f"{namespace}/{name}"


def main() -> None:
    run(SupervisorNode)


if __name__ == "__main__":
    main()
