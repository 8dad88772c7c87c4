"""What was executed and seen after an observation; messages are plain numbers here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vla_mbpo_ros.data.episodes.observations import JOINTS
from vla_mbpo_ros.errors import ContractError, StaleError
from vla_mbpo_ros.evaluation.courses import COMMANDS, OPEN, Course, Courses, strayed
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import ActionChunk, Command, FloatArray

ARX, TABLETOP = get_robot("arx_x5"), get_robot("tabletop")
DT, STEPS = 100_000_000, 4
VIEWS = ("head", "wrist")
TOLERANCE = 0.02


def courses(robot: Any = ARX) -> Courses:
    return Courses(robot, dict.fromkeys(VIEWS, 0.15), 0.15, DT, decode=lambda command: command)


def command(tick: int, value: float = 0.0, chunk_id: int = 7, robot: Any = ARX) -> Command:
    return Command(tick * DT, "policy", np.full(robot.dof, value), chunk_id, tick)


def chunk(tick: int, value: float = 0.0, robot: Any = ARX) -> ActionChunk:
    stamps = dict.fromkeys((*VIEWS, JOINTS), tick * DT)
    return ActionChunk(tick * DT, 7, DT, np.full((STEPS, robot.dof), value), source_stamps_ns=stamps)


def see(seen: Courses, tick: int, jitter_ns: int = 0) -> list[Course]:
    """What the cameras and joints say at a tick, before anything is commanded there."""
    stamp_ns = tick * DT + jitter_ns
    return [course for name in (JOINTS, *VIEWS) for course in seen.add(name, stamp_ns, f"{name} {tick}")]


def run(seen: Courses, first: int, last: int, value: float = 0.0, **changes: Any) -> list[Course]:
    """Ticks of seeing and being told."""
    over: list[Course] = []
    for tick in range(first, last):
        over += see(seen, tick)
        over += seen.add(COMMANDS, tick * DT, command(tick, value, **changes))
    return over


def followed(value: float, asked: float = 0.0, robot: Any = ARX) -> str:
    seen = courses(robot)
    see(seen, 0)
    course = seen.follow(chunk(0, asked, robot))
    run(seen, 0, STEPS + 1, value, robot=robot)
    return strayed(course, course.chunk, robot, TOLERANCE)


def test_a_course_begins_with_what_its_chunk_was_made_of_and_ends_with_the_images_of_its_end() -> None:
    seen = courses()
    run(seen, 0, 3)
    course = seen.follow(chunk(1))
    assert course.before == {name: f"{name} 1" for name in (*VIEWS, JOINTS)}
    assert run(seen, 3, 5) == []
    assert see(seen, 5) == [course]
    assert course.truth == {name: f"{name} 5" for name in VIEWS}
    assert [done.stamp_ns // DT for done in course.executed] == [1, 2, 3, 4]
    assert course.as_executed.values.shape == (STEPS, ARX.dof)
    assert (seen.newest, strayed(course, course.chunk, ARX, TOLERANCE)) == (course, "")


def test_stamps_may_jitter_around_the_grid() -> None:
    seen = courses()
    see(seen, 0)
    course = seen.follow(chunk(0))
    jitter = (0, 30_000_000, -30_000_000, 20_000_000, -20_000_000)
    for tick in range(STEPS + 1):
        if tick:
            see(seen, tick, jitter[tick])
        seen.add(COMMANDS, tick * DT + jitter[-tick], command(tick))
    assert course.over
    assert course.truth["head"] == f"head {STEPS}"
    assert [done.step for done in course.executed] == [0, 1, 2, 3]


def test_a_chunk_waits_for_an_image_that_is_on_its_way() -> None:
    seen = courses()
    assert seen.is_ahead(chunk(2))
    run(seen, 0, 2)
    assert seen.is_ahead(chunk(2))
    see(seen, 2)
    assert not seen.is_ahead(chunk(2))


def test_an_observation_that_was_lost_is_named() -> None:
    seen = courses()
    see(seen, 0)
    seen.add("head", DT, "head 1")
    seen.add(JOINTS, DT, "joints 1")
    see(seen, 2)
    with pytest.raises(StaleError, match="'wrist'"):
        seen.follow(chunk(1))


@pytest.mark.parametrize("nonsense", [{"values": np.zeros((0, ARX.dof))}, {"dt_ns": 0}])
def test_a_chunk_of_no_time_is_refused(nonsense: dict[str, Any]) -> None:
    seen = courses()
    see(seen, 0)
    with pytest.raises(ContractError, match="Chunk 7 has"):
        seen.follow(replace(chunk(0), **nonsense))


def test_a_camera_that_the_policy_does_not_look_at_gives_its_latest_image() -> None:
    seen = courses()
    see(seen, 3)
    blind = replace(chunk(3), source_stamps_ns={"head": 3 * DT, JOINTS: 3 * DT})
    assert seen.follow(blind).before["wrist"] == "wrist 3"


def test_it_is_not_over_before_the_last_command_is_here_and_it_is_given_up_in_the_end() -> None:
    seen = courses()
    see(seen, 0)
    course = seen.follow(chunk(0))
    for tick in range(1, STEPS + 1):
        see(seen, tick)
    assert not course.over
    for tick in range(STEPS + 1, STEPS + 15):
        see(seen, tick)
    assert course.over
    assert "'robot/executed_command'" in course.why_not
    assert strayed(course, course.chunk, ARX, 1.0) == course.why_not


def test_a_missing_command_in_the_middle_is_not_made_up() -> None:
    seen = courses()
    see(seen, 0)
    course = seen.follow(chunk(0))
    for tick in (0, 3):
        seen.add(COMMANDS, tick * DT, command(tick))
    for tick in range(1, STEPS + 1):
        see(seen, tick)
    assert "It is not known what happened" in course.why_not


def test_of_too_many_at_once_the_oldest_is_given_up() -> None:
    seen = courses()
    see(seen, 0)
    begun = [seen.follow(chunk(0)) for _ in range(OPEN + 1)]
    assert [course.over for course in begun] == [True] + [False] * OPEN
    assert "under way at once" in begun[0].why_not


def test_another_episode_ends_the_courses_that_began_before_it() -> None:
    seen = courses()
    seen.tick(0, 1)
    see(seen, 0)
    course = seen.follow(chunk(0))
    run(seen, 0, 2)
    assert seen.tick(2 * DT, 2) == [course]
    assert (course.over, course.why_not, seen.newest) == (True, "Another episode began.", None)


def test_in_a_simulation_the_tick_itself_must_say_that_no_reset_came() -> None:
    seen = courses()
    seen.tick(0, 1)
    see(seen, 0)
    course = seen.follow(chunk(0))
    assert run(seen, 0, STEPS + 1) == []  # images may overtake the news of a reset
    assert seen.tick(STEPS * DT, 1) == [course]


@pytest.mark.parametrize(("told", "held"), [(False, 0.3), (True, 0.2)])
def test_standing_still_is_what_the_arm_was_told_last_or_where_it_is_and_never_a_speed(told: bool, held: float) -> None:
    for robot in (ARX, TABLETOP):
        seen = courses(robot)
        see(seen, 1)
        if told:
            seen.add(COMMANDS, DT, command(1, 0.2, robot=robot))

        def position(message: Any, robot: Any = robot) -> FloatArray:
            assert message == f"{JOINTS} 1"
            return np.full(robot.dof, 0.3)

        course = seen.stand_still(STEPS, position)
        expected = np.where(robot.is_velocity, 0.0, held)
        np.testing.assert_array_equal(course.chunk.values, np.tile(expected, (STEPS, 1)))
        assert (course.chunk.observed_ns, course.chunk.chunk_id, seen.newest) == (DT, 0, None)


def test_nobody_stands_still_before_the_cameras_see_anything() -> None:
    with pytest.raises(StaleError, match="nothing has come from 'head'"):
        courses().stand_still(STEPS, lambda _: ARX.home)


@pytest.mark.parametrize("robot", [ARX, TABLETOP], ids=["position", "velocity"])
def test_the_arm_kept_to_the_way_if_it_came_no_farther_apart_than_the_tolerance(robot: Any) -> None:
    # A joint commanded by position is apart at once, one commanded by velocity at the end of the chunk.
    full = (robot.max_velocity * np.where(robot.is_velocity, 1.0, STEPS * DT * 1e-9)).min()
    assert followed(0.9 * TOLERANCE * full, robot=robot) == ""
    assert "left the dreamed way" in followed(1.2 * TOLERANCE * full, robot=robot)


def test_whose_commands_they_were_and_from_which_step_on_is_told() -> None:
    seen = courses()
    see(seen, 0)
    course = seen.follow(chunk(0))
    run(seen, 0, 2)
    run(seen, 2, STEPS + 1, value=1.0, chunk_id=8)
    told = strayed(course, course.chunk, ARX, TOLERANCE)
    assert "at step 3 of 4, told by chunk 8" in told
    assert strayed(course, course.as_executed, ARX, TOLERANCE) == ""  # what was executed was executed
