"""The gate, example by example. Its laws under anything that may come are in test_gate_laws.py."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from vla_mbpo_ros.config import GateConfig
from vla_mbpo_ros.control import Gate, GateState, Refusal
from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import Command, FloatArray, JointState

DT_NS = 20_000_000  # 50 Hz
T0_NS = 5_000_000_000
CFG = GateConfig(armed=True, velocity_scale=0.5)


class Bench:
    """A gate, its clock, and an arm that stands where it is told to."""

    def __init__(self, robot: RobotSpec, cfg: GateConfig = CFG) -> None:
        self.robot, self.gate = robot, Gate(robot, cfg, DT_NS)
        self.now_ns, self.steady_ns = T0_NS, 0
        self.position = robot.home.copy()
        self.observe()

    def observe(self) -> None:
        self.gate.observe(JointState(self.now_ns, self.position.copy(), np.zeros(self.robot.dof)))

    def wait(self, ticks: int = 1) -> None:
        self.now_ns += ticks * DT_NS
        self.steady_ns += ticks * DT_NS
        self.observe()

    def offer(self, values: FloatArray | None = None, source: str = "policy", **changes: int) -> Command | Refusal:
        wanted = self.robot.home if values is None else values
        command = Command(changes.get("stamp_ns", self.now_ns), source, wanted, chunk_id=3, step=2)
        return self.gate.offer(command, self.robot.name, self.now_ns, self.steady_ns)

    def tick(self) -> bool:
        return self.gate.tick(self.now_ns, self.steady_ns)


@pytest.fixture
def bench(mixed: RobotSpec) -> Bench:
    return Bench(mixed)


def passed(outcome: Command | Refusal) -> Command:
    assert isinstance(outcome, Command), outcome
    return outcome


def refused(outcome: Command | Refusal, words: str) -> Refusal:
    assert isinstance(outcome, Refusal)
    assert words in outcome.cause
    assert outcome.cure
    return outcome


def test_a_good_command_passes_unchanged(bench: Bench) -> None:
    values = bench.robot.home + np.array([0.01, 0.5, -0.01, -0.5, 0.0])
    command = passed(bench.offer(values))
    np.testing.assert_array_equal(command.values, values)
    assert (command.source, command.chunk_id, command.step, command.stamp_ns) == ("policy", 3, 2, T0_NS)
    state = bench.gate.safety(bench.now_ns)
    assert (state.armed, state.holding, state.control_source, state.reason) == (True, False, "policy", "")
    assert (state.commands_passed, state.commands_limited, state.commands_refused) == (1, 0, 0)
    assert bench.gate.state(bench.now_ns) is GateState.OBEYING


def test_limits_clip_and_are_counted(bench: Bench) -> None:
    far = passed(bench.offer(np.array([9.0, 9.0, -9.0, -9.0, 9.0]))).values
    step = bench.robot.max_velocity * 0.5 * 0.02
    home = bench.robot.home
    np.testing.assert_allclose(far, [home[0] + step[0], 1.0, home[2] - step[2], -1.0, 0.08])
    assert bench.gate.safety(T0_NS).commands_limited == 1


def test_an_arm_outside_its_limits_comes_back_without_a_jump(bench: Bench) -> None:
    bench.position[2] = -0.5  # the elbow's limit is 0
    bench.observe()
    held = bench.gate.hold(bench.now_ns)
    assert held is not None
    assert held.values[2] == -0.5
    bench.wait()
    moved = passed(bench.offer(np.array([0.5, 0.0, -0.9, 0.0, 0.08])))
    assert moved.values[2] == pytest.approx(-0.5 + 2.0 * 0.5 * 0.02)


def test_speed_is_bounded_in_time_however_many_commands_come(bench: Bench) -> None:
    target = np.array([2.0, 0.0, 0.3, 0.0, 0.08])
    start = passed(bench.offer()).values[0]
    for _ in range(50):  # a tenth of a control period apart
        bench.now_ns += DT_NS // 10
        last = passed(bench.offer(target)).values[0]
    assert last - start == pytest.approx(3.0 * 0.5 * 0.02 * 5)


def test_each_refusal_names_cause_and_cure(bench: Bench) -> None:
    robot, home = bench.robot, bench.robot.home
    foreign = bench.gate.offer(Command(T0_NS, "policy", home), "other", T0_NS, 0)
    refused(foreign, "for the robot 'other', this is 'mixed'")
    refused(bench.offer(source="stranger"), "'stranger' is not known; known: human, policy")
    refused(bench.offer(np.zeros(4)), "shape (4,), mixed has 5 joints")
    refused(bench.offer(np.array([0.0, 0.0, math.nan, 0.0, 0.0])), "nan for elbow")
    refused(bench.offer(np.array([0.0, math.inf, 0.0, 0.0, 0.0])), "inf for wheel_left")
    refused(bench.offer(stamp_ns=T0_NS - 400_000_000), "0.400 s old")
    refused(bench.offer(stamp_ns=T0_NS + 400_000_000), "0.400 s in the future")
    assert bench.gate.safety(T0_NS).commands_refused == 7
    assert bench.gate.holder == ""
    assert bench.gate.refuse("policy", NotFinite("A NaN.", "Mend it."), T0_NS).hold
    assert bench.gate.safety(T0_NS).reason == "A NaN. Mend it."
    assert robot.name in bench.gate.safety(T0_NS).robot_id


def test_without_fresh_joint_states_nothing_passes(mixed: RobotSpec) -> None:
    gate = Gate(mixed, CFG, DT_NS)
    assert gate.hold(T0_NS) is None
    refused(gate.offer(Command(T0_NS, "policy", mixed.home), mixed.name, T0_NS, 0), "No joint state")
    bench = Bench(mixed)
    passed(bench.offer())
    bench.now_ns += 400_000_000
    refused(bench.offer(), "0.4 s old")
    assert bench.gate.holder == ""
    assert bench.gate.state(bench.now_ns) is GateState.BLOCKED
    with pytest.raises(NotFinite, match="shoulder"):
        bench.gate.observe(JointState(bench.now_ns, np.full(5, math.nan), np.zeros(5)))
    with pytest.raises(ContractError, match=r"shape \(4,\)"):
        bench.gate.observe(JointState(bench.now_ns, np.zeros(4), np.zeros(4)))


def test_hold_keeps_positions_and_stops_velocities(bench: Bench) -> None:
    values = bench.robot.home + np.array([0.01, 0.8, 0.01, -0.8, 0.0])
    passed(bench.offer(values))
    bench.position += 0.5  # the arm sags, or is pushed
    bench.wait()
    for _ in range(3):
        command = bench.gate.hold(bench.now_ns)
        assert command is not None
        assert (command.source, command.step, command.chunk_id) == ("hold", -1, 0)
        np.testing.assert_array_equal(command.values, np.where(bench.robot.is_velocity, 0.0, values))


def test_before_any_command_hold_latches_the_measured_position(bench: Bench) -> None:
    first = bench.gate.hold(bench.now_ns)
    bench.position -= 0.05
    bench.wait()
    second = bench.gate.hold(bench.now_ns)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.values, second.values)


def test_after_arming_the_first_command_starts_from_the_measured_position(bench: Bench) -> None:
    passed(bench.offer())
    bench.gate.arm(False)
    assert bench.tick()
    bench.position[0] = -0.7  # moved by hand
    bench.wait()
    refused(bench.offer(), "not armed")
    assert bench.gate.arm(True) is None
    bench.wait()
    first = passed(bench.offer(bench.robot.home))
    assert first.values[0] == pytest.approx(-0.7 + 3.0 * 0.5 * 0.02)


def test_the_estop_latches_disarms_and_wants_to_be_released_first(bench: Bench) -> None:
    passed(bench.offer())
    bench.gate.estop(True)
    assert bench.gate.state(T0_NS) is GateState.ESTOPPED
    assert bench.tick()
    bench.wait()
    refused(bench.offer(), "e-stop")
    assert "still pressed" in str(bench.gate.reset_estop())
    bench.gate.estop(False)
    refused(bench.offer(), "e-stop")
    assert "latched" in str(bench.gate.arm(True))
    assert bench.gate.reset_estop() is None
    refused(bench.offer(), "not armed")
    assert bench.gate.arm(True) is None
    passed(bench.offer())


def test_a_deadman_that_falls_silent_counts_as_released(mixed: RobotSpec) -> None:
    bench = Bench(mixed, replace(CFG, require_deadman=True))
    refused(bench.offer(), "deadman")
    bench.gate.deadman(True, bench.now_ns)
    passed(bench.offer())
    bench.wait(20)
    passed(bench.offer())
    bench.wait(6)  # 0.52 s since it was said
    refused(bench.offer(), "deadman")
    bench.gate.deadman(True, bench.now_ns)
    passed(bench.offer())
    bench.gate.deadman(False, bench.now_ns)
    assert bench.tick()
    assert not bench.gate.safety(bench.now_ns).deadman_ok


def test_a_human_takes_the_lease_at_once_and_the_policy_gets_it_back_after_silence(bench: Bench) -> None:
    passed(bench.offer())
    bench.wait()
    passed(bench.offer(source="human", stamp_ns=bench.now_ns - 1))
    refusal = refused(bench.offer(), "'policy' is overridden by 'human'")
    assert not refusal.hold  # the human goes on
    assert bench.gate.safety(bench.now_ns).control_source == "human"
    bench.wait(25)
    refused(bench.offer(), "overridden")
    bench.wait()
    assert passed(bench.offer()).source == "policy"


def test_silence_in_graph_time_and_a_stall_in_steady_time_end_in_a_hold(bench: Bench) -> None:
    passed(bench.offer())
    assert not bench.tick()
    bench.wait(26)
    assert bench.tick()
    assert "'policy' was silent" in bench.gate.safety(bench.now_ns).reason
    passed(bench.offer())
    bench.steady_ns += 1_900_000_000  # graph time stands still
    assert not bench.tick()
    bench.steady_ns += 200_000_000
    assert bench.tick()
    assert "/clock" in bench.gate.safety(bench.now_ns).reason


def test_a_source_may_give_the_lease_back(bench: Bench) -> None:
    passed(bench.offer())
    bench.gate.release("human")
    assert not bench.tick()
    bench.gate.release("policy")
    assert bench.tick()


def test_a_tick_is_answered_once(bench: Bench) -> None:
    passed(bench.offer())
    refusal = refused(bench.offer(bench.robot.home + 0.01), "answered already")
    assert not refusal.hold
    bench.wait()
    passed(bench.offer())
    refused(bench.offer(stamp_ns=bench.now_ns - DT_NS), "answered already")


def test_in_lock_step_a_newcomer_takes_the_lease_though_its_first_tick_was_held(bench: Bench) -> None:
    """Seen otherwise: robot_node holds tick t at once, refuses the command of t, and so on for ever."""
    assert bench.tick()
    bench.gate.hold(bench.now_ns)
    bench.steady_ns += 10_000_000_000  # a long time since anything passed
    assert not refused(bench.offer(), "answered already").hold
    bench.wait()
    assert not bench.tick()
    passed(bench.offer())


def test_a_refused_command_of_the_holder_asks_for_a_hold_and_does_not_renew_the_lease(bench: Bench) -> None:
    passed(bench.offer())
    for _ in range(26):
        bench.wait()
        refusal = refused(bench.offer(np.full(5, math.nan)), "nan")
        assert refusal.hold
        assert bench.gate.hold(bench.now_ns) is not None
    assert bench.gate.safety(bench.now_ns).holding
    assert bench.gate.holder == ""


def test_after_a_reset_of_the_world_holds_start_from_the_new_place(bench: Bench) -> None:
    passed(bench.offer())
    bench.position[0] = 1.4
    bench.wait()
    bench.gate.rebase()
    command = bench.gate.hold(bench.now_ns)
    assert command is not None
    assert command.values[0] == 1.4


def test_settings_change_while_running(bench: Bench) -> None:
    passed(bench.offer())
    bench.gate.configure(replace(CFG, sources=("human",), velocity_scale=0.1))
    assert bench.tick()
    bench.wait()
    refused(bench.offer(), "known: human")
    moved = passed(bench.offer(bench.robot.home + 0.5, source="human"))
    assert moved.values[0] == pytest.approx(0.5 + 3.0 * 0.1 * 0.02)


def test_the_states_have_the_fields_of_their_messages() -> None:
    messages = pytest.importorskip("vla_mbpo_ros.msg", reason="the messages are not built: run `make setup`")
    from vla_mbpo_ros.control import ExecutorState, ExecutorStatus, SafetyState

    pairs = ((ExecutorStatus, messages.ExecutorStatus), (SafetyState, messages.SafetyState))
    for ours, message in pairs:
        names = {item.name for item in fields(ours)} - {"stamp_ns"}
        assert names == set(message.get_fields_and_field_types()) - {"header"}
    assert {state.name: int(state) for state in ExecutorState} == {
        name: getattr(messages.ExecutorStatus, name) for name in ("IDLE", "WAITING", "RUNNING", "BLENDING")
    }
