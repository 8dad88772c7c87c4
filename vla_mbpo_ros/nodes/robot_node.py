"""The only gate to the arm: takes commands of whoever holds the lease, limits them, holds when there are none."""

from __future__ import annotations

import time
from typing import Any

from sensor_msgs.msg import JointState as JointStateMessage
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.control.gate import Gate
from vla_mbpo_ros.control.pace import Pace
from vla_mbpo_ros.control.safety import GateState, Refusal
from vla_mbpo_ros.devices.arms.sink import SinkArm
from vla_mbpo_ros.errors import ConfigError, DeviceError, VlaMbpoError
from vla_mbpo_ros.messages.joints import (
    decode_command,
    decode_joint_state,
    encode_command,
    encode_joint_state,
)
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.messages.status import encode_status
from vla_mbpo_ros.msg import ExecutorStatus, JointCommand, SafetyState, SimState
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.external_command import external_command
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.schema import Command, JointState

WATCH_S = 0.02  # period of the watchdog, on steady time
EARLY = 9  # commands that are kept for a tick that has not begun, beside the newest
SAFETY_S = 0.1  # longest time between two safety states


class RobotNode(ManagedNode):
    SECTIONS = ("gate",)

    def __init__(self) -> None:
        super().__init__("robot_node")

    def build(self) -> None:
        self._dt_ns = round(1e9 / self.cfg.control_hz)
        if self.cfg.gate.armed and not self.simulated:
            raise ConfigError("gate.armed is for simulations only.", "Arm a robot by the service robot/arm.")
        self._gate = Gate(self.robot, self.cfg.gate, self._dt_ns)
        self._state_ns = 0  # stamp of the newest joint state
        self._told_ns = 0  # stamp of the newest executed command
        self._pace = Pace(self._dt_ns)
        self._sim, self._sim_episode = SimState(), 0  # lock-step: the newest tick
        self._tick_s = 0.0  # steady time at which it began
        self._executor: ExecutorStatus | None = None  # its newest word; None: nobody waits for it
        self._tick_state: JointState | None = None  # a joint state whose tick has not begun
        self._early: list[JointCommand] = []  # commands for such a tick
        self._safety_s = 0.0  # steady time of the last safety state
        self._control_source: str | None = None
        self._make_entities()
        if self.cfg.gate.driver == "sink":
            self._sink = SinkArm(self.robot, self._dt_ns * 1e-9)
            self.every(self._dt_ns * 1e-9, self._move_sink)

    def start(self) -> None:
        self._publish_safety()

    def stop(self) -> None:
        """The last word to a robot is to stay where it is: a base that was told a velocity would drive on."""
        if not self.simulated:
            self._gate.arm(False)
            last = self._gate.hold(self.now_ns())
            if last is not None:
                self._execute(last)
                self.until_received(self._external_pub if self._external else self._executed_pub)

    def changed(self, cfg: Config) -> None:
        if hasattr(self, "_gate"):
            self._gate.configure(cfg.gate)

    def diagnose(self, status: diagnostics.Status) -> None:
        safety = self._gate.safety(self.now_ns())
        if safety.estop or (safety.holding and safety.armed):
            status.summary(diagnostics.WARN, f"Holding. {safety.reason}")
        status.add("armed", str(safety.armed))
        status.add("control source", safety.control_source or "nobody")
        for name in ("commands_passed", "commands_limited", "commands_refused"):
            status.add(name.replace("_", " "), str(getattr(safety, name)))

    def _make_entities(self) -> None:
        gate = self.cfg.gate
        self._joints_pub = self.pub(JointStateMessage, "joint_states", qos.STATE)
        self._executed_pub = self.pub(JointCommand, "robot/executed_command", qos.EVENT)
        self._safety_pub = self.pub(SafetyState, "robot/safety_state", qos.LATCHED)
        self._source_pub = self.pub(String, "control_source", qos.LATCHED)
        self._external = external_command(gate.command_type, self.robot)
        if self._external:
            self._external_pub = self.pub(self._external.kind, "driver/command", qos.COMMAND)
        if gate.driver == "topics":
            self._joints_watch = self.watch("driver/joint_states", gate.max_state_age_s)
            self.sub(JointStateMessage, "driver/joint_states", self._on_driver_joints, qos.STATE)
        self.sub(JointCommand, "joint_command", self._on_command, qos.STATE)
        self.sub(ExecutorStatus, "executor/status", self._on_executor_status, qos.EVENT)
        self.sub(Bool, "estop", self._on_estop, qos.LATCHED)
        self.sub(Bool, "deadman", lambda message: self._gate.deadman(message.data, self.now_ns()), qos.COMMAND)
        if self.simulated:
            self.sub(SimState, "sim/state", self._on_sim_state, qos.EVENT)
        self.serve(SetBool, "robot/arm", self._on_arm)
        self.serve(Trigger, "robot/reset_estop", self._on_reset_estop)
        self.every(WATCH_S, self._on_watch)

    # -- the arm speaks ------------------------------------------------------------------------------------------

    def _on_driver_joints(self, message: JointStateMessage) -> None:
        state = decode_joint_state(message, self.robot)
        self._joints_watch.tick(state.stamp_ns, self.now_ns())
        if self.simulated:
            self._tick_state = state
            self._begin_tick()
        else:
            self._observe(state)

    def _observe(self, state: JointState) -> None:
        """A new joint state: with nobody in control it is answered by a hold at once."""
        self._gate.observe(state)
        self._state_ns, self._tick_s = state.stamp_ns, time.monotonic()
        self._joints_pub.publish(encode_joint_state(state, self.robot, JointStateMessage))
        self._hold_if_free()

    def _on_sim_state(self, message: SimState) -> None:
        self._sim = message
        self._begin_tick()

    def _begin_tick(self) -> None:
        """Lock-step: a tick begins when both its joint state and its sim/state are here, in whatever order."""
        state = self._tick_state
        if state is None or to_ns(self._sim.header.stamp) < state.stamp_ns:
            return
        self._tick_state = None
        if self._sim.episode != self._sim_episode:  # a reset put the arm elsewhere
            self._sim_episode = self._sim.episode
            self._gate.rebase()
        self._observe(state)
        early, self._early = self._early, []
        for message in early:
            self._on_command(message)

    def _on_executor_status(self, message: ExecutorStatus) -> None:
        """An executor that has nothing to command gives its lease back at once; nobody needs to wait for it."""
        self._executor = message
        if not _commands(message):
            self._gate.release("policy")
        self._hold_if_free()

    def _move_sink(self) -> None:
        position, velocity = self._sink.read()
        self._observe(JointState(self.now_ns(), position, velocity))

    # -- sources ask ---------------------------------------------------------------------------------------------

    def _on_command(self, message: JointCommand) -> None:
        now_ns = self._time_ns()
        if self.simulated and to_ns(message.header.stamp) > now_ns:
            self._early = [*self._early[-EARLY:], message]  # it overtook the joint state of its tick
            return
        try:
            command = decode_command(message, self.robot)
        except VlaMbpoError as error:
            outcome: Command | Refusal = self._gate.refuse(message.source, error, now_ns)
        else:
            outcome = self._gate.offer(command, message.robot_id, now_ns, time.monotonic_ns())
        if isinstance(outcome, Command):
            self._execute(outcome)
            return
        if outcome.hold:
            self._hold()
        if not outcome.expected:
            self.complain(str(outcome))

    def _on_watch(self) -> None:
        self._hold_if_free()
        if time.monotonic() - self._safety_s >= SAFETY_S:
            self._publish_safety()

    # -- the arm is told -----------------------------------------------------------------------------------------

    def _hold_if_free(self) -> None:
        if self._gate.tick(self._time_ns(), time.monotonic_ns()) and not self._executor_may_command():
            self._hold()

    def _executor_may_command(self) -> bool:
        """Lock-step: whether an armed robot is to wait for the executor's word on this tick, or for its command.

        A hold before that would make it a matter of the machine's speed which command is the first.
        """
        word = self._executor
        if not self.simulated or word is None or self._gate.state(self._state_ns) is not GateState.FREE:
            return False
        if time.monotonic() - self._tick_s > self.cfg.gate.stall_s:
            self._executor = None
            return False
        return self._told_ns < self._state_ns and (to_ns(word.header.stamp) < self._state_ns or _commands(word))

    def _hold(self) -> None:
        """Hold, once a tick in simulation, at the control rate otherwise."""
        now_ns = self._time_ns()
        if now_ns == self._told_ns if self.simulated else not self._pace.is_due(now_ns):
            return
        command = self._gate.hold(now_ns)
        if command is not None:
            self._execute(command)

    def _execute(self, command: Command) -> None:
        self._told_ns = command.stamp_ns
        self._pace.done(command.stamp_ns)
        self._executed_pub.publish(encode_command(command, self.robot, JointCommand))
        if self._external:
            self._external_pub.publish(self._external.encode(command))
        if self.cfg.gate.driver == "sink":
            self._sink.write(command.values)
        if self._gate.holder != self._control_source:
            self._publish_safety()

    def _publish_safety(self) -> None:
        self._safety_s = time.monotonic()
        self._safety_pub.publish(encode_status(self._gate.safety(self._time_ns()), SafetyState))
        if self._gate.holder != self._control_source:
            self._control_source = self._gate.holder
            self._source_pub.publish(String(data=self._control_source))

    def _time_ns(self) -> int:
        """In lock-step the tick is the stamp of the newest joint state: `/clock` may come a moment later."""
        return self._state_ns if self.simulated else self.now_ns()

    # -- people decide -------------------------------------------------------------------------------------------

    def _on_estop(self, message: Bool) -> None:
        self._gate.estop(message.data)
        if message.data:
            self.get_logger().error("Emergency stop: the arm holds. Release it and call robot/reset_estop.")
            self._hold()
        self._publish_safety()

    def _on_arm(self, request: SetBool.Request, response: SetBool.Response) -> None:
        if request.data and not self.simulated and self.count_publishers("/clock"):
            raise DeviceError(
                "Somebody publishes /clock: a simulation is in reach of this robot.",
                "Stop it, or start it with sim:=true, which keeps it on its own machine.",
            )
        self._answer(response, self._gate.arm(request.data), "Armed." if request.data else "Disarmed.")

    def _on_reset_estop(self, _: Trigger.Request, response: Trigger.Response) -> None:
        self._answer(response, self._gate.reset_estop(), "Emergency stop reset; the robot is disarmed.")

    def _answer(self, response: Any, refusal: Refusal | None, done: str) -> None:
        response.success, response.message = refusal is None, str(refusal) if refusal else done
        self._on_watch()
        self._publish_safety()


def _commands(status: ExecutorStatus) -> bool:
    return status.state in (ExecutorStatus.RUNNING, ExecutorStatus.BLENDING)


def main() -> None:
    run(RobotNode)


if __name__ == "__main__":
    main()
