"""Buttons: which press counts, and what it means."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.config import OperatorConfig
from vla_mbpo_ros.control.buttons import (
    Action,
    Buttons,
    Order,
    Situation,
    Step,
    button_actions,
    decide,
    joy_states,
)
from vla_mbpo_ros.errors import ConfigError, UnknownName

CFG = OperatorConfig()
IDLE = Situation(known=True)
RECORDING = replace(IDLE, recording=True)
SUPERVISED = replace(RECORDING, supervised=True)
ACTIONS = st.sampled_from([action for action in Action if action is not Action.NONE])
SITUATIONS = st.builds(Situation, st.booleans(), st.booleans(), st.booleans(), st.booleans())


def presses(states: list[bool], times_s: list[float], debounce_s: float) -> list[float]:
    """When a button that was in `states` counted as pressed."""
    buttons = Buttons({"0": Action.START}, debounce_s)
    return [now_s for down, now_s in zip(states, times_s, strict=True) if buttons.see({"0": down}, now_s)]


@given(states=st.lists(st.booleans(), max_size=30))
def test_without_bouncing_every_change_to_down_counts_once(states: list[bool]) -> None:
    counted = presses(states, [float(index) for index in range(len(states))], debounce_s=0.3)
    rises = [float(i) for i in range(1, len(states)) if states[i] and not states[i - 1]]
    assert counted == rises


@given(steps=st.lists(st.tuples(st.booleans(), st.floats(0.0, 0.5)), max_size=40), debounce_s=st.floats(0.0, 1.0))
def test_two_presses_that_count_are_never_closer_than_the_debounce_time(
    steps: list[tuple[bool, float]], debounce_s: float
) -> None:
    times_s = [sum(step for _, step in steps[: index + 1]) for index in range(len(steps))]
    counted = presses([down for down, _ in steps], times_s, debounce_s)
    assert all(after - before >= debounce_s for before, after in itertools.pairwise(counted))


def test_a_button_that_is_down_from_the_start_was_not_pressed() -> None:
    assert presses([True, True, False, True], [0.0, 1.0, 2.0, 3.0], 0.3) == [3.0]


def test_a_button_that_bounces_is_pressed_once() -> None:
    assert presses([False, True, False, True, False, True], [0.0, 1.0, 1.02, 1.04, 1.5, 2.0], 0.3) == [1.0, 2.0]


def test_buttons_do_not_disturb_each_other() -> None:
    buttons = Buttons(button_actions(CFG), 0.3)
    assert buttons.see(joy_states([0, 0, 0, 0, 0]), 0.0) == []
    assert buttons.see(joy_states([1, 0, 0, 0, 0]), 1.0) == [Action.START]
    assert buttons.see(joy_states([1, 1, 0, 0, 0]), 1.1) == [Action.SUCCESS]
    assert buttons.see({CFG.button_topics[0]: False}, 1.1) == []
    assert buttons.see({CFG.button_topics[0]: True}, 1.2) == [Action.START_OR_SUCCESS]
    assert buttons.see(joy_states([0, 0, 0, 0, 0, 0]), 2.0) == []
    assert buttons.see(joy_states([0, 0, 0, 0, 0, 1]), 2.5) == []  # a sixth button that nobody has given a meaning


@given(action=ACTIONS)
def test_a_recorder_that_was_not_heard_is_asked_for_nothing(action: Action) -> None:
    assert "has not been heard" in str(decide([action], Situation()))


@given(actions=st.lists(ACTIONS, min_size=2, unique=True), now=SITUATIONS)
def test_two_different_buttons_at_once_do_nothing(actions: list[Action], now: Situation) -> None:
    answer = decide(actions, now)
    assert isinstance(answer, str)
    assert all(action.value in answer for action in actions)


@given(action=ACTIONS, now=SITUATIONS)
def test_what_is_done_fits_the_situation(action: Action, now: Situation) -> None:
    order = decide([action], now)
    if isinstance(order, str):
        assert order.startswith("Nothing done: ")
        return
    assert now.known
    if order.step in (Step.STOP, Step.DISCARD, Step.LABEL):
        assert now.recording
    if order.step is Step.START:
        assert not any((now.recording, now.waiting, now.supervised))
    if now.supervised:  # what the supervisor has begun, it ends
        assert order.step in (Step.LABEL, Step.SNAPSHOT)


@pytest.mark.parametrize(
    ("action", "now", "order"),
    [
        (Action.START, IDLE, Order(Step.START)),
        (Action.START_OR_SUCCESS, IDLE, Order(Step.START)),
        (Action.START_OR_SUCCESS, RECORDING, Order(Step.STOP, "success")),
        (Action.SUCCESS, RECORDING, Order(Step.STOP, "success")),
        (Action.FAILURE, RECORDING, Order(Step.STOP, "failure")),
        (Action.DISCARD, RECORDING, Order(Step.DISCARD)),
        (Action.SUCCESS, SUPERVISED, Order(Step.LABEL, "success")),
        (Action.DISCARD, SUPERVISED, Order(Step.LABEL, "discarded")),
        (Action.SNAPSHOT, IDLE, Order(Step.SNAPSHOT)),
    ],
)
def test_a_press_means(action: Action, now: Situation, order: Order) -> None:
    assert decide([action], now) == order


def test_an_unknown_action_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r"Unknown action 'sucess' in operator.joy_actions. Did you mean 'success'"):
        button_actions(replace(CFG, joy_actions=("start", "sucess")))


def test_topics_and_actions_come_in_pairs() -> None:
    with pytest.raises(ConfigError, match=r"3 topics, operator\.button_actions 1"):
        button_actions(replace(CFG, button_actions=("start",)))
