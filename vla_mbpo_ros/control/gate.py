"""The gate: the only way of a command to the arm.

    state      entered by                              the arm is told      left by
    ---------------------------------------------------------------------------------------------------------
    ESTOPPED   estop(True), from anywhere              hold                 reset_estop(), once released
    DISARMED   start, arm(False), reset_estop()        hold                 arm(True)
    BLOCKED    armed, but the deadman is released      hold                 both are well again: FREE
               or silent for lease_s, or the joint
               states are older than max_state_age_s
    FREE       armed and well, nobody has the lease    hold                 a command without fault: OBEYING
    OBEYING    a source has the lease                  its commands,        lease_s of silence in graph time,
                                                       within the limits    stall_s in steady time, release():
                                                                            FREE; any state above

Hold means: the last executed position (before the first: the measured one), and zero for velocity joints.
A refused command moves nothing and does not renew the lease. The states above OBEYING take the lease away.
Arming forgets the last target, so the first command after it starts from the measured position.

Speed is bounded in time, not only from command to command: with T the stamp of the last executed command,
    |q - q_last| <= max_velocity * velocity_scale * min(stamp - T, control period)
and stamps of one source must rise. A source that sends ten times too often does not move ten times as fast.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vla_mbpo_ros.config import GateConfig
from vla_mbpo_ros.control import command_checks
from vla_mbpo_ros.control.arm_track import ArmTrack
from vla_mbpo_ros.control.interlock import Interlock
from vla_mbpo_ros.control.lease import NOBODY, Lease
from vla_mbpo_ros.control.safety import GateState, Refusal, SafetyState
from vla_mbpo_ros.errors import VlaMbpoError
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import Command, JointState

HOLD = "hold"
_NS = 1e9
_REFUSAL_SHOWN_NS = 1_000_000_000  # the last refusal is reported for this long


class Gate:
    def __init__(self, robot: RobotSpec, cfg: GateConfig, control_dt_ns: int) -> None:
        """Commands for any other robot than `robot.id` are refused."""
        self._robot, self._robot_id = robot, robot.id
        self._arm = ArmTrack(robot, control_dt_ns)
        self._lease = Lease(cfg.sources, 0)
        self._interlock = Interlock(cfg.armed, cfg.require_deadman, 0)
        self._stamps: dict[str, int] = {}  # source -> stamp of its last executed command
        self._answered_ns: int | None = None  # the tick that was last answered, also by a hold
        self._now_ns: int | None = None
        self._alive_steady_ns = 0  # last time that the holder of the lease took it or was obeyed
        self._passed = self._limited = self._refused = 0
        self._refusal: tuple[str, str, int] | None = None  # source, text, time
        self._why_free = ""
        self._held = True  # the arm was last told to hold
        self.configure(cfg)

    def configure(self, cfg: GateConfig) -> None:
        """New settings, from the next command on. `armed` is for the start only."""
        self._cfg = cfg
        length_ns = round(cfg.lease_s * _NS)
        self._lease.sources, self._lease.length_ns = cfg.sources, length_ns
        self._interlock.require_deadman, self._interlock.deadman_ns = cfg.require_deadman, length_ns
        if self._lease.holder not in cfg.sources:
            self._lease.release()

    # What people decide. Afterwards ask `tick` whether the arm is to be held.

    def arm(self, on: bool) -> Refusal | None:
        """Let commands pass, or not. None: done."""
        was_armed = self._interlock.armed
        refusal = self._interlock.arm(on)
        if refusal is None and on and not was_armed:
            self.rebase()
        if not self._interlock.armed:
            self._lease.release()
        return refusal

    def estop(self, pressed: bool) -> None:
        """The button. Pressing latches and disarms; releasing alone changes nothing."""
        self._interlock.set_estop(pressed)
        if pressed:
            self._lease.release()

    def reset_estop(self) -> Refusal | None:
        """Unlatch; the robot stays disarmed. Refused while the button is pressed."""
        return self._interlock.reset_estop()

    def deadman(self, pressed: bool, now_ns: int) -> None:
        """To be said again at least every lease_s while it is pressed."""
        self._interlock.set_deadman(pressed, now_ns)

    # What the arm says.

    def observe(self, state: JointState) -> None:
        """The arm's own joint states. Wrong ones are not taken: then the last good one grows stale."""
        self._arm.observe(state)

    def rebase(self) -> None:
        """The arm was placed anew (simulator reset, a hand): hold and limits start from where it is."""
        self._arm.rebase()
        self._stamps.clear()

    # What sources ask.

    def offer(self, command: Command, robot_id: str, now_ns: int, steady_ns: int) -> Command | Refusal:
        """What the arm is to be told, or why not. `robot_id` is the one that the command carries."""
        self.tick(now_ns, steady_ns)
        refusal = self._why_not(command, robot_id, now_ns) or self._take_turn(command, now_ns, steady_ns)
        if refusal is not None:
            return self._refuse(command.source, refusal, now_ns)
        return self._execute(command, now_ns, steady_ns)

    def refuse(self, source: str, error: VlaMbpoError, now_ns: int) -> Refusal:
        """Count a command that could not even be decoded."""
        return self._refuse(source, Refusal(error.cause, error.cure), now_ns)

    def release(self, source: str) -> None:
        """`source` has nothing more to say; the arm need not wait for its lease to expire."""
        if self._lease.holder == source:
            self._lease.release()
            self._why_free = f"'{source}' has nothing to command."

    # The node's own turn.

    def tick(self, now_ns: int, steady_ns: int) -> bool:
        """Let what is over be over. True: the arm is to be held, send `hold(now_ns)`."""
        self._watch_clock(now_ns)
        if self._blocked(now_ns) is not None:
            self._lease.release()
        self._expire(now_ns, steady_ns)
        return self._lease.holder == NOBODY

    def hold(self, now_ns: int) -> Command | None:
        """Stay where you are. None before the first joint state: nothing is known that could be held."""
        self._watch_clock(now_ns)
        values = self._arm.hold()
        if values is None:
            return None
        self._answered_ns = now_ns
        self._held = True
        return Command(now_ns, HOLD, values)

    @property
    def holder(self) -> str:
        """Who holds the lease; "" for nobody."""
        return self._lease.holder

    def state(self, now_ns: int) -> GateState:
        if self._interlock.estop:
            return GateState.ESTOPPED
        if not self._interlock.armed:
            return GateState.DISARMED
        if self._blocked(now_ns) is not None:
            return GateState.BLOCKED
        return GateState.OBEYING if self._lease.holder else GateState.FREE

    def safety(self, now_ns: int) -> SafetyState:
        obeying = self.state(now_ns) is GateState.OBEYING
        return SafetyState(
            stamp_ns=now_ns,
            robot_id=self._robot_id,
            armed=self._interlock.armed,
            estop=self._interlock.estop,
            deadman_ok=self._interlock.deadman_ok(now_ns),
            holding=self._held or not obeying,
            control_source=self._lease.holder if obeying else NOBODY,
            reason=self._reason(now_ns, obeying),
            commands_passed=self._passed,
            commands_limited=self._limited,
            commands_refused=self._refused,
            state_age_s=self._arm.age_s(now_ns),
        )

    def _why_not(self, command: Command, robot_id: str, now_ns: int) -> Refusal | None:
        return (
            self._blocked(now_ns)
            or command_checks.check_address(command, robot_id, self._robot_id, self._lease.sources)
            or command_checks.check_values(command, self._robot)
            or command_checks.check_age(command, now_ns, self._cfg.max_command_age_s)
        )

    def _take_turn(self, command: Command, now_ns: int, steady_ns: int) -> Refusal | None:
        """Take or renew the lease, if the tick is a new one.

        Of a tick that is answered already, a newcomer still takes the lease: so a human stops the policy at
        once, and in lock-step, where a free arm is held without waiting, the next tick waits for it.
        """
        source, holder = command.source, self._lease.holder
        if not self._lease.free_for(source):
            return Refusal(
                f"'{source}' is overridden by '{holder}'.",
                f"Wait until '{holder}' has been silent for {self._cfg.lease_s:g} s.",
                expected=True,
            )
        late = self._late(command)
        if late is not None and source == holder:
            return late
        self._lease.take(source, now_ns)
        self._alive_steady_ns = steady_ns
        return replace(late, expected=True) if late else None

    def _late(self, command: Command) -> Refusal | None:
        last_ns = max(self._stamps.get(command.source, -1), -1 if self._answered_ns is None else self._answered_ns)
        if command.stamp_ns > last_ns:
            return None
        return Refusal(
            f"The tick {command.stamp_ns / _NS:.3f} s of '{command.source}' is answered already.",
            "Send one command a tick with rising stamps, and run one sender only.",
            hold=False,
        )

    def _execute(self, command: Command, now_ns: int, steady_ns: int) -> Command:
        wanted = np.asarray(command.values, dtype=np.float64)
        values, clipped = self._arm.move(wanted, command.stamp_ns, self._cfg.velocity_scale)
        self._answered_ns = self._stamps[command.source] = command.stamp_ns
        self._alive_steady_ns = steady_ns
        self._held = False
        self._passed += 1
        self._limited += clipped
        if self._refusal is not None and self._refusal[0] == command.source:
            self._refusal = None
        return replace(command, values=values)

    def _refuse(self, source: str, refusal: Refusal, now_ns: int) -> Refusal:
        self._refused += 1
        self._refusal = (source, str(refusal), now_ns)
        return replace(refusal, hold=refusal.hold and self._lease.holder in (NOBODY, source))

    def _blocked(self, now_ns: int) -> Refusal | None:
        """Why nothing may pass, whoever asks."""
        return self._interlock.why_not(now_ns) or self._arm.stale(now_ns, self._cfg.max_state_age_s)

    def _expire(self, now_ns: int, steady_ns: int) -> None:
        silent = self._lease.expire(now_ns)
        if silent:
            self._why_free = f"'{silent}' was silent for {self._cfg.lease_s:g} s: is it alive?"
        elif self._lease.holder and steady_ns - self._alive_steady_ns > self._cfg.stall_s * _NS:
            stalled = self._lease.release()
            self._why_free = f"'{stalled}' stalled for {self._cfg.stall_s:g} s of steady time: are it and /clock alive?"

    def _watch_clock(self, now_ns: int) -> None:
        """Time that goes back is another run of the world: what was told before says nothing."""
        if self._now_ns is not None and now_ns < self._now_ns:
            self._lease.release()
            self.rebase()
            self._why_free = "Time went back: waiting for new commands."
        self._now_ns = now_ns

    def _reason(self, now_ns: int, obeying: bool) -> str:
        blocked = self._blocked(now_ns)
        if blocked is not None:
            return str(blocked)
        if self._refusal is not None and 0 <= now_ns - self._refusal[2] <= _REFUSAL_SHOWN_NS:
            return self._refusal[1]
        if obeying:
            return ""
        return self._why_free or f"Nobody commands: waiting for {' or '.join(self._lease.sources)}."
