"""What imagination_view_node shows: marked pictures and a word in space, latched for who comes late.

imagined/<view>/image   Image         a view after the last chunk of the first sample
imagined/strip          Image         now beside all that is imagined, and what came
imagined/markers        MarkerArray   a ball in the colour of the success probability, and a text
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from geometry_msgs.msg import Vector3
from sensor_msgs.msg import Image
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from vla_mbpo_ros.evaluation.dream_view import draw_nothing, draw_picture, draw_strip, success_colour, success_text
from vla_mbpo_ros.evaluation.dreams import Dream
from vla_mbpo_ros.messages.images import fill_image
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.schema import ImageArray

BALL_M, LETTER_M = 0.16, 0.05
BALL_Z_M, TEXT_Z_M = 0.3, 0.5  # above the menu's cube


@dataclass(frozen=True)
class Drawn:
    """Ready to be sent."""

    strip: ImageArray
    pictures: dict[str, ImageArray]
    observed_ns: int
    ends_ns: int  # of its last chunk


def draw(dream: Dream) -> Drawn:
    """Off the executor's thread."""
    version, success = dream.model_version, float(dream.success[0, -1])
    pictures = {view: draw_picture(image, success, version) for view, image in dream.imagined[0][-1].items()}
    return Drawn(draw_strip(dream), pictures, dream.observed_ns, dream.observed_ns + dream.chunks * dream.chunk_ns)


class Screen:
    """Of one node."""

    def __init__(self, node: ManagedNode) -> None:
        self._frame_id = node.cfg.imagination_view.frame_id
        self._strip = node.pub(Image, "imagined/strip", qos.LATCHED)
        self._markers = node.pub(MarkerArray, "imagined/markers", qos.LATCHED)
        self._views = {view: node.pub(Image, f"imagined/{view}/image", qos.LATCHED) for view in node.cfg.cameras}

    def show(self, drawn: Drawn) -> None:
        self._publish(self._strip, drawn.strip, drawn.observed_ns, "imagined/strip")
        for view, picture in drawn.pictures.items():
            self._publish(self._views[view], picture, drawn.ends_ns, f"imagined/{view}")

    def show_nothing(self, now_ns: int) -> None:
        """So that nobody takes an old dream for a new one."""
        for name, publisher in {"strip": self._strip, **self._views}.items():
            self._publish(publisher, draw_nothing(), now_ns, f"imagined/{name}")

    def tell(self, dream: Dream | None, text: str) -> None:
        """`text` in space, and what the newest dream is worth."""
        success = dream.last_success if dream else math.nan
        lines = [f"{success_text(success)} ({dream.model_version})", text] if dream else [text]
        ball = self._marker(0, Marker.SPHERE, BALL_Z_M, BALL_M, (*success_colour(success), 0.9))
        words = self._marker(1, Marker.TEXT_VIEW_FACING, TEXT_Z_M, LETTER_M, (1.0, 1.0, 1.0, 1.0))
        ball.action = Marker.ADD if dream else Marker.DELETE
        words.text = "\n".join(lines)
        self._markers.publish(MarkerArray(markers=[ball, words]))

    def _marker(self, number: int, kind: int, z_m: float, size_m: float, rgba: tuple[float, ...]) -> Marker:
        marker = Marker(ns="imagined", id=number, type=kind, scale=Vector3(x=size_m, y=size_m, z=size_m))
        marker.header.frame_id = self._frame_id
        marker.pose.position.z, marker.pose.orientation.w = z_m, 1.0
        marker.color = ColorRGBA(r=rgba[0], g=rgba[1], b=rgba[2], a=rgba[3])
        return marker

    @staticmethod
    def _publish(publisher: Image, image: ImageArray, stamp_ns: int, frame_id: str) -> None:
        message = Image()
        fill_image(message, image, stamp_ns, frame_id)
        publisher.publish(message)
