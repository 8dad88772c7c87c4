"""A robot's whole contract as load for the recorder: TASK as JSON. Used by `bench recorder` and `bench kill`.

Every topic of the contract comes at its rate, as bytes that were made once; only the stamp changes, and each stamp
of a topic is another. What was published is known here, whatever the recorder says of it:

    -> stdout   {"event": "recording", "bag": …}                        the bag is open
    -> stdout   {"event": "sent", "topics": {topic: [stamp, …]}, …}     all that was published since then
    <- stdin    its end: publish no more (or after `seconds`)
"""

from __future__ import annotations

import json
import os
import select
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

_STAMP = struct.Struct("<iI")
_STAMP_AT = 4  # behind the four bytes of the encapsulation
_EVENT_HZ = 2.0  # of what has no rate in the contract, as chunks and diagnostics
_READY_S = 40.0  # longest wait for the recorder
_LINGER_S = 1.0  # what is still on its way needs its publisher
_CHUNK_STEPS = 16


@dataclass(frozen=True)
class Task:
    """What to publish, and how long."""

    namespace: str
    topics: list[list[Any]]  # name, type, kind, rate [Hz]; as in the contract
    robot: str
    width: int
    height: int
    seconds: float  # once the bag is open
    stop: bool = True  # call recorder/stop at the end


@dataclass
class Source:
    """One topic."""

    name: str
    publisher: Any
    data: bytearray
    stamped: bool
    period_ns: int  # 0: latched, sent once
    next_ns: int = 0  # steady
    stamps_ns: list[int] = field(default_factory=list)  # since the bag was open

    def send(self, stamp_ns: int) -> None:
        if self.stamped:
            _STAMP.pack_into(self.data, _STAMP_AT, *divmod(stamp_ns, 10**9))
        self.publisher.publish(bytes(self.data))
        self.stamps_ns.append(stamp_ns)


class Load:
    """Publishes; use it from one thread."""

    def __init__(self, node: Any, task: Task) -> None:
        self._node = node
        self._sources = [_make(node, task, index, *entry) for index, entry in enumerate(task.topics)]
        for source in self._sources:
            if not source.period_ns:
                source.send(time.time_ns())
        self._start_ns = time.monotonic_ns()
        for source in self._sources:
            source.next_ns = self._start_ns

    def publish_due(self) -> None:
        """Everything whose time has come; then rest until the next is due."""
        now_ns = time.monotonic_ns()
        moving = [source for source in self._sources if source.period_ns]
        for source in moving:
            if source.next_ns <= now_ns:
                source.send(time.time_ns())
                source.next_ns += source.period_ns
        rest_ns = min(source.next_ns for source in moving) - time.monotonic_ns()
        time.sleep(max(rest_ns, 0) * 1e-9)

    def forget(self) -> None:
        """Begin to count."""
        for source in self._sources:
            source.stamps_ns.clear()

    def sent(self) -> dict[str, list[int]]:
        return {source.name: source.stamps_ns for source in self._sources if source.period_ns}


def run(node: Any, task: Task) -> None:
    from rclpy.executors import SingleThreadedExecutor

    from vla_mbpo_ros.srv import StartEpisode, StopEpisode

    load, spinner = Load(node, task), SingleThreadedExecutor()
    spinner.add_node(node)

    def call(kind: Any, name: str, request: Any, busy: bool) -> Any:
        client, end_s = node.create_client(kind, name), time.monotonic() + _READY_S
        future = None
        while future is None or not future.done():
            if time.monotonic() > end_s:
                raise SystemExit(f"error: no answer from {name}.")
            if future is None and client.service_is_ready():
                future = client.call_async(request)
            if busy:
                load.publish_due()
            spinner.spin_once(timeout_sec=0.0 if busy else 0.05)
        answer = future.result()
        if not answer.success:
            raise SystemExit(f"error: {answer.message}")
        return answer

    started = call(StartEpisode, "recorder/start", StartEpisode.Request(instruction="bench"), True)
    load.forget()
    _tell(event="recording", bag=started.bag_path)
    end_s = time.monotonic() + task.seconds
    while time.monotonic() < end_s and not _stdin_ended():
        load.publish_due()
    _tell(event="published")
    time.sleep(_LINGER_S if task.stop else 0.0)
    if task.stop:
        call(StopEpisode, "recorder/stop", StopEpisode.Request(outcome=1), False)
    _tell(event="sent", topics=load.sent())


def _make(node: Any, task: Task, index: int, name: str, type_name: str, kind: str, hz: float) -> Source:
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from rclpy.serialization import serialize_message

    from vla_mbpo_ros.messages.types import message_class

    message = message_class(type_name)()
    _fill(message, task)
    latched = kind == "latched"
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    depth = {"image": 5, "state": 10, "command": 1, "latched": 1}.get(kind, 100)
    publisher = node.create_publisher(type(message), name, QoSProfile(depth=depth, durability=durability))
    period_ns = 0 if latched else round(1e9 / (hz or _EVENT_HZ))
    full = publisher.topic_name
    return Source(full, publisher, bytearray(serialize_message(message)), hasattr(message, "header"), period_ns)


def _fill(message: Any, task: Task) -> None:
    """As large as in use."""
    import numpy as np

    from vla_mbpo_ros.robots import get_robot

    robot, kind = get_robot(task.robot), type(message).__name__
    size = len(robot.names)
    if kind == "Image":
        message.width, message.height, message.step, message.encoding = task.width, task.height, 3 * task.width, "rgb8"
        pixels = np.random.default_rng(0).integers(0, 256, task.height * task.width * 3, dtype=np.uint8)
        message.data.frombytes(pixels.tobytes())
    elif kind == "JointState":
        message.name = list(robot.names)
        message.position = message.velocity = message.effort = [0.0] * size
    elif kind == "JointCommand":
        message.robot_id, message.source, message.names = task.robot, "policy", list(robot.names)
        message.modes, message.values = [0] * size, [0.0] * size
    elif kind == "ActionChunk":
        message.chunk_id, message.names, message.modes = 1, list(robot.names), [0] * size
        message.horizon, message.values = _CHUNK_STEPS, [0.0] * (size * _CHUNK_STEPS)


def _stdin_ended() -> bool:
    ready, _, _ = select.select([0], [], [], 0.0)
    return bool(ready) and os.read(0, 1) == b""


def _tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def main() -> None:
    import rclpy

    task = Task(**json.loads(sys.argv[1]))
    rclpy.init()
    node = rclpy.create_node("bench_recorder_load", namespace=task.namespace)
    run(node, task)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
