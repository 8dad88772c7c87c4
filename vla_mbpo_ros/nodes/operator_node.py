"""Lets a person steer the recorder with a joystick or JoyLo's buttons, and tells what it did."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from action_msgs.msg import GoalStatus, GoalStatusArray
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool, String

from vla_mbpo_ros.config import OUTCOMES
from vla_mbpo_ros.control.buttons import Action, Buttons, Order, Situation, Step, button_actions, decide, joy_states
from vla_mbpo_ros.errors import VlaMbpoError
from vla_mbpo_ros.msg import EpisodeStatus
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.calls import Calls
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.srv import DiscardEpisode, LabelEpisode, SaveSnapshot, StartEpisode, StopEpisode

CALL_S = 60.0  # to close a large bag takes a while
NOTE = "By a button."
_RUNNING = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)


class OperatorNode(ManagedNode):
    SECTIONS = ("operator",)

    def __init__(self) -> None:
        super().__init__("operator_node")

    def build(self) -> None:
        actions = button_actions(self.cfg.operator)
        self._buttons = Buttons(actions, self.cfg.operator.debounce_s)
        self._calls = Calls(self)
        self._recorder: EpisodeStatus | None = None
        self._supervised = False
        self._asked: Order | None = None  # what the recorder has not answered yet
        self._told = "Nothing was pressed yet."
        self._feedback_pub = self.pub(String, "operator/feedback", qos.LATCHED)
        self.sub(EpisodeStatus, "recorder/status", self._on_status, qos.LATCHED)
        self.sub(GoalStatusArray, "run_episode/_action/status", self._on_goals, qos.LATCHED)
        self.sub(Joy, "joy", self._on_joy, qos.STATE)
        for topic in self.cfg.operator.button_topics:
            if topic:
                self.sub(Bool, topic, partial(self._on_button, topic), qos.STATE)

    def start(self) -> None:
        self._tell("Ready.")

    def dismantle(self) -> None:
        if hasattr(self, "_calls"):
            self._calls.close()

    def diagnose(self, status: diagnostics.Status) -> None:
        status.add("last", self._told)
        status.add("recorder", "heard" if self._recorder else "not heard")
        status.add("an episode is running", str(self._supervised))

    # -- what is heard -------------------------------------------------------------------------------------------

    def _on_status(self, status: EpisodeStatus) -> None:
        self._recorder = status

    def _on_goals(self, goals: GoalStatusArray) -> None:
        self._supervised = any(goal.status in _RUNNING for goal in goals.status_list)

    def _on_joy(self, joy: Joy) -> None:
        self._act(self._buttons.see(joy_states(joy.buttons), time.monotonic()))

    def _on_button(self, topic: str, message: Bool) -> None:
        self._act(self._buttons.see({topic: message.data}, time.monotonic()))

    def _situation(self) -> Situation:
        state = self._recorder.state if self._recorder else EpisodeStatus.IDLE
        return Situation(
            known=self._recorder is not None,
            recording=state == EpisodeStatus.RECORDING,
            waiting=state == EpisodeStatus.WAITING,
            supervised=self._supervised,
        )

    # -- what is done --------------------------------------------------------------------------------------------

    def _act(self, actions: list[Action]) -> None:
        if not actions:
            return
        order = decide(actions, self._situation())
        if isinstance(order, str):
            self._tell(order)
        elif self._asked is not None:
            self._tell(f"Nothing done: the recorder has not answered '{self._asked.step.value}' yet.")
        else:
            self._asked = order
            self.executor.create_task(self._ask(order))

    async def _ask(self, order: Order) -> None:
        kind, name, request = _REQUESTS[order.step](OUTCOMES.index(order.outcome))
        said = f"{order.step.value} {order.outcome}" if order.outcome != "unknown" else order.step.value
        try:
            answer = await self._calls.must(kind, name, request, CALL_S)
            self._tell(f"{said}: {answer.message}")
        except VlaMbpoError as error:
            self._tell(f"{said}: {error}")
            self.complain(error)
        finally:
            self._asked = None

    def _tell(self, text: str) -> None:
        self._told = text
        self.get_logger().info(text)
        self._feedback_pub.publish(String(data=text))


_REQUESTS: dict[Step, Any] = {  # outcome -> (service type, service name, request)
    Step.START: lambda _: (StartEpisode, "recorder/start", StartEpisode.Request()),
    Step.STOP: lambda outcome: (StopEpisode, "recorder/stop", StopEpisode.Request(outcome=outcome, note=NOTE)),
    Step.DISCARD: lambda _: (DiscardEpisode, "recorder/discard", DiscardEpisode.Request()),
    Step.LABEL: lambda outcome: (LabelEpisode, "recorder/label", LabelEpisode.Request(outcome=outcome, note=NOTE)),
    Step.SNAPSHOT: lambda _: (SaveSnapshot, "recorder/snapshot", SaveSnapshot.Request(note="a button was pressed")),
}


def main() -> None:
    run(OperatorNode)


if __name__ == "__main__":
    main()
