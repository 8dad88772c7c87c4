"""The compressed image topic of one camera of ours. Nothing is encoded while nobody listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensor_msgs.msg import CompressedImage

from vla_mbpo_ros.messages.compressed import encode_compressed
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.robots.contract import COMPRESSED
from vla_mbpo_ros.schema import Frame

if TYPE_CHECKING:
    from vla_mbpo_ros.nodes.runtime import ManagedNode


class CompressedColor:
    """`quality` 0: there is no such topic."""

    def __init__(self, node: ManagedNode, camera: str, frame_id: str, quality: int) -> None:
        self._frame_id, self._quality = frame_id, quality
        self._publisher = node.pub(CompressedImage, f"{camera}/{COMPRESSED}", qos.IMAGE) if quality else None

    def publish(self, frame: Frame) -> None:
        if self._publisher is None or not self._publisher.get_subscription_count():
            return
        message = encode_compressed(frame.image, frame.stamp_ns, self._frame_id, self._quality, CompressedImage)
        self._publisher.publish(message)
