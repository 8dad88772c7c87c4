"""The two processes of `vla-mbpo bench transport`: publish|receive TASK. Each prints one JSON line."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

_SETTLE_S = 0.5  # a publisher may know its reader a little before the reader knows it
_MATCH_LIMIT_S = 15.0
_LINGER_S = 0.5  # what is still on its way needs its publisher


@dataclass(frozen=True)
class Task:
    prefix: str
    cameras: int
    width: int
    height: int
    hz: float
    frames: int  # of each camera
    reliable: bool

    def topics(self) -> list[str]:
        return [f"{self.prefix}/camera{index}/image_raw" for index in range(self.cameras)]

    def qos(self) -> Any:
        from rclpy.qos import QoSProfile, ReliabilityPolicy

        reliability = ReliabilityPolicy.RELIABLE if self.reliable else ReliabilityPolicy.BEST_EFFORT
        return QoSProfile(depth=5, reliability=reliability)


def publish(node: Any, task: Task) -> dict[str, Any]:
    """Send every camera's frames at the same moments; stamps are steady time, which both processes share."""
    from sensor_msgs.msg import Image

    publishers = [node.create_publisher(Image, topic, task.qos()) for topic in task.topics()]
    _wait_for_readers(publishers)
    frame = np.random.default_rng(0).integers(0, 256, (task.height, task.width, 3), dtype=np.uint8)
    message = _image(Image, task)
    pixels = np.frombuffer(message.data, np.uint8).reshape(frame.shape)  # one message is filled again and again
    began = time.monotonic()
    for index in range(task.frames):
        time.sleep(max(0.0, began + index / task.hz - time.monotonic()))
        for publisher in publishers:
            np.copyto(pixels, frame)
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(time.monotonic_ns(), 1_000_000_000)
            publisher.publish(message)
    time.sleep(_LINGER_S)
    return {"sent": task.frames * len(publishers)}


def receive(node: Any, task: Task) -> dict[str, Any]:
    """Count distinct sequence numbers and measure from stamp to callback, the message decoded."""
    import rclpy
    from sensor_msgs.msg import Image

    latencies_ms: list[float] = []
    seen: set[tuple[int, int]] = set()

    def on_image(camera: int, message: Any, info: dict[str, Any]) -> None:
        stamp = message.header.stamp
        latencies_ms.append((time.monotonic_ns() - stamp.sec * 1_000_000_000 - stamp.nanosec) / 1e6)
        seen.add((camera, int(info["publication_sequence_number"])))

    for camera, topic in enumerate(task.topics()):
        node.create_subscription(Image, topic, partial(on_image, camera), task.qos())
    met, end_s = False, time.monotonic() + _MATCH_LIMIT_S
    while node.count_publishers(task.topics()[0]) or not met:
        met = met or bool(node.count_publishers(task.topics()[0]))
        if not met and time.monotonic() > end_s:
            raise SystemExit("error: the publisher was not found.")
        rclpy.spin_once(node, timeout_sec=0.1)
    # Nothing may have arrived at all: the default transport can lose every large image.
    p50, p95 = np.percentile(latencies_ms, (50, 95)) if seen else (None, None)
    return {"received": len(seen), "p50_ms": p50, "p95_ms": p95}


def _wait_for_readers(publishers: list[Any]) -> None:
    end = time.monotonic() + _MATCH_LIMIT_S
    while not all(publisher.get_subscription_count() for publisher in publishers):
        if time.monotonic() > end:
            raise SystemExit("error: the receiver was not found.")
        time.sleep(0.02)
    time.sleep(_SETTLE_S)


def _image(kind: Any, task: Task) -> Any:
    message = kind(height=task.height, width=task.width, encoding="rgb8", step=task.width * 3)
    message.data.frombytes(bytes(task.height * task.width * 3))
    return message


def main() -> None:
    import rclpy

    end, task = sys.argv[1], Task(**json.loads(sys.argv[2]))
    rclpy.init()
    node = rclpy.create_node(f"bench_transport_{end}")
    print(json.dumps({"publish": publish, "receive": receive}[end](node, task)), flush=True)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
