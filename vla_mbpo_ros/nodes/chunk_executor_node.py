"""Action chunks in, one joint command at every control tick out."""

from __future__ import annotations

import time
from collections import deque

from sensor_msgs.msg import JointState as JointStateMessage
from std_srvs.srv import SetBool

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.control.executor import ChunkExecutor
from vla_mbpo_ros.errors import VlaMbpoError
from vla_mbpo_ros.messages.chunks import decode_chunk
from vla_mbpo_ros.messages.joints import decode_joint_state, encode_command
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.messages.status import encode_status
from vla_mbpo_ros.msg import (
    ActionChunk,
    ExecutorStatus,
    JointCommand,
    SimState,
    TickDone,
)
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.schema import JointState

KEPT = 16  # ids of chunks; strangers' chunks may come between the policy's
POLL_S = 0.05  # how often a waiting tick looks at its deadline, on steady time


class ChunkExecutorNode(ManagedNode):
    SECTIONS = ("executor", "sim.inference_latency_s")

    def __init__(self) -> None:
        super().__init__("chunk_executor_node")

    def build(self) -> None:
        self._dt_ns = round(1e9 / self.cfg.control_hz)
        self._latency_ns = round(self.cfg.sim.inference_latency_s * 1e9) if self.simulated else 0
        self._executor = ChunkExecutor(self.robot, self.cfg.executor, self._dt_ns, self._latency_ns)
        self._arrived: deque[int] = deque(maxlen=KEPT)  # ids of the chunks that came last, accepted or not
        self._joints: JointState | None = None  # the newest; lock-step: None also when nobody waits for them
        self._command_pub = self.pub(JointCommand, "joint_command", qos.COMMAND)
        self._status_pub = self.pub(ExecutorStatus, "executor/status", qos.EVENT)
        self.sub(ActionChunk, "policy/action_chunk", self._on_chunk, qos.EVENT)
        self.sub(JointStateMessage, "joint_states", self._on_joints, qos.STATE)
        self.serve(SetBool, "executor/enable", self._on_enable)
        if self.simulated:
            self._follow_clock()
        else:
            self.every(self._dt_ns * 1e-9, lambda: self._tick(self.now_ns()))

    def changed(self, cfg: Config) -> None:
        if hasattr(self, "_executor"):
            self._executor.configure(cfg.executor)

    def diagnose(self, status: diagnostics.Status) -> None:
        now = self._executor.status(self.now_ns())
        status.add("state", now.state.name.lower())
        status.add("chunk latency [s]", f"{now.latency_s:.4f}")
        status.add("largest step [rad or m]", f"{now.largest_step:.5f}")
        status.add("seam step [rad or m]", f"{now.seam_step:.5f} at {now.seam_joint}")
        if now.chunks_refused:
            status.add("chunks refused", str(now.chunks_refused))

    def _on_chunk(self, message: ActionChunk) -> None:
        self._arrived.append(message.chunk_id)
        try:
            chunk = decode_chunk(message, self.robot)
        except VlaMbpoError as error:
            self._executor.refuse(error)
            self.complain(error)
        else:
            self._add(chunk)
        self._advance()

    def _add(self, chunk: object) -> None:
        try:
            self._executor.add(chunk, self.now_ns())  # type: ignore[arg-type]
        except VlaMbpoError as error:
            self.complain(error)

    def _on_joints(self, message: JointStateMessage) -> None:
        self._joints = decode_joint_state(message, self.robot)
        self._advance()

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> None:
        if request.data:
            self._executor.enable()
        else:
            self._executor.disable()
        response.success, response.message = True, "Commanding." if request.data else "Not commanding."

    def _tick(self, now_ns: int) -> None:
        if self._joints is not None:
            self._executor.start_from(self._joints.position)
        command = self._executor.command(now_ns)
        if command is not None:
            self._command_pub.publish(encode_command(command, self.robot, JointCommand))
        self._status_pub.publish(encode_status(self._executor.status(now_ns), ExecutorStatus))

    # -- lock-step: a tick waits for its joint state and for the policy's answer to all that could matter for it ---

    def _follow_clock(self) -> None:
        self._pending_ns: int | None = None  # the tick that waits
        self._since_s = 0.0  # steady time since when it does
        self._sim_episode = 0
        self._answered: TickDone | None = None  # the policy's newest answer; None: it does not take part
        self.sub(SimState, "sim/state", self._on_sim_state, qos.EVENT)
        self.sub(TickDone, "sim/tick_done", self._on_tick_done, qos.EVENT)
        self.every(POLL_S, self._advance)

    def _on_sim_state(self, message: SimState) -> None:
        """A new tick."""
        tick_ns = to_ns(message.header.stamp)
        if message.episode != self._sim_episode:  # a reset put the arm elsewhere
            self._sim_episode = message.episode
            self._executor.reset(tick_ns)
        self._pending_ns, self._since_s = tick_ns, time.monotonic()
        self._advance()

    def _on_tick_done(self, message: TickDone) -> None:
        if message.node == "policy":
            self._answered = None if message.leaving else message
            self._advance()

    def _advance(self) -> None:
        if not self.simulated or self._pending_ns is None:
            return
        missing = self._missing(self._pending_ns)
        if not missing or self._waited_too_long(missing):
            tick_ns, self._pending_ns = self._pending_ns, None
            self._tick(tick_ns)

    def _missing(self, tick_ns: int) -> str:
        """Whose word this tick waits for; nobody's while nothing would be commanded."""
        if not self._executor.enabled:
            return ""
        if self._joints is not None and self._joints.stamp_ns < tick_ns:
            return "robot_node"
        answer = self._answered
        if answer is None:
            return ""
        arrived = answer.chunk_id in (0, *self._arrived)
        return "" if arrived and to_ns(answer.stamp) >= tick_ns - self._latency_ns else "policy_node"

    def _waited_too_long(self, missing: str) -> bool:
        waited_s = time.monotonic() - self._since_s
        if waited_s < self.cfg.executor.policy_wait_s:
            return False
        self._joints = self._answered = None
        self.complain(f"No word from {missing} for {waited_s:.1f} s; going on without. See its log.")
        return True


def main() -> None:
    run(ChunkExecutorNode)


if __name__ == "__main__":
    main()
