"""Another policy is loaded beside the one that acts: in lock-step, so that a lost tick would be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from live_graph import LiveGraph
from small_policies import save_small

from vla_mbpo_ros.msg import ActionChunk, ExecutorStatus, JointCommand, SimState
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.srv import LoadCheckpoint, Reset

pytestmark = pytest.mark.ros
ROBOT = get_robot("arx_x5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies")


@pytest.fixture(scope="module")
def versions(folder: Path) -> dict[str, str]:
    """Name of the folder -> version."""
    return {name: save_small(folder / name, ROBOT, seed) for seed, name in enumerate(("first", "second", "third"))}


@pytest.fixture(scope="module")
def live(start_graph: Callable[..., LiveGraph], folder: Path, versions: dict[str, str]) -> LiveGraph:
    first = ("policy.kind=tiny", f"policy.checkpoint={folder / 'first'}")
    return start_graph(sim=True, act=False, record=False, set=(*first, "sim.realtime_factor=2.0"))


@pytest.fixture
def acting(live: LiveGraph, folder: Path, versions: dict[str, str]) -> Iterator[LiveGraph]:
    """The first policy is in control of the arm."""
    assert load(live, folder / "first").message == f"{versions['first']} acts now."  # nothing moves: at once
    assert live.call(Reset, "sim/reset", Reset.Request(seed=1)).success
    assert live.switch("robot/arm", True).success
    assert live.switch("executor/enable", True).success
    live.tell("stir")
    executed = live.listen(JointCommand, "robot/executed_command")
    live.until(lambda: executed and executed[-1].source == "policy", "the policy in control")
    yield live
    live.tell("")
    for name in ("executor/enable", "robot/arm"):
        live.switch(name, False)


def load(live: LiveGraph, path: Path, dry_run: bool = False) -> LoadCheckpoint.Response:
    return live.call(LoadCheckpoint, "policy/load_checkpoint", LoadCheckpoint.Request(path=str(path), dry_run=dry_run))


def next_version(live: LiveGraph, chunks: list[ActionChunk], count: int = 1) -> set[str]:
    """Of the next chunks."""
    have = len(chunks)
    live.until(lambda: len(chunks) >= have + count, "chunks")
    return {chunk.policy_version for chunk in chunks[have:]}


def test_loading_in_mid_episode_loses_no_tick_and_the_next_episode_has_the_new_policy(
    acting: LiveGraph, folder: Path, versions: dict[str, str]
) -> None:
    chunks = acting.listen(ActionChunk, "policy/action_chunk")
    ticks = acting.listen(SimState, "sim/state")
    executed = acting.listen(JointCommand, "robot/executed_command")
    statuses = acting.listen(ExecutorStatus, "executor/status")
    acting.until(lambda: executed and ticks and statuses, "all of it")
    for _ in range(3):
        reply = load(acting, folder / "second")
        assert reply.success
        assert reply.message.startswith(f"{versions['second']} is loaded and acts when the episode ends")
        assert reply.version == versions["first"]
    assert next_version(acting, chunks, 3) == {versions["first"]}
    steps = [tick.step for tick in ticks]
    assert steps == list(range(steps[0], steps[0] + len(steps)))
    assert not any(tick.missing for tick in ticks)
    assert {command.source for command in executed} == {"policy"}
    assert {status.state for status in statuses} <= {ExecutorStatus.RUNNING, ExecutorStatus.BLENDING}
    acting.until(
        lambda: acting.shown("policy_node", "next policy").startswith(versions["second"]),
        "the next policy in diagnostics",
    )
    assert acting.call(Reset, "sim/reset", Reset.Request(seed=2)).success
    acting.until(lambda: chunks[-1].policy_version == versions["second"], "the new policy")
    acting.until(lambda: acting.shown("policy_node", "policy") == versions["second"], "the new policy in diagnostics")
    assert acting.shown("policy_node", "checkpoint") == str(folder / "second")
    assert acting.shown("policy_node", "next policy") == "none"


def test_the_version_in_a_chunk_is_of_the_policy_that_made_it(
    acting: LiveGraph, folder: Path, versions: dict[str, str]
) -> None:
    """At rest and disarmed it takes over at once; each chunk until then is the old one's."""
    chunks = acting.listen(ActionChunk, "policy/action_chunk")
    assert next_version(acting, chunks) == {versions["first"]}
    assert load(acting, folder / "second").version == versions["first"]
    acting.tell("")
    acting.tell("stir")
    assert next_version(acting, chunks, 2) == {versions["second"]}
    acting.switch("robot/arm", False)
    reply = load(acting, folder / "third")
    assert (reply.message, reply.version) == (f"{versions['third']} acts now.", versions["third"])
    acting.until(lambda: chunks[-1].policy_version == versions["third"], "the third")


def test_a_policy_that_waits_takes_over_when_the_robot_is_disarmed(
    acting: LiveGraph, folder: Path, versions: dict[str, str]
) -> None:
    chunks = acting.listen(ActionChunk, "policy/action_chunk")
    assert "is loaded and acts when" in load(acting, folder / "second").message
    assert load(acting, folder / "third").message.endswith(f"{versions['second']} is given up.")
    assert next_version(acting, chunks, 2) == {versions["first"]}
    acting.switch("robot/arm", False)
    acting.until(lambda: chunks[-1].policy_version == versions["third"], "the newest that was loaded")


def test_a_dry_run_checks_and_changes_nothing(acting: LiveGraph, folder: Path, versions: dict[str, str]) -> None:
    reply = load(acting, folder / "second", dry_run=True)
    assert (reply.success, reply.version) == (True, versions["first"])
    assert reply.message == f"{versions['second']} fits. {versions['first']} goes on."
    acting.switch("robot/arm", False)
    chunks = acting.listen(ActionChunk, "policy/action_chunk")
    assert next_version(acting, chunks, 2) == {versions["first"]}


def test_of_two_that_are_asked_for_at_once_the_second_is_refused(acting: LiveGraph, folder: Path) -> None:
    client = acting.node.create_client(LoadCheckpoint, "policy/load_checkpoint")
    acting.until(client.service_is_ready, "the service")
    asked = [
        client.call_async(LoadCheckpoint.Request(path=str(folder / name), dry_run=True)) for name in ("second", "third")
    ]
    acting.until(lambda: all(future.done() for future in asked), "both answers")
    refused = [future.result().message for future in asked if not future.result().success]
    assert len(refused) == 1
    assert "is being loaded. Ask again when that has been answered." in refused[0]
    acting.node.destroy_client(client)


def test_the_instruction_is_changed_while_the_policy_acts(acting: LiveGraph, versions: dict[str, str]) -> None:
    chunks = acting.listen(ActionChunk, "policy/action_chunk")
    executed = acting.listen(JointCommand, "robot/executed_command")
    acting.until(lambda: chunks and chunks[-1].instruction == "stir", "a chunk of the old instruction")
    acting.tell("wave")
    have = len(chunks)
    acting.until(lambda: len(chunks) > have + 1, "chunks")
    assert {chunk.instruction for chunk in chunks[have + 1 :]} == {"wave"}
    assert {chunk.policy_version for chunk in chunks} == {versions["first"]}
    assert {command.source for command in executed} == {"policy"}
