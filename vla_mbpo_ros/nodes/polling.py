"""Subscriptions that are looked at every few milliseconds instead of being waited for.

rclpy's executor tells the middleware of every subscription anew before each wait, which costs more than taking the
messages: for a recorder with thirty topics and 700 messages a second about two thirds of its work. These are in a
group that the executor passes over. Their messages wait in the queues of the middleware, which are made for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile

RawCallback = Callable[[bytes, dict[str, int]], None]


class Unwaited(CallbackGroup):
    """The executor never waits for what is in here."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing was begun."""


class Poller:
    """Call `poll` often enough that no queue overflows; it runs the callbacks."""

    def __init__(self, node: Node) -> None:
        self._node, self._group = node, Unwaited()
        self._entries: list[tuple[Any, RawCallback]] = []

    def subscribe(self, kind: type, topic: str, callback: RawCallback, profile: QoSProfile, **options: Any) -> Any:
        """The subscription; its serialised messages and what the middleware knows of them go to `callback`."""
        subscription = self._node.create_subscription(
            kind,
            topic,
            lambda data, info: callback(data, info),
            profile,
            raw=True,
            callback_group=self._group,
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            **options,
        )
        self._entries.append((subscription, callback))
        return subscription

    def destroy(self, subscription: Any) -> None:
        """Look for it no more."""
        self._entries = [entry for entry in self._entries if entry[0] is not subscription]
        self._node.destroy_subscription(subscription)

    def poll(self) -> None:
        """Take everything that has come."""
        for subscription, callback in self._entries:
            handle = subscription.handle
            with handle:
                while (taken := handle.take_message(subscription.msg_type, True)) is not None:
                    callback(*taken)
