"""What every node shares: lifecycle, typed parameters, QoS, diagnostics, heartbeat, errors and a clean end.

A node is a subclass of `ManagedNode`:

    class MyNode(ManagedNode):
        SECTIONS = ("robot", "policy")        # the parts of the settings that it reads

        def build(self) -> None: ...          # configure: make the core object, publishers, subscriptions
        def start(self) -> None: ...          # activate
        def stop(self) -> None: ...           # deactivate
        def dismantle(self) -> None: ...      # clean up what is not a ROS entity

    def main() -> None:
        run(MyNode)

What `build` creates through `pub`, `sub`, `serve` and `every` is removed again at clean-up, and its callbacks run
only while the node is active. An error of our tree inside a callback is logged and shown in diagnostics; the node
lives. Any other exception is a defect: it ends the process, and the supervisor starts it again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy  # overriding changes a profile in place
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from lifecycle_msgs.msg import State
from rclpy._rclpy_pybind11 import InvalidHandle, RCLError
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.lifecycle.node import LifecycleNodeMixin
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.errors import VlaMbpoError
from vla_mbpo_ros.nodes import diagnostics
from vla_mbpo_ros.nodes.health import Health
from vla_mbpo_ros.nodes.parameters import NodeSettings
from vla_mbpo_ros.nodes.polling import Poller
from vla_mbpo_ros.nodes.topic_watch import TopicWatch
from vla_mbpo_ros.robots import RobotSpec, get_robot

LAST_WORD_S = 0.5  # longest wait until it was received


@dataclass(frozen=True)
class Wake:
    """Calls the node from a thread that may outlive it."""

    guard: Any

    def trigger(self) -> None:
        with suppress(InvalidHandle):
            self.guard.trigger()


class ManagedNode(LifecycleNode):
    """The base of every node; see above."""

    SECTIONS: ClassVar[Sequence[str]] = ()
    EXTRAS: ClassVar[dict[str, tuple[Any, str]]] = {}  # parameters outside the tree: name -> (default, text)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.settings = NodeSettings(self, (*_ALWAYS, *self.SECTIONS), self.EXTRAS)
        self.settings.watch(self._is_unconfigured, self.changed)
        self.steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.detail = ""  # sub-state for people, such as "loading policy"
        self.failure: VlaMbpoError | None = None  # why the last transition failed
        self.defect: Exception | None = None  # an exception in a transition that nobody expected; the process ends
        self._entities: list[tuple[Callable[[Any], Any], Any]] = []
        self._call_group = ReentrantCallbackGroup()
        self._health = Health(self)

    # -- for subclasses ------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Configure: make the core objects and the ROS entities."""

    def start(self) -> None:
        """Activate."""

    def stop(self) -> None:
        """Deactivate. Also called before the process ends, while ROS still works."""

    def dismantle(self) -> None:
        """Clean up what is not a ROS entity."""

    def changed(self, cfg: Config) -> None:
        """Dynamic parameters changed; raise an error of our tree to refuse."""

    def diagnose(self, status: diagnostics.Status) -> None:
        """Add facts to this node's diagnostics."""

    @property
    def cfg(self) -> Config:
        return self.settings.cfg

    @property
    def robot(self) -> RobotSpec:
        return replace(get_robot(self.cfg.robot), robot_id=self.robot_id)

    @property
    def robot_id(self) -> str:
        return self.cfg.robot_id or (f"{self.cfg.robot}-sim" if self.simulated else self.cfg.robot)

    @cached_property
    def simulated(self) -> bool:
        """For life: see parameters.py."""
        return bool(self.get_parameter("use_sim_time").value)

    @property
    def state_id(self) -> int:
        """As in lifecycle_msgs/State."""
        return int(self._state_machine.current_state[0])

    @property
    def state_label(self) -> str:
        return str(self._state_machine.current_state[1])

    @property
    def is_active(self) -> bool:
        return bool(self.state_id == State.PRIMARY_STATE_ACTIVE)

    def now_ns(self) -> int:
        """The graph's time."""
        return int(self.get_clock().now().nanoseconds)

    def pub(self, kind: type, topic: str, profile: QoSProfile) -> Any:
        publisher = self.create_publisher(kind, topic, copy(profile), qos_overriding_options=_overridable())
        return self._keep(self.destroy_publisher, publisher)

    def sub(self, kind: type, topic: str, callback: Callable[..., None], profile: QoSProfile, **options: Any) -> Any:
        subscription = self.create_subscription(
            kind,
            topic,
            self._guarded(callback, always=_is_latched(profile)),
            copy(profile),
            qos_overriding_options=_overridable(),
            **options,
        )
        return self._keep(self.destroy_subscription, subscription)

    def sub_raw(
        self,
        kind: type,
        topic: str,
        callback: Callable[[bytes, dict[str, int]], None],
        profile: QoSProfile,
        poller: Poller | None = None,
        fixed: bool = False,
    ) -> Any:
        """A subscription that gives serialised bytes and what the middleware knows of them; `poller` looks for them
        instead of the executor. `fixed`: whatever the parameters say."""
        guarded = self._guarded(callback, always=_is_latched(profile))
        options = None if fixed else _overridable()
        if poller:
            looked_at = poller.subscribe(kind, topic, guarded, copy(profile), qos_overriding_options=options)
            return self._keep(poller.destroy, looked_at)

        def call(data: bytes, info: dict[str, int]) -> None:  # rclpy counts the parameters
            guarded(data, info)

        subscription = self.create_subscription(
            kind, topic, call, copy(profile), raw=True, qos_overriding_options=options
        )
        return self._keep(self.destroy_subscription, subscription)

    def serve(self, kind: type, name: str, answer: Callable[[Any, Any], Any]) -> Any:
        """A service whose `answer(request, response)`, plain or async, fills the response.

        An error of our tree becomes `success=false` with its sentence.
        """

        async def handle(request: Any, response: Any) -> Any:
            try:
                self._require_active()
                waiting = answer(request, response)
                if inspect.isawaitable(waiting):
                    await waiting
            except VlaMbpoError as error:
                self.get_logger().warning(f"{name}: {error}")
                response.success, response.message = False, str(error)
            return response

        # In a group of its own: an answer that is awaited must not keep the node's other callbacks from running.
        service = self.create_service(kind, name, handle, callback_group=self._call_group)
        return self._keep(self.destroy_service, service)

    def every(self, period_s: float, callback: Callable[[], None]) -> Any:
        """A timer on steady time."""
        timer = self.create_timer(period_s, self._guarded(callback), clock=self.steady_clock)
        return self._keep(self.destroy_timer, timer)

    def from_thread(self, callback: Callable[[], None]) -> Wake:
        """`trigger()` it from any thread and `callback` runs on the node's own."""
        guard = self.create_guard_condition(self._guarded(callback))
        return Wake(self._keep(self.destroy_guard_condition, guard))

    def watch(self, topic: str, max_age_s: float = 0.0, expected_hz: float = 0.0) -> TopicWatch:
        """Follow an input in diagnostics."""
        watch = TopicWatch(topic, max_age_s, expected_hz)
        self._health.watches.append(watch)
        return watch

    @staticmethod
    def until_received(publisher: Any) -> None:
        """Wait a little until what was published has arrived: for last words, before the publisher goes."""
        publisher.wait_for_all_acked(Duration(seconds=LAST_WORD_S))

    def complain(self, error: VlaMbpoError | str) -> None:
        """Log it (not more often than every two seconds) and show it in diagnostics."""
        self._health.complain(str(error))

    # -- lifecycle -----------------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("configure", self.build, undo=self._remove_entities)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("activate", self.start)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("deactivate", self.stop)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("clean up", self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        was_active = state.state_id == State.PRIMARY_STATE_ACTIVE
        return self._transition("shut down", lambda: self._close(was_active))

    def _LifecycleNodeMixin__change_state(self, transition_id: int) -> TransitionCallbackReturn:  # noqa: N802
        """Takes the place of rclpy's own, which lets an impossible request (a repeated one, say) end the process."""
        try:
            return LifecycleNodeMixin._LifecycleNodeMixin__change_state(self, transition_id)
        except RCLError:
            self.get_logger().warning(f"Transition {transition_id} is not possible while {self.state_label}.")
            return TransitionCallbackReturn.FAILURE

    def close(self) -> None:
        """Stop in order, whatever the state."""
        self._close(self.is_active)

    def _close(self, was_active: bool) -> None:
        try:
            if was_active:
                self.stop()
        finally:
            self._cleanup()

    def _cleanup(self) -> None:
        self.dismantle()
        self._remove_entities()

    def _transition(
        self, name: str, action: Callable[[], None], undo: Callable[[], None] = lambda: None
    ) -> TransitionCallbackReturn:
        try:
            self.failure = None
            action()
        except VlaMbpoError as error:
            self.failure, self.detail = error, str(error)
            self.get_logger().error(f"Cannot {name}: {error}")
            undo()
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self.defect = error  # rclpy would swallow it
            return TransitionCallbackReturn.ERROR
        self.detail = ""
        return TransitionCallbackReturn.SUCCESS

    def _is_unconfigured(self) -> bool:
        return bool(self.state_id == State.PRIMARY_STATE_UNCONFIGURED)

    def _require_active(self) -> None:
        if not self.is_active:
            raise VlaMbpoError(
                f"{self.get_name()} is {self.state_label}.", "Activate it, or wait until the supervisor has."
            )

    def _guarded(self, callback: Callable[..., None], always: bool = False) -> Callable[..., None]:
        """`always`: also while inactive. What is latched comes once, and an emergency stop must not be missed."""

        def call(*args: Any) -> None:
            if not (always or self.is_active):
                return
            try:
                callback(*args)
            except VlaMbpoError as error:
                self.complain(error)

        return call

    def _keep(self, destroy: Callable[[Any], Any], entity: Any) -> Any:
        self._entities.append((destroy, entity))
        return entity

    def forget(self, entity: Any) -> None:
        """Remove one entity before clean-up does."""
        for index, (destroy, kept) in enumerate(self._entities):
            if kept is entity:
                del self._entities[index]
                destroy(entity)
                return

    def _remove_entities(self) -> None:
        while self._entities:
            destroy, entity = self._entities.pop()
            destroy(entity)
        self._health.watches.clear()


_ALWAYS = ("robot", "robot_id", "control_hz", "runtime")


def _is_latched(profile: QoSProfile) -> bool:
    return bool(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL)


def _overridable() -> QoSOverridingOptions:
    return QoSOverridingOptions.with_default_policies()
