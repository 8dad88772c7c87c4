"""A live world_model_node beside the twin, and a second one whose model takes its time (slow_world_node.py)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from lifecycle_msgs.msg import Transition
from live_graph import LiveGraph, make_graph
from rclpy.action import ActionClient
from sensor_msgs.msg import Image
from slow_world_node import ONE_EYED, SlowSpec

from vla_mbpo_ros.action import Imagine as ImagineAction
from vla_mbpo_ros.bringup.graph import GraphSpec
from vla_mbpo_ros.messages.chunks import encode_chunk
from vla_mbpo_ros.messages.compressed import decode_compressed
from vla_mbpo_ros.messages.images import decode_image, fill_image
from vla_mbpo_ros.messages.stamps import to_ns
from vla_mbpo_ros.msg import ActionChunk as ActionChunkMessage
from vla_mbpo_ros.msg import ImaginedStep
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.schema import ActionChunk, ImageArray
from vla_mbpo_ros.srv import Imagine, LoadCheckpoint

pytestmark = pytest.mark.ros
ROBOT = replace(get_robot("arx_x5"), robot_id="arx_x5-sim")
VIEWS, STEPS, HZ = ROBOT.camera_names, 4, 15.0
HEIGHT, WIDTH = 64, 80
DT_NS = round(1e9 / HZ)
QUICK, SLOW = "world_model/imagine", "slow/world_model/imagine"
SEEN_NS = 3_000_000_000  # stamp of the images that tests send


@pytest.fixture(scope="module")
def live(enter_graph: Callable[..., LiveGraph], ready: Path) -> LiveGraph:
    nodes = ("sim_node", "robot_node", "world_model_node")

    def make(settings: tuple[str, ...]) -> GraphSpec:
        graph = make_graph(settings, only=nodes, sim=True, act=False, record=False, world_model="copy_last")
        known = graph.node("world_model_node")
        own = {"namespace": "slow", "parameters": {**known.parameters, "wait_for": str(ready)}}
        slow = SlowSpec(**{**vars(known), "name": "slow_world_node", **own})
        return replace(graph, nodes=(*graph.nodes, slow))

    os.environ["PYTHONPATH"] = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))
    cameras = tuple(f"cameras.{view}.{what}" for view in VIEWS for what in (f"width={WIDTH}", "max_age_s=2.0"))
    return enter_graph(make, (f"policy.horizon={STEPS}", "policy.max_state_age_s=2.0", *cameras))  # it may be busy


@pytest.fixture
def slow(live: LiveGraph, ready: Path) -> LiveGraph:
    ready.touch()
    live.until(lambda: ask(live, SLOW, given()).success, "the slow model")
    return live


def chunk(**changes: Any) -> ActionChunkMessage:
    values = np.tile(ROBOT.home, (STEPS, 1))
    made = encode_chunk(ActionChunk(SEEN_NS, 1, DT_NS, values), ROBOT, ActionChunkMessage)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def picture(view: str) -> ImageArray:
    return np.random.default_rng(len(view)).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def image(view: str, height: int = HEIGHT, width: int = WIDTH) -> Image:
    message = Image()
    fill_image(message, np.resize(picture(view), (height, width, 3)), SEEN_NS, view)
    return message


def given(**changes: Any) -> Imagine.Request:
    """A request that needs nothing of the graph."""
    fields: dict[str, Any] = {
        "views": list(VIEWS),
        "images": [image(view) for view in VIEWS],
        "names": list(ROBOT.names),
        "state": ROBOT.home.tolist(),
        "chunks": [chunk()],
        "instruction": "stir",
    }
    return Imagine.Request(**{**fields, **changes})


def goal(**changes: Any) -> ImagineAction.Goal:
    request = given(**changes)
    return ImagineAction.Goal(**{name: getattr(request, name) for name in request.get_fields_and_field_types()})


def ask(live: LiveGraph, name: str, request: Imagine.Request) -> Imagine.Response:
    return live.call(Imagine, name, request)


# -- while it is loaded


def test_before_the_model_is_loaded_it_says_so_and_then_answers(live: LiveGraph, ready: Path) -> None:
    reply = ask(live, SLOW, given())
    assert (reply.success, reply.model_version) == (False, "")
    assert "still loading copy_last" in reply.message
    assert "Ask again in a moment" in reply.message
    live.until(lambda: live.shown("slow_world_node", "loading").startswith("loading copy_last"), "its sub-state")
    ready.touch()
    live.until(lambda: ask(live, SLOW, given()).success, "the model")


# -- answers


def test_the_latest_observation_is_the_newest_message_of_each_camera(live: LiveGraph) -> None:
    frames = live.listen(Image, "head/color/image_raw")
    live.until(lambda: len(frames) > 2, "frames")
    asked_ns = max(to_ns(frame.header.stamp) for frame in frames)
    request = Imagine.Request(chunks=[chunk()])
    reply = live.until(lambda: answered(ask(live, QUICK, request)), "an observation of each source")
    stamps = [to_ns(stamp) for stamp in reply.observed]
    assert (len(stamps), len(reply.steps)) == (len(VIEWS), 1)
    assert stamps[0] >= asked_ns
    sent = live.until(lambda: [f for f in frames if to_ns(f.header.stamp) == stamps[0]], "the frame itself")[0]
    np.testing.assert_array_equal(decode_image(reply.steps[0].images[0]), decode_image(sent))
    step = reply.steps[0]
    assert to_ns(step.header.stamp) == max(stamps) + STEPS * DT_NS
    assert (reply.model_version, step.model_version) == ("copy_last-1", "copy_last-1")
    assert (step.next_state_source, len(step.next_state)) == (ImaginedStep.NONE, 0)
    assert np.isnan([step.value, step.success_probability]).all()


def answered(reply: Imagine.Response) -> Imagine.Response | None:
    return reply if reply.success else None


def test_without_a_source_the_latest_observation_is_refused_by_its_name(slow: LiveGraph) -> None:
    """Nobody publishes in the slow node's namespace."""
    missing: dict[str, dict[str, Any]] = {
        "head": {"views": [], "images": []},
        "joint_states": {"names": [], "state": []},
    }
    for source, changes in missing.items():
        reply = ask(slow, SLOW, given(**changes))
        assert not reply.success
        assert f"nothing has come from '{source}'" in reply.message


def test_the_latest_proposed_chunk_is_taken_while_it_lasts(live: LiveGraph) -> None:
    reply = ask(live, QUICK, given(chunks=[]))
    assert (reply.success, "no policy has proposed one" in reply.message) == (False, True)
    publisher = live.publisher(ActionChunkMessage, "policy/action_chunk")
    publisher.publish(chunk())  # of the third second of the simulation, or before: it may be over
    live.until(lambda: live.node.get_clock().now().nanoseconds > SEEN_NS + STEPS * DT_NS, "the end of the chunk")
    live.until(lambda: "ended" in ask(live, QUICK, given(chunks=[])).message, "a chunk that is over")
    late = chunk()
    late.header.stamp.sec = 10_000
    publisher.publish(late)
    live.until(lambda: ask(live, QUICK, given(chunks=[])).success, "a chunk that lasts")


def test_given_images_samples_and_chunks_come_back_in_order(live: LiveGraph) -> None:
    order = list(reversed(VIEWS))
    reply = ask(
        live, QUICK, given(views=order, images=[image(view) for view in order], chunks=[chunk()] * 3, samples=2)
    )
    assert reply.success, reply.message
    assert [(step.sample, step.chunk) for step in reply.steps] == [(s, c) for s in range(2) for c in range(3)]
    assert [to_ns(stamp) for stamp in reply.observed] == [SEEN_NS] * len(VIEWS)
    for step in reply.steps:
        assert tuple(step.views) == VIEWS
        assert to_ns(step.header.stamp) == SEEN_NS + (step.chunk + 1) * STEPS * DT_NS
        for view, message in zip(VIEWS, step.images, strict=True):
            assert message.header.frame_id == f"imagined/{view}"
            np.testing.assert_array_equal(decode_image(message), picture(view))
    assert 0.0 < reply.elapsed_s < 30.0


def test_fewer_and_compressed_views_are_smaller(live: LiveGraph) -> None:
    whole = ask(live, QUICK, given(reply_views=["head"])).steps[0]
    small = ask(live, QUICK, given(reply_views=["head"], jpeg_quality=50)).steps[0]
    assert (list(whole.views), len(whole.images), len(whole.compressed)) == (["head"], 1, 0)
    assert (list(small.views), len(small.images), len(small.compressed)) == (["head"], 0, 1)
    assert len(small.compressed[0].data) < len(whole.images[0].data) / 2
    assert decode_compressed(small.compressed[0]).shape == (HEIGHT, WIDTH, 3)
    assert small.compressed[0].header.frame_id == "imagined/head"


# -- what is refused; each with words of what came and what to do

NAN = [float("nan")] * (STEPS * ROBOT.dof)
BAD: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"views": ["haed", *VIEWS[1:]]}, ("Unknown view 'haed'", "Did you mean 'head'")),
    ({"views": ["head"] * 3}, ("Images of head, head, head came", "Send one of each")),
    ({"views": [], "images": [image("head")]}, ("0 views and 1 images", "one image a view")),
    ({"views": ["head"], "images": [image("head")]}, ("copy_last-1 sees head, left_wrist, right_wrist",)),
    ({"images": [image(view, 48, 64) for view in VIEWS]}, ("'head' is 64 x 48, copy_last-1 sees 80 x 64",)),
    ({"images": [Image()] * 3}, ("encoding '' is not known",)),
    (
        {"images": [Image(encoding="rgb8", height=64, width=64, step=192)] * 3},
        ("64 x 64 rgb8 has step 192 and 0 bytes",),
    ),
    ({"state": [0.0] * 3}, ("has 3 values, expected 14",)),
    ({"state": [float("nan")] * ROBOT.dof}, ("The state is nan for left_joint1",)),
    ({"names": ["left_joint1"]}, ("left_joint2",)),
    ({"chunks": [chunk(horizon=STEPS + 1, values=[0.0] * (STEPS + 1) * ROBOT.dof)]}, ("has 5 steps", "chunks of 4")),
    ({"chunks": [chunk(values=[0.0] * 5)]}, ("has 5 values",)),
    ({"chunks": [chunk(values=NAN)]}, ("Chunk 0 of the request is nan for left_joint1",)),
    ({"chunks": [chunk(), chunk(names=["x"] * 7)]}, ("has 7 columns, arx_x5 has 14",)),
    ({"chunks": [chunk(robot_id="arx_x5")]}, ("for the robot 'arx_x5', this is 'arx_x5-sim'",)),
    ({"chunks": [chunk(dt_ns=1)]}, ("take 1e-09 s", "at the control rate")),
    ({"chunks": [chunk()] * 17}, ("17 chunks, 16 is the most",)),
    ({"instruction": "stir " * 2000}, ("has 10000 characters, 1000 is the most", "in a sentence")),
    ({"samples": 1000}, ("1000 samples, 16 is the most", "world_model.max_samples")),
    ({"time_limit_s": -1.0}, ("A time limit of -1.0 s", "at most 600 s")),
    ({"time_limit_s": float("nan")}, ("A time limit of nan s",)),
    ({"time_limit_s": 1e9}, ("at most 600 s",)),
    ({"reply_views": ["tail"]}, ("Unknown view 'tail' in reply_views",)),
    ({"reply_views": ["head", "head"]}, ("names a view twice",)),
    ({"jpeg_quality": 101}, ("101 is no JPEG quality",)),
    ({"samples": 16, "chunks": [chunk()] * 16}, ("The reply would have 11.8 MB, 4 MB is the most", "reply_views")),
]


@pytest.mark.parametrize(
    ("changes", "words"), BAD, ids=lambda value: "" if isinstance(value, tuple) else "+".join(value)
)
def test_bad_input_gets_a_sentence_that_helps(live: LiveGraph, changes: dict[str, Any], words: tuple[str, ...]) -> None:
    reply = ask(live, QUICK, given(**changes))
    assert not reply.success
    for word in words:
        assert word in reply.message
    assert (len(reply.steps), reply.model_version) == (0, "copy_last-1")


# -- several who ask, time limits, cancels


class Asker:
    """One client, which asks without waiting."""

    def __init__(self, live: LiveGraph, name: str) -> None:
        self._client = live.node.create_client(Imagine, name)
        live.until(self._client.service_is_ready, f"service {name}")

    def begin(self, **changes: Any) -> Any:
        return self._client.call_async(given(**changes))


def test_two_clients_at_once_share_the_model(slow: LiveGraph) -> None:
    first, second = (Asker(slow, SLOW) for _ in range(2))
    replies = [first.begin(chunks=[chunk()] * 4), second.begin(chunks=[chunk()] * 2, samples=2)]
    slow.until(lambda: all(reply.done() for reply in replies), "both replies")
    one, other = (reply.result() for reply in replies)
    assert (one.success, len(one.steps)) == (True, 4)
    assert (other.success, len(other.steps)) == (True, 4)
    rows = [round(step.success_probability * 100) for step in (*one.steps, *other.steps)]
    assert max(rows) == 3  # one of the first beside two of the second
    assert rows.count(3) >= 3


def test_a_time_limit_is_kept_and_the_node_goes_on(slow: LiveGraph) -> None:
    began_s = time.monotonic()
    reply = ask(slow, SLOW, given(chunks=[chunk()] * 16, time_limit_s=0.5))
    assert not reply.success
    assert "of 16 steps were imagined in 0.5 s" in reply.message
    assert 0.5 <= reply.elapsed_s < 1.5
    assert time.monotonic() - began_s < 4.0
    assert reply.model_version == "slow-configured"
    assert ask(slow, SLOW, given()).success


def send(live: LiveGraph, feedback: list[Any], **changes: Any) -> Any:
    client = ActionClient(live.node, ImagineAction, SLOW)
    live.until(client.server_is_ready, "the action")
    sent = client.send_goal_async(goal(**changes), feedback_callback=lambda message: feedback.append(message.feedback))
    live.until(sent.done, "the goal's acceptance")
    return sent.result()


def test_an_action_tells_of_each_chunk(slow: LiveGraph) -> None:
    feedback: list[ImagineAction.Feedback] = []
    handle = send(slow, feedback, chunks=[chunk()] * 3)
    result = handle.get_result_async()
    slow.until(result.done, "the result")
    answer = result.result()
    assert (answer.status, answer.result.success) == (GoalStatus.STATUS_SUCCEEDED, True)
    slow.until(lambda: len(feedback) == 3, "three words of feedback")
    assert [(f.steps_done, f.steps_total, f.step.chunk) for f in feedback] == [(1, 3, 0), (2, 3, 1), (3, 3, 2)]
    told, kept = feedback[1].step, answer.result.steps[1]
    assert (told.header, told.images, told.elapsed_s) == (kept.header, kept.images, kept.elapsed_s)
    assert answer.result.steps[0].next_state_source == ImaginedStep.COMMANDED
    np.testing.assert_allclose(answer.result.steps[0].next_state, ROBOT.home)


def test_a_cancelled_action_ends_soon_and_says_how_far_it_came(slow: LiveGraph) -> None:
    feedback: list[ImagineAction.Feedback] = []
    handle = send(slow, feedback, chunks=[chunk()] * 16)
    slow.until(lambda: feedback, "the first chunk")
    handle.cancel_goal_async()
    result = handle.get_result_async()
    slow.until(result.done, "the result")
    answer = result.result()
    assert (answer.status, answer.result.success) == (GoalStatus.STATUS_CANCELED, False)
    assert "of 16 steps" in answer.result.message
    assert len(feedback) < 16
    assert ask(slow, SLOW, given()).success


def test_bad_input_of_an_action_is_an_aborted_goal_with_a_sentence(slow: LiveGraph) -> None:
    result = send(slow, [], samples=1000).get_result_async()
    slow.until(result.done, "the result")
    assert result.result().status == GoalStatus.STATUS_ABORTED
    assert "1000 samples, 16 is the most" in result.result().result.message


# -- another model


def load(live: LiveGraph, path: Path | str, dry_run: bool = False) -> LoadCheckpoint.Response:
    request = LoadCheckpoint.Request(path=str(path), dry_run=dry_run)
    return live.call(LoadCheckpoint, "slow/world_model/load_checkpoint", request)


def test_another_model_answers_from_the_next_request_on(slow: LiveGraph, tmp_path: Path) -> None:
    (tmp_path / "better").mkdir()
    tried = load(slow, tmp_path / "better", dry_run=True)
    assert (tried.success, tried.message) == (True, "slow-better fits. slow-configured goes on.")
    under_way = Asker(slow, SLOW).begin(chunks=[chunk()] * 6)
    slow.spin(0.2)
    reply = load(slow, tmp_path / "better")
    assert (reply.success, reply.version) == (True, "slow-better"), reply.message
    assert ask(slow, SLOW, given()).model_version == "slow-better"
    slow.until(under_way.done, "the request that was under way")
    assert {step.model_version for step in under_way.result().steps} == {"slow-configured"}
    for path, words in ((tmp_path / "nothing", "There is no folder at"), ("", "No path came")):
        refused = load(slow, path)
        assert (refused.success, refused.version) == (False, "slow-better")
        assert words in refused.message
    slow.until(lambda: slow.shown("slow_world_node", "model") == "slow-better", "the new model in diagnostics")


def test_of_a_robot_whose_cameras_it_knows_in_part_a_model_takes_those(slow: LiveGraph, tmp_path: Path) -> None:
    for name in (ONE_EYED, "two_eyed"):
        (tmp_path / name).mkdir()
    assert load(slow, tmp_path / ONE_EYED).success
    reply = ask(slow, SLOW, given())
    assert reply.success, reply.message
    assert ([list(step.views) for step in reply.steps], len(reply.observed)) == ([["head"]], 1)
    np.testing.assert_array_equal(decode_image(reply.steps[0].images[0]), picture("head"))
    assert (
        "sees head" in ask(slow, SLOW, given(views=list(VIEWS[1:]), images=[image(view) for view in VIEWS[1:]])).message
    )
    assert load(slow, tmp_path / "two_eyed").success


# -- its life


def test_after_all_that_the_nodes_live_and_go_through_their_lifecycle(slow: LiveGraph) -> None:
    under_way = Asker(slow, SLOW).begin(chunks=[chunk()] * 16)
    slow.spin(0.3)
    for node in ("world_model_node", "slow/slow_world_node"):
        assert slow.transition(node, Transition.TRANSITION_DEACTIVATE)
    slow.until(under_way.done, "a word to who was waiting")
    assert "was stopped" in under_way.result().message
    assert "world_model_node is inactive" in ask(slow, QUICK, given()).message
    for node in ("world_model_node", "slow/slow_world_node"):
        for transition in (Transition.TRANSITION_CLEANUP, Transition.TRANSITION_CONFIGURE):
            assert slow.transition(node, transition)
        assert slow.transition(node, Transition.TRANSITION_ACTIVATE)
    slow.until(lambda: ask(slow, QUICK, given()).success and ask(slow, SLOW, given()).success, "answers again")
    assert not any(slow.session.processes.restarts.values())


def test_they_end_in_order_in_the_middle_of_a_request(slow: LiveGraph) -> None:
    Asker(slow, SLOW).begin(chunks=[chunk()] * 16)
    slow.spin(0.3)
    slow.stop()
    for name in ("world_model_node", "slow_world_node"):
        assert "Traceback" not in slow.log(name)
    assert not slow.session.processes.errors
