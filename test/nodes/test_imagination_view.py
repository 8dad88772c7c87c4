"""A live imagination_view_node beside the twin that acts, with a world model that takes its time (slow_world_node.py).

A stranger clicks on the menu as RViz does: it reads the marker, and sends feedback.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from lifecycle_msgs.msg import Transition
from live_graph import LiveGraph
from sensor_msgs.msg import Image
from slow_graph import MODEL, STEPS, VIEWS, enter_slow_graph
from slow_graph import VIEWER as NODE
from visualization_msgs.msg import InteractiveMarker, InteractiveMarkerFeedback, InteractiveMarkerUpdate, MarkerArray
from visualization_msgs.srv import GetInteractiveMarkers

from vla_mbpo_ros.evaluation.dream_view import MARK
from vla_mbpo_ros.messages.images import decode_image
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.schema import ImageArray

pytestmark = pytest.mark.ros
MENU = "imagined/menu"
LATEST, SAMPLES, STILL, CLEAR = range(1, 5)  # entries, in their order


@pytest.fixture(scope="module")
def live(enter_graph: Callable[..., LiveGraph], ready: Path) -> LiveGraph:
    return enter_slow_graph(enter_graph, {"wait_for": str(ready)}, ("imagination_view.samples=3",))


class Viewer:
    """What RViz would show, and its mouse."""

    def __init__(self, live: LiveGraph) -> None:
        self._live = live
        every = copy(qos.LATCHED)  # RViz wants the newest only; a test wants to hear of the others too
        every.depth = 100
        self.markers: list[MarkerArray] = live.listen(MarkerArray, "imagined/markers", profile=every)
        self.strips: list[Image] = live.listen(Image, "imagined/strip", profile=qos.LATCHED)
        self.views = {view: live.listen(Image, f"imagined/{view}/image", profile=qos.LATCHED) for view in VIEWS}
        self.updates: list[InteractiveMarkerUpdate] = live.listen(InteractiveMarkerUpdate, f"{MENU}/update")
        self._since = 0
        self._mouse = live.publisher(InteractiveMarkerFeedback, f"{MENU}/feedback")

    def menu(self) -> tuple[InteractiveMarker, int]:
        reply = self._live.call(
            GetInteractiveMarkers, f"{MENU}/get_interactive_markers", GetInteractiveMarkers.Request()
        )
        return reply.markers[0], reply.sequence_number

    def click(self, entry: int, **changes: Any) -> None:
        self._since = len(self.markers)
        fields = {"marker_name": MENU, "event_type": InteractiveMarkerFeedback.MENU_SELECT, **changes}
        self._mouse.publish(InteractiveMarkerFeedback(menu_entry_id=entry, **fields))

    @property
    def text(self) -> str:
        """What stands in space now."""
        return str(self.markers[-1].markers[1].text) if self.markers else ""

    @property
    def texts(self) -> list[str]:
        """What has stood there since the last click."""
        return [str(array.markers[1].text) for array in self.markers[self._since :]]

    def wait_for(self, *words: str) -> str:
        """Until all of this was said in one text since the last click."""

        def told() -> str:
            return next((text for text in self.texts if all(word in text for word in words)), "")

        return str(self._live.until(told, f"{words} in space"))

    def strip(self) -> ImageArray:
        return decode_image(self.strips[-1])


@pytest.fixture(scope="module")
def viewer(live: LiveGraph) -> Viewer:
    return Viewer(live)


def has_mark(image: ImageArray) -> bool:
    return bool((image == MARK).all(axis=-1).mean() > 0.02)


# -- before anything is imagined


def test_the_menu_is_what_a_client_of_rviz_asks_for(viewer: Viewer) -> None:
    marker, number = viewer.menu()
    assert [entry.id for entry in marker.menu_entries] == [LATEST, SAMPLES, STILL, CLEAR]
    assert marker.menu_entries[1].title == "Imagine 3 samples of it"
    assert (marker.name, marker.header.frame_id) == (MENU, "world")
    control = marker.controls[0]
    assert (control.interaction_mode, len(control.markers)) == (control.MENU, 1)
    assert number >= 1  # it was shown to who is here already


def test_while_the_model_is_loaded_a_click_is_answered_by_a_sentence(live: LiveGraph, viewer: Viewer) -> None:
    assert not has_mark(decode_image(live.until(lambda: viewer.strips, "the empty strip")[-1]))
    live.until(lambda: live.shown(NODE, "chunks not seen, not imagined by itself"), "diagnostics")
    live.until(lambda: viewer.click(LATEST) or "still loading" in viewer.text, "the model's word", limit_s=20.0)
    live.until(lambda: any("still loading copy_last" in text for text in live.errors(NODE)), "it in diagnostics")


# -- dreams


def test_the_latest_chunk_is_imagined_and_marked_in_every_picture(live: LiveGraph, viewer: Viewer, ready: Path) -> None:
    ready.touch()
    live.until(lambda: live.shown(MODEL, "model") == "slow-configured", "the model")
    viewer.click(LATEST)
    text = viewer.wait_for("Imagined: chunk, in")
    assert text.startswith("success 1% (slow-configured)\n")  # one row went through the model
    ball = viewer.markers[-1].markers[0]
    assert ball.color.r > ball.color.g  # 1 % is red
    live.until(lambda: has_mark(viewer.strip()), "the strip")
    for view, heard in viewer.views.items():
        image = live.until(lambda heard=heard: heard and has_mark(decode_image(heard[-1])) and heard[-1], view)
        assert image.header.frame_id == f"imagined/{view}"
        assert image.width >= 256
    ends_ns, begins_ns = to_ns(viewer.views["head"][-1].header.stamp), to_ns(viewer.strips[-1].header.stamp)
    assert ends_ns - begins_ns == STEPS * round(1e9 / 15.0)
    live.until(lambda: live.shown(NODE, "model") == "slow-configured", "the model in diagnostics")


def test_who_comes_late_sees_the_last_dream(live: LiveGraph, viewer: Viewer) -> None:
    late = Viewer(live)
    live.until(lambda: late.strips and late.markers and all(late.views.values()), "what is latched")
    assert has_mark(late.strip())
    assert late.text == viewer.text


def test_nothing_imagined_is_on_a_topic_of_a_camera(live: LiveGraph) -> None:
    topics = dict(live.node.get_publisher_names_and_types_by_node(NODE, "/"))
    images = {name for name, kinds in topics.items() if kinds == ["sensor_msgs/msg/Image"]}
    assert images == {"/imagined/strip", *(f"/imagined/{view}/image" for view in VIEWS)}
    for view in VIEWS:
        publishers = live.node.get_publishers_info_by_topic(f"/{view}/color/image_raw")
        assert {info.node_name for info in publishers} == {"sim_node"}


def test_samples_stand_side_by_side_also_when_they_come_as_jpegs(live: LiveGraph, viewer: Viewer) -> None:
    width = viewer.strip().shape[1]
    live.set_parameter(NODE, "imagination_view.jpeg_quality", 80)
    viewer.click(SAMPLES)
    viewer.wait_for("Imagining: 3 samples of chunk, 1 of 3 steps")
    viewer.wait_for("Imagined: 3 samples of chunk")
    live.until(lambda: viewer.strip().shape[1] > width, "a wider strip")
    live.set_parameter(NODE, "imagination_view.jpeg_quality", 0)


def test_of_two_clicks_the_second_is_refused_and_the_first_is_done(live: LiveGraph, viewer: Viewer) -> None:
    viewer.click(SAMPLES)
    viewer.wait_for("Imagining: 3 samples of chunk")
    viewer.click(STILL)
    viewer.wait_for("'nothing commanded' is not begun: '3 samples of chunk' is under way", "choose Clear")
    live.until(lambda: any("is not begun" in text for text in live.errors(NODE)), "the refusal in diagnostics")
    viewer.wait_for("Imagined: 3 samples of chunk")


def test_clear_cancels_and_shows_nothing(live: LiveGraph, viewer: Viewer) -> None:
    viewer.click(SAMPLES)
    viewer.wait_for("Imagining: 3 samples of chunk")
    viewer.click(CLEAR)
    viewer.wait_for("Cancelled: 3 samples of chunk")
    live.until(lambda: not has_mark(viewer.strip()), "an empty strip")
    for heard in viewer.views.values():
        live.until(lambda heard=heard: not has_mark(decode_image(heard[-1])), "an empty view")
    assert viewer.markers[-1].markers[0].action == viewer.markers[-1].markers[0].DELETE
    live.until(lambda: live.shown(NODE, "dreams") == "0", "no dream in diagnostics")
    live.until(lambda: "Cancelled after" in live.log(MODEL), "the model's word that it does not go on for nobody")


def test_what_the_model_refuses_is_told_in_its_words(live: LiveGraph, viewer: Viewer) -> None:
    live.set_parameter(MODEL, "world_model.max_samples", 2)
    viewer.click(SAMPLES)
    viewer.wait_for("Not imagined: 3 samples of chunk.", "3 samples, 2 is the most")
    live.set_parameter(MODEL, "world_model.max_samples", 16)


def test_the_layouts_of_rviz_and_foxglove_name_what_is_here(live: LiveGraph, viewer: Viewer) -> None:
    rviz = yaml.safe_load(Path("config/rviz/imagination.rviz").read_text(encoding="utf-8"))["Visualization Manager"]
    shown = {display["Topic"]["Value"]: display["Topic"] for display in rviz["Displays"] if "Topic" in display}
    assert rviz["Global Options"]["Fixed Frame"] == viewer.menu()[0].header.frame_id
    menu = next(display for display in rviz["Displays"] if display["Class"].endswith("InteractiveMarkers"))
    assert menu["Interactive Markers Namespace"] == f"/{MENU}"
    foxglove = Path("config/foxglove/imagination.json").read_text(encoding="utf-8")
    panels = json.loads(foxglove)["configById"]
    topics = {name for name, _ in live.node.get_topic_names_and_types()}
    assert {*shown, *re.findall(r'"(/[a-z_/]+)"', foxglove)} <= topics
    latched = {name for name, topic in shown.items() if topic["Durability Policy"] == "Transient Local"}
    assert latched == {name for name in shown if name.startswith("/imagined")}
    for name, entry in (("latest", LATEST), ("samples", SAMPLES), ("still", STILL), ("clear", CLEAR)):
        button = panels[f"Publish!{name}"]
        assert button["datatype"] == "visualization_msgs/msg/InteractiveMarkerFeedback"
        sent = InteractiveMarkerFeedback(**json.loads(button["value"]))
        assert (sent.menu_entry_id, sent.marker_name, sent.event_type) == (entry, MENU, sent.MENU_SELECT)


def test_what_is_no_entry_of_this_menu_changes_nothing(live: LiveGraph, viewer: Viewer) -> None:
    before = len(viewer.markers)
    viewer.click(LATEST, marker_name="another")
    viewer.click(LATEST, event_type=InteractiveMarkerFeedback.MOUSE_DOWN)
    viewer.click(99)
    live.until(lambda: any("The menu has no entry 99" in text for text in live.errors(NODE)), "its refusal")
    assert len(viewer.markers) == before


# -- reality


def test_a_dream_of_what_was_executed_is_held_against_what_the_cameras_saw(live: LiveGraph, viewer: Viewer) -> None:
    live.set_parameter(NODE, "imagination_view.every", 2)
    live.until(lambda: compared(live) >= 2, "two comparisons")
    for view in VIEWS:
        last, mean = numbers(live, f"{view} PSNR [dB], mean")
        assert 5.0 < last <= 60.2
        assert 5.0 < mean <= 60.2
        assert all(0.0 < value <= 1.0 for value in numbers(live, f"{view} SSIM, mean"))
    # The twin moves and the model says that it does not: there must be an error where something changed.
    moved = [live.shown(NODE, f"{view} PSNR where it changed [dB], mean").split(", ")[1] for view in VIEWS]
    assert any(text != "nothing changed" and float(text) < 40.0 for text in moved)
    live.until(lambda: "what was executed" in viewer.text, "it in space")
    live.set_parameter(NODE, "imagination_view.every", 0)


def test_who_asks_comes_before_what_is_imagined_by_itself_and_keeps_the_screen(live: LiveGraph, viewer: Viewer) -> None:
    live.set_parameter(NODE, "imagination_view.every", 1)  # more than the model can do: it is always busy
    live.until(lambda: live.shown(NODE, "under way") == "what was executed", "something under way")
    viewer.click(LATEST)
    viewer.wait_for("Imagined: chunk, in")
    before = compared(live)
    live.until(lambda: compared(live) > before + 1, "more comparisons")
    assert "Imagined: chunk, in" in viewer.text
    live.set_parameter(NODE, "imagination_view.every", 0)
    viewer.click(CLEAR)
    viewer.wait_for("Cleared.")


def compared(live: LiveGraph) -> int:
    return int((live.shown(NODE, "compared, not compared") or "0").split(",")[0])


def numbers(live: LiveGraph, key: str) -> list[float]:
    return [float(text) for text in live.shown(NODE, key).split(", ")]


def test_a_chunk_that_was_replaced_before_its_end_is_compared_only_if_the_arm_kept_to_its_way(
    live: LiveGraph, viewer: Viewer
) -> None:
    live.until(lambda: live.shown(NODE, "under way") == "nothing", "nothing under way")
    live.set_parameter(NODE, "imagination_view.tolerance", 0.0)
    before = int(live.shown(NODE, "compared, not compared").split(", ")[1])
    viewer.click(LATEST)
    viewer.wait_for("Imagined: chunk, in")
    live.until(lambda: int(live.shown(NODE, "compared, not compared").split(", ")[1]) > before, "its outcome")
    assert "The arm left the dreamed way at step" in live.shown(NODE, "why not compared")
    live.set_parameter(NODE, "imagination_view.tolerance", 0.02)


def test_a_robot_that_holds_makes_the_control_come_true(live: LiveGraph, viewer: Viewer) -> None:
    assert live.switch("robot/arm", False).success
    before = compared(live)
    live.spin(0.5)  # the arm comes to rest
    viewer.click(STILL)
    viewer.wait_for("Imagined: nothing commanded")
    nothing_moved = lambda: compared(live) > before and numbers(live, "head PSNR [dB], mean")[0] > 40.0  # noqa: E731
    live.until(nothing_moved, "the comparison")
    assert live.switch("robot/arm", True).success


# -- its life


def test_it_goes_through_its_lifecycle_in_the_middle_of_a_dream(live: LiveGraph, viewer: Viewer) -> None:
    viewer.click(SAMPLES)
    viewer.wait_for("Imagining: 3 samples of chunk")
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        assert live.transition(NODE, transition)
    live.spin(0.5)
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        assert live.transition(NODE, transition)
    live.until(lambda: viewer.text == "Click on the cube to imagine.", "a new beginning")
    numbers = [update.seq_num for update in viewer.updates]
    assert numbers[-1] == 1  # another server, which begins anew
    # The middleware takes a while to see that the old menu's ear is gone and a new one is here.
    live.until(lambda: viewer.click(STILL) or "Imagined: nothing commanded" in viewer.text, "a dream again")
    live.spin(0.5)
    live.until(lambda: live.shown(NODE, "under way") == "nothing", "the last click's dream")


def test_without_a_world_model_it_says_so_and_lives(live: LiveGraph, viewer: Viewer) -> None:
    viewer.click(SAMPLES)
    viewer.wait_for("Imagining: 3 samples of chunk")
    os.kill(live.session.processes.pids[MODEL], signal.SIGTERM)
    viewer.wait_for("Not imagined: 3 samples of chunk.")
    viewer.click(STILL)
    viewer.wait_for("Not imagined: nothing commanded.", "Nobody serves world_model/imagine", "Is world_model_node up?")
    viewer.click(CLEAR)
    viewer.wait_for("Cleared.")
    assert live.session.processes.restarts[NODE] == 0


def test_it_ends_in_order(live: LiveGraph) -> None:
    live.stop()
    assert "Traceback" not in live.log(NODE)
    assert not [text for text in live.session.processes.errors if text.startswith(NODE)]
