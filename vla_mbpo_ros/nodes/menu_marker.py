"""A menu in RViz without a plugin: one interactive marker, and the few words that its clients need of a server.

    <name>/get_interactive_markers   a client asks, and hears the marker and the number of the newest update
    <name>/update                    number + 1 each time something changes; a gap makes a client ask again
    <name>/feedback                  what people do: this entry was chosen

The ROS package interactive_markers does the same for markers that move; no package index has it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from geometry_msgs.msg import Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import (
    InteractiveMarker,
    InteractiveMarkerControl,
    InteractiveMarkerFeedback,
    InteractiveMarkerUpdate,
    Marker,
    MenuEntry,
)
from visualization_msgs.srv import GetInteractiveMarkers

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.nodes.runtime import ManagedNode

SIZE_M = 0.12
_COLOUR = ColorRGBA(r=0.75, g=0.1, b=0.58, a=0.9)  # that of the mark on imagined pictures


class MenuMarker:
    """Of one node; `chosen(entry)` is called with a key of `entries`, which maps keys to what people read."""

    def __init__(
        self, node: ManagedNode, name: str, frame_id: str, entries: Mapping[str, str], chosen: Callable[[str], None]
    ) -> None:
        self._node, self._name, self._entries, self._chosen = node, name, entries, chosen
        self._marker = _marker(name, frame_id, list(entries.values()))
        self._number = 0
        self._updates = node.pub(InteractiveMarkerUpdate, f"{name}/update", qos.EVENT)
        node.sub(InteractiveMarkerFeedback, f"{name}/feedback", self._on_feedback, qos.EVENT)
        # Not by `serve`: this reply has no place for a refusal, and a client may ask while the node is inactive.
        self._service = node.create_service(GetInteractiveMarkers, f"{name}/get_interactive_markers", self._on_get)

    def show(self) -> None:
        """To clients that are here already."""
        self._publish(InteractiveMarkerUpdate(markers=[self._marker]))

    def close(self) -> None:
        self._publish(InteractiveMarkerUpdate(erases=[self._name]))
        self._node.destroy_service(self._service)

    def _publish(self, update: InteractiveMarkerUpdate) -> None:
        self._number += 1
        update.server_id, update.seq_num = f"{self._node.get_fully_qualified_name()}/{os.getpid()}", self._number
        update.type = InteractiveMarkerUpdate.UPDATE
        self._updates.publish(update)

    def _on_get(
        self, _: GetInteractiveMarkers.Request, response: GetInteractiveMarkers.Response
    ) -> GetInteractiveMarkers.Response:
        response.sequence_number, response.markers = self._number, [self._marker]
        return response

    def _on_feedback(self, feedback: InteractiveMarkerFeedback) -> None:
        if feedback.event_type != InteractiveMarkerFeedback.MENU_SELECT or feedback.marker_name != self._name:
            return
        keys = list(self._entries)
        if not 1 <= feedback.menu_entry_id <= len(keys):
            cause = f"The menu has no entry {feedback.menu_entry_id}, it has 1 to {len(keys)}."
            raise ContractError(cause, "Show the marker anew: uncheck and check the display.")
        self._chosen(keys[feedback.menu_entry_id - 1])


def _marker(name: str, frame_id: str, titles: list[str]) -> InteractiveMarker:
    """A small cube; any click on it opens the menu."""
    cube = Marker(type=Marker.CUBE, color=_COLOUR, scale=Vector3(x=SIZE_M, y=SIZE_M, z=SIZE_M))
    cube.pose.orientation.w = 1.0
    control = InteractiveMarkerControl(
        name="menu", interaction_mode=InteractiveMarkerControl.MENU, always_visible=True, markers=[cube]
    )
    control.orientation.w = 1.0
    entries = [
        MenuEntry(id=index, title=title, command_type=MenuEntry.FEEDBACK) for index, title in enumerate(titles, start=1)
    ]
    marker = InteractiveMarker(
        name=name, description="imagine", scale=2 * SIZE_M, menu_entries=entries, controls=[control]
    )
    marker.header.frame_id = frame_id
    marker.pose.orientation.w = 1.0
    return marker
