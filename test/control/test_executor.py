"""Laws of the chunk executor: alignment in time, continuity, refusals."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_mbpo_ros.config import ExecutorConfig
from vla_mbpo_ros.control import ChunkExecutor, ExecutorState
from vla_mbpo_ros.errors import ContractError, NotFinite, StaleError
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import ActionChunk

DT_NS = 20_000_000  # 50 Hz
T0_NS = 5_000_000_000
CFG = ExecutorConfig(enabled=True, blend_s=0.2, max_chunk_age_s=1.0)


def executor(robot: RobotSpec, cfg: ExecutorConfig = CFG, latency_ns: int = 0) -> ChunkExecutor:
    made = ChunkExecutor(robot, cfg, DT_NS, latency_ns)
    made.start_from(robot.home)
    return made


def chunk(
    robot: RobotSpec, chunk_id: int, observed_ns: int = T0_NS, steps: int = 30, dt_ns: int = DT_NS
) -> ActionChunk:
    """Every joint at `chunk_id` hundredths."""
    return ActionChunk(observed_ns, chunk_id, dt_ns, np.full((steps, robot.dof), chunk_id / 100.0))


def ramp(robot: RobotSpec, chunk_id: int, observed_ns: int, dt_ns: int, steps: int) -> ActionChunk:
    """All chunks of this kind are pieces of one line: 0.1 + 0.3 t, the same for every joint."""
    times_s = (observed_ns - T0_NS + np.arange(steps) * dt_ns) * 1e-9
    return ActionChunk(observed_ns, chunk_id, dt_ns, np.repeat(line(times_s)[:, None], robot.dof, axis=1))


def line(time_s: Any) -> Any:
    return 0.1 + 0.3 * time_s


# -- alignment


@given(
    dt_ms=st.integers(5, 60),
    first_ms=st.integers(0, 200),
    tick_ms=st.lists(st.integers(1, 40), min_size=1, max_size=10),
)
@settings(max_examples=50, deadline=None)
def test_a_ramp_is_commanded_as_the_function_of_now(
    mixed: RobotSpec, dt_ms: int, first_ms: int, tick_ms: list[int]
) -> None:
    run = executor(mixed, replace(CFG, blend_s=0.0))
    run.add(ramp(mixed, 1, T0_NS, dt_ms * 1_000_000, 600 // dt_ms + 20), T0_NS)
    now_ns = T0_NS + first_ms * 1_000_000
    for ms in tick_ms:
        command = run.command(now_ns)
        assert command is not None
        position = command.values[~mixed.is_velocity]
        np.testing.assert_allclose(position, line((now_ns - T0_NS) * 1e-9), atol=1e-12)
        assert command.step == (now_ns - T0_NS) // (dt_ms * 1_000_000)
        now_ns += ms * 1_000_000


def test_velocity_joints_keep_the_value_of_their_step(mixed: RobotSpec) -> None:
    run = executor(mixed, replace(CFG, blend_s=0.0))
    run.add(ramp(mixed, 1, T0_NS, 4 * DT_NS, 10), T0_NS)
    for tick in range(9):
        command = run.command(T0_NS + tick * DT_NS)
        assert command is not None
        np.testing.assert_allclose(command.values[mixed.is_velocity], line(tick // 4 * 4 * DT_NS * 1e-9))


def test_overlapping_pieces_of_one_line_give_that_line(mixed: RobotSpec) -> None:
    run = executor(mixed)
    for tick in range(60):
        now_ns = T0_NS + tick * DT_NS
        if tick % 7 == 0:
            run.add(ramp(mixed, tick + 1, now_ns, DT_NS, 30), now_ns)
        command = run.command(now_ns)
        assert command is not None
        if tick > 12:  # the fade from home is over
            np.testing.assert_allclose(command.values[~mixed.is_velocity], line(tick * DT_NS * 1e-9), atol=1e-12)


def test_a_chunk_is_usable_from_its_observation_plus_the_latency_on(mixed: RobotSpec) -> None:
    run = executor(mixed, latency_ns=3 * DT_NS)
    run.add(chunk(mixed, 1), T0_NS)
    commands = [run.command(T0_NS + tick * DT_NS) for tick in range(5)]
    assert [command.step if command else None for command in commands] == [None, None, None, 3, 4]
    assert run.status(T0_NS).latency_s == pytest.approx(0.06)


def test_chunks_that_wait_for_a_long_latency_do_not_push_each_other_out(mixed: RobotSpec) -> None:
    run = executor(mixed, latency_ns=10 * DT_NS)
    used = []
    for tick in range(24):
        now_ns = T0_NS + tick * DT_NS
        if tick % 4 == 0:
            run.add(chunk(mixed, tick // 4 + 1, now_ns), now_ns)
        command = run.command(now_ns)
        used.append(command.chunk_id if command else 0)
    assert used == [0] * 10 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 2


# -- continuity

chunk_values = st.lists(st.floats(-1.0, 1.0), min_size=5, max_size=5)


@given(
    levels=st.lists(chunk_values, min_size=2, max_size=6),
    gaps=st.lists(st.integers(1, 15), min_size=6, max_size=6),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_new_chunk_changes_nothing_at_its_first_tick(
    mixed: RobotSpec, levels: list[list[float]], gaps: list[int], seed: int
) -> None:
    """With it and without it that tick is commanded the same, also in the middle of a fade."""
    noise, run, now_ns = np.random.default_rng(seed), executor(mixed), T0_NS
    for index, level in enumerate(levels):
        without = copy.deepcopy(run)
        values = np.array(level) + 0.01 * noise.normal(size=(40, 5))
        run.add(ActionChunk(now_ns, index + 1, DT_NS, values), now_ns)
        first, other = run.command(now_ns), without.command(now_ns)
        assert first is not None
        if other is not None:
            np.testing.assert_allclose(first.values, other.values, atol=1e-12)
        for tick in range(1, gaps[index]):
            run.command(now_ns + tick * DT_NS)
        now_ns += gaps[index] * DT_NS


@given(levels=st.lists(chunk_values, min_size=2, max_size=8), gap=st.integers(2, 25), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_no_step_is_larger_than_the_chunks_own_plus_the_share_of_the_fade(
    mixed: RobotSpec, levels: list[list[float]], gap: int, seed: int
) -> None:
    """|step| <= own + sum over fading chunks of 1.5 * dt / blend * offset: smooth() is never steeper."""
    walk = np.random.default_rng(seed)
    run, position = executor(mixed), ~mixed.is_velocity
    own = offset = largest = 0.0
    last = mixed.home
    for index, level in enumerate(levels):
        start_ns = T0_NS + index * gap * DT_NS
        values = np.array(level) + np.cumsum(0.02 * walk.normal(size=(30, 5)), axis=0)
        run.add(ActionChunk(start_ns, index + 1, DT_NS, values), start_ns)
        own = max(own, float(np.abs(np.diff(values[:, position], axis=0)).max()))
        offset = max(offset, float(np.abs(values).max()) * 2.0, 2.0)
        for tick in range(gap):
            command = run.command(start_ns + tick * DT_NS)
            assert command is not None
            largest = max(largest, float(np.abs(command.values - last)[position].max()))
            last = command.values
    fading = np.ceil(10 / gap)  # chunks that fade at once: a fade is ten ticks long
    assert largest <= own + fading * 1.5 * (DT_NS * 1e-9 / CFG.blend_s) * offset + 1e-12
    assert run.status(0).largest_step == pytest.approx(largest)


def test_the_first_chunk_blends_from_where_the_arm_is(mixed: RobotSpec) -> None:
    run = executor(mixed)
    start = np.array([0.2, 9.0, 0.4, 9.0, 0.01])
    run.start_from(start)
    run.add(chunk(mixed, 50), T0_NS)
    first, middle, last = (run.command(T0_NS + tick * DT_NS) for tick in (0, 5, 10))
    assert first is not None
    assert middle is not None
    assert last is not None
    np.testing.assert_allclose(first.values, [0.2, 0.0, 0.4, 0.0, 0.01])  # velocity joints start at rest
    np.testing.assert_allclose(middle.values, (first.values + 0.5) / 2.0)
    np.testing.assert_allclose(last.values, 0.5)


def test_an_old_chunk_that_runs_out_in_the_fade_stays_at_its_last_position(mixed: RobotSpec) -> None:
    run = executor(mixed)
    run.add(chunk(mixed, 10, steps=12), T0_NS)
    for tick in range(11):
        run.command(T0_NS + tick * DT_NS)
    run.add(chunk(mixed, 30, T0_NS + 11 * DT_NS), T0_NS + 11 * DT_NS)
    values = [run.command(T0_NS + tick * DT_NS).values for tick in range(11, 22)]  # type: ignore[union-attr]
    position = np.array(values)[:, 0]
    assert position[0] == pytest.approx(0.1)
    assert (np.diff(position) >= 0.0).all()
    assert position[-1] == pytest.approx(0.3)
    wheel = np.array(values)[:, 1]
    assert wheel[1] < 0.02  # the used-up chunk counts as standing still, the new one has hardly begun


def test_after_a_gap_the_next_chunk_starts_from_where_the_arm_was_left(mixed: RobotSpec) -> None:
    run = executor(mixed)
    run.add(chunk(mixed, 10, steps=15), T0_NS)
    for tick in range(20):
        run.command(T0_NS + tick * DT_NS)
    later_ns = T0_NS + 20 * DT_NS
    run.add(chunk(mixed, 30, later_ns), later_ns)
    command = run.command(later_ns)
    assert command is not None
    np.testing.assert_allclose(command.values[~mixed.is_velocity], 0.1)
    run.disable()
    run.enable()
    run.start_from(mixed.home)
    run.add(chunk(mixed, 31, later_ns + DT_NS), later_ns + DT_NS)
    command = run.command(later_ns + DT_NS)
    assert command is not None
    np.testing.assert_allclose(command.values[~mixed.is_velocity], mixed.home[~mixed.is_velocity])


# -- states


def test_the_states_follow_the_table(mixed: RobotSpec) -> None:
    run = ChunkExecutor(mixed, replace(CFG, enabled=False), DT_NS)
    run.add(chunk(mixed, 1, steps=15), T0_NS)
    assert run.command(T0_NS) is None
    assert run.status(T0_NS).state is ExecutorState.IDLE
    assert "executor/enable" in run.status(T0_NS).reason
    run.enable()
    assert run.command(T0_NS + DT_NS) is None
    assert run.status(T0_NS).state is ExecutorState.WAITING
    assert "where the arm is" in run.status(T0_NS).reason
    run.start_from(mixed.home)
    states = []
    for tick in range(2, 17):
        run.command(T0_NS + tick * DT_NS)
        status = run.status(T0_NS + tick * DT_NS)
        states.append(status.state)
        assert status.steps_left == max(15 - tick, 0)
    assert states == [ExecutorState.BLENDING] * 10 + [ExecutorState.RUNNING] * 3 + [ExecutorState.WAITING] * 2
    status = run.status(T0_NS)
    assert (status.chunk_id, status.step, status.seam_joint) == (0, -1, "shoulder")
    assert status.reason == "Chunk 1 is used up: the arm holds. Is policy_node alive and fast enough?"


def test_one_tick_has_one_answer(mixed: RobotSpec) -> None:
    run = executor(mixed)
    run.add(chunk(mixed, 1), T0_NS)
    first = run.command(T0_NS)
    run.add(chunk(mixed, 2), T0_NS)
    assert run.command(T0_NS) is first
    second = run.command(T0_NS + DT_NS)
    assert second is not None
    assert second.chunk_id == 2


def test_when_time_goes_back_everything_is_forgotten(mixed: RobotSpec) -> None:
    run = executor(mixed)
    run.add(chunk(mixed, 1), T0_NS)
    assert run.command(T0_NS) is not None
    early_ns = T0_NS - 4_000_000_000
    assert run.command(early_ns) is None
    assert "Time went back" in run.status(early_ns).reason
    run.start_from(mixed.home)
    run.add(chunk(mixed, 2, early_ns), early_ns)
    assert run.command(early_ns + DT_NS) is not None


def test_a_reset_keeps_what_belongs_to_the_new_episode_whichever_comes_first(mixed: RobotSpec) -> None:
    run = executor(mixed)
    run.add(chunk(mixed, 1), T0_NS)
    assert run.command(T0_NS) is not None
    begin_ns = T0_NS + DT_NS
    run.add(chunk(mixed, 2, begin_ns), begin_ns)
    run.reset(begin_ns)
    with pytest.raises(StaleError, match="before the episode began"):
        run.add(chunk(mixed, 3), begin_ns)
    run.start_from(mixed.home)
    command = run.command(begin_ns)
    assert command is not None
    assert command.chunk_id == 2
    run.reset()
    run.start_from(mixed.home)
    assert run.command(begin_ns + DT_NS) is None


def test_a_seam_is_measured_on_what_was_commanded(mixed: RobotSpec) -> None:
    run = executor(mixed, replace(CFG, blend_s=0.0))
    run.add(chunk(mixed, 10), T0_NS)
    run.command(T0_NS)
    run.command(T0_NS + DT_NS)
    moved = np.full((30, mixed.dof), 0.1)
    moved[:, 2] = 0.15
    run.add(ActionChunk(T0_NS + DT_NS, 11, DT_NS, moved), T0_NS + DT_NS)
    run.command(T0_NS + 2 * DT_NS)
    status = run.status(T0_NS)
    assert status.seam_joint == "elbow"
    assert status.seam_step == pytest.approx(0.05)
    assert status.seam_acceleration == pytest.approx(0.05 / 0.02**2)
    assert status.largest_step == pytest.approx(0.4)  # home to the first chunk, without a fade


# -- refusals


def test_refusals_name_cause_and_cure_and_are_counted(mixed: RobotSpec) -> None:
    run = executor(mixed)
    run.add(chunk(mixed, 5), T0_NS)
    holed = chunk(mixed, 7).values.copy()
    holed[4, 2] = np.nan
    cases = [
        (replace(chunk(mixed, 7), values=np.zeros((3, 4))), ContractError, "Chunk 7 has 4 columns, mixed has 5 joints"),
        (replace(chunk(mixed, 7), values=np.zeros((0, 5))), ContractError, "shape (0, 5)"),
        (replace(chunk(mixed, 7), values=np.zeros(5)), ContractError, "shape (5,)"),
        (replace(chunk(mixed, 7), values=holed), NotFinite, "nan for elbow at step 4"),
        (replace(chunk(mixed, 7), dt_ns=0), ContractError, "dt_ns = 0"),
        (replace(chunk(mixed, 7), chunk_id=0), ContractError, "Number chunks from 1"),
        (chunk(mixed, 7, T0_NS - DT_NS), StaleError, "before chunk 5"),
        (chunk(mixed, 7, T0_NS - 2_000_000_000), StaleError, "2.000 s ago"),
        (chunk(mixed, 7, T0_NS + 2_000_000_000), StaleError, "use_sim_time"),
        (chunk(mixed, 7, T0_NS - 10 * DT_NS, steps=10), StaleError, "Propose more steps"),
    ]
    for bad, kind, words in cases:
        with pytest.raises(kind) as caught:
            run.add(bad, T0_NS)
        assert words in str(caught.value)
        assert caught.value.cure
        assert run.status(T0_NS).reason == str(caught.value)
    status = run.status(T0_NS)
    assert (status.chunks_received, status.chunks_refused) == (len(cases) + 1, len(cases))
    run.add(chunk(mixed, 8), T0_NS)
    run.command(T0_NS)
    assert run.status(T0_NS).reason == ""


def test_a_chunk_cannot_be_changed_after_it_was_taken(mixed: RobotSpec) -> None:
    run = executor(mixed, replace(CFG, blend_s=0.0))
    given_chunk = chunk(mixed, 10)
    run.add(given_chunk, T0_NS)
    given_chunk.values[:] = np.nan
    command = run.command(T0_NS)
    assert command is not None
    assert np.isfinite(command.values).all()


def test_a_chunk_that_grew_old_while_disabled_is_not_used(mixed: RobotSpec) -> None:
    run = executor(mixed)
    run.disable()
    run.add(chunk(mixed, 1, steps=200), T0_NS)
    run.enable()
    run.start_from(mixed.home)
    assert run.command(T0_NS + 2_000_000_000) is None
    assert "too old" in run.status(T0_NS).reason
