"""Proves that the built messages work: one process sends an ActionChunk, another compares it field by field.

    python tools/round_trip.py        exit code 0 and one line if all is well

It stands for itself, without pytest, so that every way to install can be proven with nothing else installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

TOPIC = "proof/action_chunk"
TIME_LIMIT_S = 30.0
# Far from the default domain: the proof must not talk to a robot or to another test.
DOMAIN = str(100 + os.getpid() % 100)


def example() -> Any:
    """A chunk with something in every kind of field: nested, strings, unbounded arrays, 64-bit integers."""
    from vla_mbpo_ros.msg import ActionChunk, JointCommand

    chunk = ActionChunk(chunk_id=2**63 + 1, robot_id="arx_x5", instruction="put the cube into the bowl ✓")
    chunk.header.stamp.sec, chunk.header.stamp.nanosec = 12, 345
    chunk.names, chunk.modes = ["left_joint1", "left_gripper"], [JointCommand.POSITION, JointCommand.VELOCITY]
    chunk.horizon, chunk.dt_ns, chunk.value = 3, 50_000_000, 0.25
    chunk.values = [0.1 * i for i in range(6)]
    return chunk


def send() -> None:
    """Publish until the other side ends this process."""
    import rclpy

    from vla_mbpo_ros.msg import ActionChunk

    rclpy.init()
    publisher = rclpy.create_node("proof_sender").create_publisher(ActionChunk, TOPIC, 1)
    while rclpy.ok():
        publisher.publish(example())
        time.sleep(0.05)


def receive() -> Any:
    """The first chunk that arrives, or None."""
    import rclpy

    from vla_mbpo_ros.msg import ActionChunk

    received: list[Any] = []
    rclpy.init()
    node = rclpy.create_node("proof_receiver")
    node.create_subscription(ActionChunk, TOPIC, received.append, 1)
    deadline_s = time.monotonic() + TIME_LIMIT_S
    while not received and time.monotonic() < deadline_s:
        rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_node()
    rclpy.shutdown()
    return received[0] if received else None


def main() -> int:
    if sys.argv[1:] == ["send"]:
        send()
        return 0
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["ROS_DOMAIN_ID"] = DOMAIN
    sender = subprocess.Popen([sys.executable, __file__, "send"])
    try:
        received = receive()
    finally:
        sender.kill()
        sender.wait()
    if received is None:
        print(f"round trip: nothing arrived within {TIME_LIMIT_S:.0f} s", file=sys.stderr)
        return 1
    if received != example():
        print(f"round trip: sent {example()}\nbut received {received}", file=sys.stderr)
        return 1
    import vla_mbpo_ros

    print(f"round trip: an ActionChunk between two processes, with {vla_mbpo_ros.__file__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
