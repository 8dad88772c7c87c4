"""Buttons that steer the recorder: which press counts, and what it means at this moment.

    pressed   ▁▁▁▁▔▔▔▔▁▁▔▁▔▔▔▁▁▁▁▁▔▔▔
    edge          ^      ·              ^     · within debounce_s of the last press: it bounced
                  └─> action ── Recorder's state ──> Step, or a sentence why nothing is done

A button that is down when it is first heard of has not been pressed: nothing begins by starting a node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from vla_mbpo_ros.config import OperatorConfig
from vla_mbpo_ros.errors import ConfigError, UnknownName


class Action(str, Enum):
    """What a button is for."""

    NONE = "none"
    START = "start"
    SUCCESS = "success"
    FAILURE = "failure"
    DISCARD = "discard"
    SNAPSHOT = "snapshot"
    START_OR_SUCCESS = "start_or_success"


class Step(str, Enum):
    """What the recorder is asked for."""

    START = "start"
    STOP = "stop"
    DISCARD = "discard"
    LABEL = "label"  # an episode that somebody else runs goes on, with this said of it
    SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class Situation:
    """What is known of the recorder."""

    known: bool = False  # it has said something
    recording: bool = False
    waiting: bool = False  # it is about to
    supervised: bool = False  # RunEpisode has begun it, and will end it


@dataclass(frozen=True)
class Order:
    """One thing to ask of the recorder. `outcome` is a word of `EpisodeFacts`."""

    step: Step
    outcome: str = "unknown"


class Buttons:
    """Names are "0", "1", … for those of a joystick, and topics for those that are topics of their own."""

    def __init__(self, actions: Mapping[str, Action], debounce_s: float) -> None:
        self._actions, self._debounce_s = dict(actions), debounce_s
        self._down: dict[str, bool] = {}
        self._pressed_s: dict[str, float] = {}  # the last press that counted

    def see(self, states: Mapping[str, bool], now_s: float) -> list[Action]:
        """The actions of the buttons that were pressed now. `now_s` is steady time."""
        pressed = [name for name, down in states.items() if self._edge(name, bool(down), now_s)]
        actions = [self._actions.get(name, Action.NONE) for name in pressed]
        return [action for action in dict.fromkeys(actions) if action is not Action.NONE]

    def _edge(self, name: str, down: bool, now_s: float) -> bool:
        rises = down and not self._down.get(name, True)
        self._down[name] = down
        if not rises or now_s - self._pressed_s.get(name, float("-inf")) < self._debounce_s:
            return False
        self._pressed_s[name] = now_s
        return True


def joy_states(buttons: Sequence[int]) -> dict[str, bool]:
    """The buttons of one sensor_msgs/Joy."""
    return {str(number): bool(value) for number, value in enumerate(buttons)}


def button_actions(cfg: OperatorConfig) -> dict[str, Action]:
    """The mapping in the settings, checked."""
    topics = [topic for topic in cfg.button_topics if topic]
    if len(topics) != len(cfg.button_actions):
        raise ConfigError(
            f"operator.button_topics has {len(topics)} topics, operator.button_actions {len(cfg.button_actions)}.",
            "Give each topic one action; 'none' for one that does nothing.",
        )
    joystick = {str(number): _action(name, "operator.joy_actions") for number, name in enumerate(cfg.joy_actions)}
    own = (_action(name, "operator.button_actions") for name in cfg.button_actions)
    return {**joystick, **dict(zip(topics, own, strict=True))}


def decide(actions: Sequence[Action], now: Situation) -> Order | str:
    """What to ask of the recorder, or why nothing is asked."""
    if len(actions) != 1:
        return f"Nothing done: {' and '.join(action.value for action in actions) or 'nothing'} at once."
    if not now.known:
        return "Nothing done: the recorder has not been heard. Is recorder_node up?"
    action = actions[0]
    if action is Action.START_OR_SUCCESS:
        action = Action.SUCCESS if now.recording else Action.START
    if action is Action.SNAPSHOT:
        return Order(Step.SNAPSHOT)
    return _start(now) if action is Action.START else _end(action, now)


def _start(now: Situation) -> Order | str:
    if now.supervised:
        return "Nothing done: an episode is running, it has a bag of its own."
    if now.recording or now.waiting:
        return "Nothing done: an episode is being recorded already."
    return Order(Step.START)


def _end(action: Action, now: Situation) -> Order | str:
    if not now.recording:
        return f"Nothing done: no episode is being recorded, {action.value} ends nothing."
    if action is Action.DISCARD:
        return Order(Step.LABEL, "discarded") if now.supervised else Order(Step.DISCARD)
    return Order(Step.LABEL if now.supervised else Step.STOP, action.value)


def _action(name: str, where: str) -> Action:
    try:
        return Action(name)
    except ValueError as error:
        raise UnknownName("action", name, [action.value for action in Action], where) from error
