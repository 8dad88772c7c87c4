"""Whatever is done to the gate, in any order, what it lets through keeps these laws:

- every command is finite, inside the position limits and inside the velocity limits;
- no position moves by more than the step limit from the last executed target (after arming: from the arm);
- a hold moves no position and stops every velocity joint;
- nothing but a hold comes out while disarmed, stopped, without a deadman or without fresh joint states;
- one source at a time: what passes comes from the holder of the lease.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vla_mbpo_ros.config import GateConfig
from vla_mbpo_ros.control import Gate, GateState, Refusal
from vla_mbpo_ros.errors import VlaMbpoError
from vla_mbpo_ros.robots import Joint, RobotSpec
from vla_mbpo_ros.schema import Command, FloatArray, JointState, Mode

DT_NS = 20_000_000
CFG = GateConfig(armed=True, require_deadman=True, velocity_scale=0.4)
ROBOT = RobotSpec(
    "mixed",
    "A robot for tests",
    (
        Joint("shoulder", -1.0, 2.0, 3.0),
        Joint("wheel", -1e9, 1e9, 2.0, mode=Mode.VELOCITY),
        Joint("gripper", 0.0, 0.08, 0.3, unit="m"),
    ),
    (),
    50.0,
)
SPEED = ROBOT.max_velocity * CFG.velocity_scale
POSITION = ~ROBOT.is_velocity
EPSILON = 1e-9

number = st.one_of(st.floats(-2.0, 3.0), st.floats(), st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308]))
good = st.tuples(st.floats(-2.0, 3.0), st.floats(-9.0, 9.0), st.floats(-0.1, 0.2))
vector = st.one_of(good, st.lists(number, min_size=0, max_size=5))
place = st.tuples(st.floats(-1.0, 2.0), st.just(0.0), st.floats(0.0, 0.08))


class AnythingGoes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(ROBOT, CFG, DT_NS)
        self.now_ns, self.steady_ns = 5_000_000_000, 0
        self.last: FloatArray | None = None  # positions that the arm was told, or None: it is told anew
        self.measured: FloatArray | None = None
        self.was_armed = True

    @initialize(position=place)
    def begin(self, position: tuple[float, ...]) -> None:
        self.observe(position)
        self.time_passes(1, 1)

    @rule(values=good, source=st.sampled_from(["policy", "policy", "human"]))
    def drive(self, values: tuple[float, ...], source: str) -> None:
        """What a sane source does: one command at each tick."""
        self.time_passes(1, 1)
        self.offer(list(values), source, "mixed", 0)

    @rule(
        values=vector,
        source=st.sampled_from(["policy", "policy", "human", "hold", "stranger"]),
        robot=st.sampled_from(["mixed"] * 9 + ["other"]),
        offset_ns=st.sampled_from([0] * 8 + [-DT_NS, DT_NS, -(10**9), 10**9]),
    )
    def offer(self, values: list[float], source: str, robot: str, offset_ns: int) -> None:
        before = self.gate.tick(self.now_ns, self.steady_ns), self.gate.state(self.now_ns)
        command = Command(self.now_ns + offset_ns, source, np.array(values, dtype=np.float64))
        outcome = self.gate.offer(command, robot, self.now_ns, self.steady_ns)
        if isinstance(outcome, Refusal):
            assert outcome.cause
            assert outcome.cure
            return
        assert before[1] in (GateState.FREE, GateState.OBEYING)
        assert robot == "mixed"
        assert outcome.source == source == self.gate.holder
        self._check(outcome)

    @rule()
    def hold(self) -> None:
        command = self.gate.hold(self.now_ns)
        if command is None:
            assert self.measured is None
            return
        assert (command.values[~POSITION] == 0.0).all()
        where = self.last if self.last is not None else self.measured
        assert where is not None
        np.testing.assert_array_equal(command.values[POSITION], where[POSITION])
        self._check(command)

    def _check(self, command: Command) -> None:
        values = command.values
        assert np.isfinite(values).all()
        assert (values >= ROBOT.low)[POSITION].all()
        assert (values <= ROBOT.high)[POSITION].all()
        assert (np.abs(values) <= SPEED + EPSILON)[~POSITION].all()
        start = self.last if self.last is not None else self.measured
        assert start is not None
        step = np.abs(values - start)[POSITION]
        assert (step <= SPEED[POSITION] * DT_NS * 1e-9 + EPSILON).all()
        self.last = values

    @rule(position=place)
    def observe(self, position: tuple[float, ...]) -> None:
        self.measured = np.array(position)
        self.gate.observe(JointState(self.now_ns, self.measured, np.zeros(3)))

    @rule()
    def observe_rubbish(self) -> None:
        for bad in (np.full(3, math.nan), np.zeros(2)):
            with pytest.raises(VlaMbpoError):
                self.gate.observe(JointState(self.now_ns, bad, bad))

    @rule(ticks=st.sampled_from([1, 1, 1, 2, 30]), steady=st.sampled_from([1, 1, 1, 150]))
    def time_passes(self, ticks: int, steady: int) -> None:
        """The usual tick: time, a fresh joint state, a pressed deadman."""
        self.now_ns += ticks * DT_NS
        self.steady_ns += steady * DT_NS
        if self.measured is not None:
            self.gate.observe(JointState(self.now_ns, self.measured, np.zeros(3)))
        self.gate.deadman(True, self.now_ns)

    @rule(jump_ns=st.integers(-(10**9), 10**9))
    def time_jumps(self, jump_ns: int) -> None:
        self.gate.tick(self.now_ns, self.steady_ns)
        self.now_ns += jump_ns
        self.gate.tick(self.now_ns, self.steady_ns)
        if jump_ns < 0:
            self.last = None

    @precondition(lambda self: self.gate.state(self.now_ns) is not GateState.OBEYING)
    @rule()
    def recover(self) -> None:
        """Everything that a person does to get going again."""
        self.estop(False)
        self.gate.reset_estop()
        self.arm(True)
        self.time_passes(1, 1)

    @rule(on=st.booleans())
    def arm(self, on: bool) -> None:
        was = self.gate.safety(self.now_ns).armed
        if self.gate.arm(on) is None and on and not was:
            self.last = None

    @rule(pressed=st.booleans())
    def estop(self, pressed: bool) -> None:
        self.gate.estop(pressed)
        if pressed:
            assert self.gate.state(self.now_ns) is GateState.ESTOPPED

    @rule()
    def reset_estop(self) -> None:
        self.gate.reset_estop()

    @rule(pressed=st.booleans())
    def deadman(self, pressed: bool) -> None:
        self.gate.deadman(pressed, self.now_ns)

    @rule()
    def rebase(self) -> None:
        self.gate.rebase()
        self.last = None

    @invariant()
    def says_who_and_why(self) -> None:
        safety = self.gate.safety(self.now_ns)
        assert safety.control_source in ("", *CFG.sources)
        assert not (safety.armed and safety.estop)
        if safety.control_source == "":
            assert safety.holding
            assert safety.reason


AnythingGoes.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnythingGoes = AnythingGoes.TestCase
