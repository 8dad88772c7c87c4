"""The last seconds in memory: how much is kept, what is latched, and the bag that is made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.config import RecorderConfig
from vla_mbpo_ros.data.bags import BagReader
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.recording.recording import Recording, Source
from vla_mbpo_ros.data.recording.snapshot import Memory, RawMessage, write_snapshot
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.robots.contract import Topic

S = 10**9
TEXT, STATE = "std_msgs/msg/String", "sensor_msgs/msg/JointState"
FACTS = EpisodeFacts(episode_id="kept", robot="arx_x5", note="Snapshot of the last 2.0 s: asked for")


def message(topic: str, log_ns: int, data: bytes = b"\x00\x01\x00\x00", sequence: int = 0) -> RawMessage:
    return RawMessage(topic, data, log_ns, log_ns, sequence)


@given(
    steps=st.lists(st.integers(0, S), min_size=1, max_size=60),
    sizes=st.lists(st.integers(0, 400), min_size=60, max_size=60),
    seconds=st.floats(0.1, 5.0),
    max_bytes=st.integers(1000, 20_000),
)
def test_what_is_kept_is_the_newest_part_within_time_and_memory(
    steps: list[int], sizes: list[int], seconds: float, max_bytes: int
) -> None:
    memory, now_ns, sent = Memory(seconds, max_bytes, ()), 0, []
    for step_ns, size in zip(steps, sizes, strict=False):
        now_ns += step_ns
        sent.append(message("/a", now_ns, bytes(size)))
        memory.add(sent[-1])
    kept = list(memory.take().messages)
    assert kept == sent[len(sent) - len(kept) :]
    assert memory.size == sum(one.size for one in kept) <= max_bytes
    assert memory.duration_s <= seconds
    if len(kept) < len(sent):  # not less than there is room for
        more = sent[len(sent) - len(kept) - 1]
        assert now_ns - more.log_ns > int(seconds * 1e9) or memory.size + more.size > max_bytes


def test_what_is_latched_and_too_old_is_remembered_apart() -> None:
    memory = Memory(1.0, 10_000, ("/instruction",))
    memory.add(message("/instruction", 0, b"first"))
    memory.add(message("/instruction", S // 2, b"second"))
    for tick in range(30):
        memory.add(message("/joint_states", tick * S // 10))
    taken = memory.take()
    assert taken.latched == {"/instruction": b"second"}
    assert {one.topic for one in taken.messages} == {"/joint_states"}
    memory.add(message("/instruction", 3 * S, b"third"))  # it is in the memory, and what held before it is known
    assert memory.take().latched == {"/instruction": b"second"}


def test_after_a_bag_the_memory_begins_anew_and_knows_what_was_latched_meanwhile() -> None:
    memory = Memory(10.0, 10_000, ("/instruction",))
    memory.add(message("/joint_states", S))
    memory.add(message("/instruction", 2 * S, b"in the bag"), keep=False)
    assert memory.take().messages == ()
    memory.add(message("/joint_states", 3 * S))
    assert memory.take().latched == {"/instruction": b"in the bag"}
    assert memory.duration_s == 0.0


def test_a_message_larger_than_all_the_memory_is_not_kept() -> None:
    memory = Memory(10.0, 1000, ())
    memory.add(message("/a", S))
    memory.add(message("/a", 2 * S, bytes(5000)))
    assert memory.take().messages == ()
    assert memory.size == 0


def test_a_clock_that_was_set_back_begins_anew() -> None:
    memory = Memory(1.0, 10_000, ())
    memory.add(message("/a", 100 * S))
    memory.add(message("/a", 5 * S))
    assert [one.log_ns for one in memory.take().messages] == [5 * S]


@pytest.fixture
def sources() -> list[Source]:
    topics = (Topic("joint_states", STATE, "state", 10.0), Topic("instruction", TEXT, "latched"))
    return [Source(topic, f"/{topic.name}") for topic in topics]


@pytest.fixture
def memory(cdr: Callable[..., bytes]) -> Memory:
    """Four seconds of which two are left; one message was lost."""
    memory = Memory(2.0, 1_000_000, ("/instruction",))
    memory.add(message("/instruction", S, cdr(TEXT, data="put the cube into the bowl")))
    for tick in range(41):
        stamp_ns = S + tick * S // 10
        if tick != 30:
            memory.add(message("/joint_states", stamp_ns, cdr(STATE, stamp_ns, position=[1.0 * tick]), tick + 1))
    return memory


def test_a_snapshot_is_a_whole_bag_that_says_why_it_is_there(
    memory: Memory, sources: list[Source], tmp_path: Path
) -> None:
    running = Recording(sources, RecorderConfig(folder=str(tmp_path), min_free_gb=0.0))
    path = write_snapshot(memory.take(), sources, RecorderConfig(folder=str(tmp_path), min_free_gb=0.0), FACTS)
    bag = BagReader(path)
    facts = EpisodeFacts.from_custom_data(bag.custom_data)
    assert bag.complete
    assert facts.note == "Snapshot of the last 2.0 s: asked for"
    assert (facts.received, facts.lost) == ({"/joint_states": 20, "/instruction": 1}, {"/joint_states": 1})
    kept = list(bag.messages())
    assert kept[0].topic == "/instruction"
    assert bag.decode(kept[0]).data == "put the cube into the bowl"
    positions = [bag.decode(one).position[0] for one in kept if one.topic == "/joint_states"]
    assert positions == [float(tick) for tick in range(20, 41) if tick != 30]
    assert all(source.received == 0 for source in running.sources.values())  # counted apart


def test_a_person_who_had_the_lease_before_the_snapshot_begins_is_in_it(
    cdr: Callable[..., bytes], tmp_path: Path
) -> None:
    lease = Source(Topic("control_source", TEXT, "latched"), "/control_source")
    state = Source(Topic("joint_states", STATE, "state", 10.0), "/joint_states")
    memory = Memory(2.0, 1_000_000, (lease.name,))
    memory.add(message(lease.name, S, cdr(TEXT, data="human")))
    for tick in range(41):
        memory.add(message(state.name, S + tick * S // 10, cdr(STATE, S)))
    cfg = RecorderConfig(folder=str(tmp_path), min_free_gb=0.0)
    bag = BagReader(write_snapshot(memory.take(), [lease, state], cfg, FACTS))
    spans = EpisodeFacts.from_custom_data(bag.custom_data).interventions
    assert [tuple(span) for span in spans] == [("human", 0.0, 2.0)]


def test_a_snapshot_that_the_disk_has_no_room_for_is_refused(
    memory: Memory, sources: list[Source], tmp_path: Path
) -> None:
    cfg = RecorderConfig(folder=str(tmp_path), min_free_gb=10.0**9)
    with pytest.raises(BagError, match="GB are free"):
        write_snapshot(memory.take(), sources, cfg, FACTS)
    assert not (tmp_path / "kept").exists()
