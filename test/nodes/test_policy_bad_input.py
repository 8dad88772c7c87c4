"""On a robot's clock: what a policy is given and must not take, and loading while commands leave at 100 Hz."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from live_graph import LiveGraph
from safetensors.torch import load_file, save_file
from sensor_msgs.msg import Image, JointState
from small_policies import save_small

from vla_mbpo_ros.messages.images import fill_image
from vla_mbpo_ros.models.weights import hash_files
from vla_mbpo_ros.msg import ActionChunk, ExecutorStatus, JointCommand
from vla_mbpo_ros.nodes import qos
from vla_mbpo_ros.policy.checkpoint import CONFIG, LINEAGE, STATS, WEIGHTS
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.srv import LoadCheckpoint, SetInstruction

pytestmark = pytest.mark.ros
ROBOT = get_robot("arx_x5")
CAMERAS = ("head", "left_wrist", "right_wrist")
CONTROL_HZ, STEPS = 100.0, 200  # two seconds of plan: the machine may be busy with other things
IMAGE_S = 1.0 / 30.0
LOAD_S = 100.0  # longest wait; on a busy machine torch alone takes half a minute


class Cameras:
    """Plays three drivers with pictures of noise."""

    def __init__(self, live: LiveGraph) -> None:
        self._clock, self._noise = live.node.get_clock(), np.random.default_rng(0)
        self.silent, self.cut = set[str](), set[str]()
        self._pubs = {name: live.node.create_publisher(Image, f"{name}/color/image_raw", 10) for name in CAMERAS}
        live.node.create_timer(IMAGE_S, self._publish)

    def _publish(self) -> None:
        for name in set(CAMERAS) - self.silent:
            message = Image()
            picture = self._noise.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            fill_image(message, picture, self._clock.now().nanoseconds, name)
            if name in self.cut:
                message.data = message.data[:-64]
            self._pubs[name].publish(message)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies")


@pytest.fixture(scope="module")
def good(folder: Path) -> str:
    """Version of a policy that looks through two of the three cameras."""
    return save_small(folder / "good", ROBOT, horizon=STEPS)


@pytest.fixture(scope="module")
def live(start_graph: Callable[..., LiveGraph]) -> LiveGraph:
    """It begins with the scripted policy, which has no need of torch."""
    generous = tuple(f"cameras.{name}.max_age_s=0.6" for name in CAMERAS)  # the tests' own drivers may stumble
    chunks = (f"control_hz={CONTROL_HZ}", f"policy.horizon={STEPS}", "policy.replan_steps=25")
    settings = (*generous, *chunks, "policy.max_state_age_s=0.6", "gate.max_state_age_s=2.0")
    return start_graph(cameras="external", robot="sink", record=False, set=settings)


@pytest.fixture(scope="module")
def cameras(live: LiveGraph) -> Cameras:
    return Cameras(live)


@pytest.fixture
def acting(live: LiveGraph, cameras: Cameras) -> Iterator[LiveGraph]:
    """The policy of the moment is in control of the arm."""
    cameras.silent.clear()
    cameras.cut.clear()
    executed = live.listen(JointCommand, "robot/executed_command")
    assert live.switch("robot/arm", True).success
    assert live.switch("executor/enable", True).success
    tell(live, "stir")
    live.until(lambda: executed and executed[-1].source == "policy", "the policy in control")
    live.statuses.clear()
    yield live
    tell(live, "")
    for name in ("executor/enable", "robot/arm"):
        live.switch(name, False)


def tell(live: LiveGraph, instruction: str) -> None:
    assert live.call(SetInstruction, "policy/set_instruction", SetInstruction.Request(instruction=instruction)).success


def load(live: LiveGraph, path: Path) -> LoadCheckpoint.Response:
    client = live.node.create_client(LoadCheckpoint, "policy/load_checkpoint")
    live.until(client.service_is_ready, "the service")
    asked = client.call_async(LoadCheckpoint.Request(path=str(path)))
    live.until(asked.done, "the answer", limit_s=LOAD_S)
    live.node.destroy_client(client)
    return asked.result()


def test_the_first_learnt_policy_is_not_loaded_while_the_robot_moves(
    acting: LiveGraph, folder: Path, good: str
) -> None:
    """Bringing torch in was seen to stop the node for a second: the arm held."""
    refused = load(acting, folder / "good")
    assert (refused.success, refused.version) == (False, "scripted-1")
    assert "Load it while the policy rests or the robot is disarmed" in refused.message
    tell(acting, "")
    reply = load(acting, folder / "good")
    assert (reply.success, reply.message, reply.version) == (True, f"{good} acts now.", good)


def test_loading_while_commands_leave_at_100_hz_loses_no_tick(acting: LiveGraph, folder: Path, good: str) -> None:
    """That the arm is never without a command is what counts: how evenly they leave `bench executor` measures."""
    other = save_small(folder / "other", ROBOT, seed=1, horizon=STEPS)
    statuses = acting.listen(ExecutorStatus, "executor/status")
    executed = acting.listen(JointCommand, "robot/executed_command")
    chunks = acting.listen(ActionChunk, "policy/action_chunk")
    for _ in range(6):
        reply = load(acting, folder / "other")
        assert (reply.success, reply.version) == (True, good), reply.message
        assert f"{other} is loaded and acts when the episode ends" in reply.message
    acting.until(lambda: len(executed) > 100, "a second of commands")
    assert {command.source for command in executed} == {"policy"}
    assert {status.state for status in statuses} <= {ExecutorStatus.RUNNING, ExecutorStatus.BLENDING}
    assert {chunk.policy_version for chunk in chunks} == {good}
    tell(acting, "")
    tell(acting, "stir")
    have = len(chunks)
    acting.until(lambda: len(chunks) > have + 1, "chunks of the new one")
    assert {chunk.policy_version for chunk in chunks[have + 1 :]} == {other}


# -- what is no policy for this robot; each with words of what was expected and of what came


def nothing(folder: Path) -> Path:
    return folder / "nothing"


def pickle(folder: Path) -> Path:
    (folder / "policy.pt").write_bytes(b"\x80\x04")
    return folder / "policy.pt"


def cut_off(folder: Path) -> Path:
    save_small(folder / "policy", ROBOT, horizon=STEPS)
    weights = folder / "policy" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])
    return folder / "policy"


def changed_by_hand(folder: Path) -> Path:
    save_small(folder / "policy", ROBOT, horizon=STEPS)
    weights = folder / "policy" / WEIGHTS
    save_file({name: tensor + 1.0 for name, tensor in load_file(weights).items()}, weights)
    return folder / "policy"


def other_statistics(folder: Path) -> Path:
    save_small(folder / "policy", ROBOT, horizon=STEPS)
    rewrite(folder / "policy" / STATS, kind="z-score")
    return folder / "policy"


def nonsense(folder: Path) -> Path:
    save_small(folder / "policy", ROBOT, horizon=STEPS)
    rewrite(folder / "policy" / CONFIG, network=7)
    found = hash_files(*(folder / "policy" / name for name in (WEIGHTS, CONFIG, STATS)))
    rewrite(folder / "policy" / LINEAGE, hash=found)
    return folder / "policy"


def other_robot(folder: Path) -> Path:
    save_small(folder / "policy", get_robot("tabletop"), horizon=STEPS, cameras=("head", "wrist"))
    return folder / "policy"


def other_camera(folder: Path) -> Path:
    save_small(folder / "policy", ROBOT, horizon=STEPS, cameras=("head", "wrist"))
    return folder / "policy"


def too_short(folder: Path) -> Path:
    save_small(folder / "policy", ROBOT, horizon=20)
    return folder / "policy"


def other_rate(folder: Path) -> Path:
    save_small(folder / "policy", ROBOT, horizon=STEPS, control_hz=15.0)
    return folder / "policy"


def not_finite(folder: Path) -> Path:
    save_small(folder / "policy", ROBOT, horizon=STEPS, broken=True)
    return folder / "policy"


def rewrite(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nothing, ("There is nothing at", "on the machine of this node")),
        (pickle, ("is a pickle, which runs a program when it is opened", "Give *.safetensors")),
        (cut_off, ("bytes, its header speaks of", "cut off", "Copy it again")),
        (changed_by_hand, ("is not what was saved", "changed by hand")),
        (other_statistics, ("tiny works with quantile statistics, these are z-score statistics", "saved with these")),
        (nonsense, ("cannot be loaded: ", "Load another policy")),
        (other_robot, ("moves x, y, z", "arx_x5 has left_joint1", "trained for this robot")),
        (other_camera, ("wrist", "left_wrist")),
        (too_short, ("plans 20 steps, policy.replan_steps asks for a chunk every 25", "to 20 or less")),
        (other_rate, ("trained at 15 steps a second, control_hz is 100",)),
        (not_finite, ("not finite",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_policy_for_this_robot_is_refused_and_the_old_one_goes_on(
    acting: LiveGraph, tmp_path: Path, make: Callable[[Path], Path], words: tuple[str, ...], good: str
) -> None:
    chunks = acting.listen(ActionChunk, "policy/action_chunk")
    version = acting.until(lambda: chunks and chunks[-1].policy_version, "a chunk")
    reply = load(acting, make(tmp_path))
    assert (reply.success, reply.version) == (False, version)
    for word in words:
        assert word in reply.message
    have = len(chunks)
    acting.until(lambda: len(chunks) > have, "the next chunk")
    assert chunks[-1].policy_version == version


# -- what it sees


@pytest.fixture
def seeing(live: LiveGraph, cameras: Cameras, folder: Path, request: pytest.FixtureRequest, good: str) -> str:
    """A policy of two cameras, which masks a missing one if the test says so; loaded while all is at rest."""
    name = getattr(request, "param", "refuse")
    path = folder / "good" if name == "refuse" else folder / name
    if not path.exists():
        save_small(path, ROBOT, horizon=STEPS, missing=name)
    reply = load(live, path)
    assert reply.message.endswith("acts now."), reply.message
    return str(reply.version)


def newest_sources(live: LiveGraph) -> set[str]:
    """Of a chunk to come."""
    chunks = live.listen(ActionChunk, "policy/action_chunk")
    live.until(lambda: len(chunks) > 4, "chunks")  # what was seen before may still be fresh at first
    return set(chunks[-1].source_names)


def test_a_camera_that_the_policy_does_not_need_may_be_silent(seeing: str, acting: LiveGraph, cameras: Cameras) -> None:
    assert newest_sources(acting) == {*CAMERAS, "joint_states"}
    cameras.silent.add("right_wrist")
    acting.spin(0.7)
    assert newest_sources(acting) == {"head", "left_wrist", "joint_states"}


def test_without_a_camera_that_it_needs_it_proposes_nothing(seeing: str, acting: LiveGraph, cameras: Cameras) -> None:
    cameras.silent.add("left_wrist")
    acting.wait_until_told("policy_node", "No observation: 'left_wrist' is", "Is its publisher still up?")
    chunks = acting.listen(ActionChunk, "policy/action_chunk")
    acting.spin(0.5)
    assert chunks == []


@pytest.mark.parametrize("seeing", ["mask"], indirect=True)
def test_a_policy_that_may_be_without_a_camera_goes_on_without_it(
    seeing: str, acting: LiveGraph, cameras: Cameras
) -> None:
    cameras.silent.update(("left_wrist", "right_wrist"))
    acting.spin(0.7)
    assert newest_sources(acting) == {"head", "joint_states"}
    cameras.silent.add("head")
    acting.wait_until_told("policy_node", "The policy looks through head, left_wrist, it got no image", "every camera")


def test_an_image_that_is_not_whole_is_refused(seeing: str, acting: LiveGraph, cameras: Cameras) -> None:
    cameras.cut.add("head")
    words = "An image of 64 x 64 rgb8 has step 192 and 12224 bytes. Send step >= 192 and exactly height * step bytes."

    def told() -> bool:
        return any(words in status.message for status in acting.statuses if status.name == "policy_node: inputs")

    acting.until(told, "it in diagnostics")
    assert words in acting.log("policy_node")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda message: message.position.__setitem__(3, float("nan")), ("nan", "left_joint4")),
        (lambda message: setattr(message, "position", message.position[:13]), ("13", "14")),
    ],
    ids=["nan", "width"],
)
def test_a_state_that_is_none_is_refused(
    seeing: str, acting: LiveGraph, spoil: Callable[[JointState], None], words: tuple[str, ...]
) -> None:
    """A second driver speaks between the words of the good one: it is refused, and the good one is heard."""
    publisher = acting.publisher(JointState, "joint_states", qos.STATE)
    home = [float(value) for value in ROBOT.home]
    message = JointState(name=list(ROBOT.names), position=home, velocity=[0.0] * 14, effort=[0.0] * 14)
    message.header.stamp = acting.node.get_clock().now().to_msg()
    spoil(message)
    publisher.publish(message)
    acting.wait_until_told("policy_node", *words)
    assert "joint_states" in newest_sources(acting)
    acting.node.destroy_publisher(publisher)
